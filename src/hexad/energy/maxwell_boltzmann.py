r"""The speeds of the atoms of a gas (Maxwell, 1860; Boltzmann, 1868): an energy whose law is known in closed form.

A velocity :math:`u` costs the energy :math:`m|u|^2/2`, and at temperature T its law is proportional to
:math:`e^{-m|u|^2/2kT}`. The speed :math:`v = |u|` of three components has the density

.. math:: p(v) = \sqrt{\tfrac2\pi}\,\frac{v^2}{a^3}\,e^{-v^2/2a^2},\qquad a = \sqrt{kT/m},

that is, the energy :math:`U(v) = v^2/2a^2 - 2\log(v/a)`: the second term counts how many velocities share a speed. Both
are sampled here in units of a, where no power of a mass leaves the range of a float.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from hexad.checks import choose
from hexad.mcmc import Chains, ClosedForm, run_chains
from hexad.randomness import fresh

__all__ = ["MASSES", "MaxwellBoltzmann", "SpeedEnergy", "VelocityEnergy"]

BOLTZMANN = 1.380649e-23  # J / K, exact
DALTON = 1.66053906660e-27  # kg
# of the isotopes, in daltons
MASSES = {"4He": 4.002603254, "20Ne": 19.992440176, "40Ar": 39.962383124, "132Xe": 131.904155087}


@dataclass(frozen=True)
class MaxwellBoltzmann:
    """The law of the speed of an atom, in metres a second.

    Args:
        mass: of an atom, in kg.
        temperature: in kelvin.

    Raises:
        ValueError: mass or temperature is not above 0.
    """

    mass: float
    temperature: float = 298.15

    def __post_init__(self) -> None:
        for name in ("mass", "temperature"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name}: expected a number above 0, got {value!r}")

    @classmethod
    def of(cls, gas: str, temperature: float = 298.15) -> MaxwellBoltzmann:
        """Return the law of a noble gas: ``4He``, ``20Ne``, ``40Ar`` or ``132Xe``."""
        return cls(MASSES[choose(gas, MASSES, "gas")] * DALTON, temperature)

    @property
    def scale(self) -> float:
        """a, the standard deviation of one component of the velocity."""
        return math.sqrt(BOLTZMANN * self.temperature / self.mass)

    @property
    def mode(self) -> float:
        """The most likely speed."""
        return math.sqrt(2) * self.scale

    @property
    def mean(self) -> float:
        """The mean speed."""
        return math.sqrt(8 / math.pi) * self.scale

    @property
    def root_mean_square(self) -> float:
        """The root of the mean squared speed."""
        return math.sqrt(3) * self.scale

    @property
    def log_partition(self) -> float:
        """log Z of the speed energy, with speeds in metres a second."""
        return math.log(self.scale) + 0.5 * math.log(math.pi / 2)

    def energy(self, v: Tensor) -> Tensor:
        """Return U(v) of speeds, in units of kT; infinite below 0."""
        x = v / self.scale
        return torch.where(x > 0, 0.5 * x.square() - 2 * x.clamp(min=0).log(), math.inf)

    def log_prob(self, v: Tensor) -> Tensor:
        """Return the log density of speeds, (...), in nats."""
        return -self.energy(v) - self.log_partition

    def cdf(self, v: Tensor) -> Tensor:
        r"""Return P(speed < v): :math:`\mathrm{erf}(x/\sqrt2) - \sqrt{2/\pi}\,x e^{-x^2/2}` at x = v / a."""
        x = (v / self.scale).clamp(min=0)
        return torch.erf(x / math.sqrt(2)) - math.sqrt(2 / math.pi) * x * torch.exp(-0.5 * x.square())

    def chains(
        self,
        n: int,
        *,
        space: Literal["velocity", "speed"] = "velocity",
        kernel: str = "mala",
        steps: int = 1000,
        warmup: int = 300,
        thin: int = 1,
        step: float | None = None,
        generator: torch.Generator | None = None,
    ) -> Chains:
        """Return the speeds, in metres a second, that n chains draw from the energy; each draw has one column.

        Args:
            n: number of chains.
            space: what moves: three components of a velocity under its kinetic energy, or the speed under U.
            kernel: ``mala``, ``hmc`` or ``ula`` (biased).
            steps, warmup, thin: of each chain, as in :func:`hexad.mcmc.run_chains`.
            step: of the kernel, in units of a; None: found in warm-up.
            generator: where randomness comes from.
        """
        energy = ENERGIES[choose(space, ENERGIES, "space")]
        generator = fresh(generator)
        start = torch.rand(n, 3 if space == "velocity" else 1, generator=generator, dtype=torch.float64) + 0.5
        found = run_chains(
            energy, start, kernel=kernel, steps=steps, warmup=warmup, thin=thin, step=step, generator=generator
        )
        return replace(found, draws=self.scale * found.draws.norm(dim=2, keepdim=True))

    def sample(
        self,
        n: int,
        *,
        space: Literal["velocity", "speed"] = "velocity",
        steps: int = 200,
        step: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the last speeds of n independent chains on the energy, (n,) in float64.

        Args:
            n: number of chains.
            space: what moves: three components of a velocity under its kinetic energy, or the speed under U.
            steps: Metropolis-adjusted Langevin steps of each chain.
            step: of the kernel, in units of a.
            generator: where randomness comes from.
        """
        found = self.chains(n, space=space, steps=steps, warmup=0, thin=steps, step=step, generator=generator)
        return found.flat[:, 0]


class VelocityEnergy:
    """|u|^2 / 2 of velocities u in units of a, (batch, 3)."""

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy, (batch,), and its gradient, (batch, 3)."""
        return 0.5 * x.square().sum(1), x


class SpeedEnergy:
    """x^2 / 2 - 2 log x of speeds x in units of a, (batch, 1); infinite where x is not above 0."""

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy, (batch,), and its gradient, (batch, 1)."""
        inside = x > 0
        safe = torch.where(inside, x, torch.ones_like(x))
        energy = torch.where(inside, 0.5 * safe.square() - 2 * safe.log(), math.inf)
        return energy[:, 0], safe - 2 / safe


ENERGIES: dict[str, ClosedForm] = {"velocity": VelocityEnergy(), "speed": SpeedEnergy()}
