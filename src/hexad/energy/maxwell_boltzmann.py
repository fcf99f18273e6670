r"""The speeds of the atoms of a gas (Maxwell, 1860; Boltzmann, 1868): an energy whose law is known in closed form.

A velocity :math:`u` costs the energy :math:`m|u|^2/2`, and at temperature T its law is proportional to
:math:`e^{-m|u|^2/2kT}`. The speed :math:`v = |u|` of three components has the density

.. math:: p(v) = \sqrt{\tfrac2\pi}\,\frac{v^2}{a^3}\,e^{-v^2/2a^2},\qquad a = \sqrt{kT/m},

that is, the energy :math:`U(v) = v^2/2a^2 - 2\log(v/a)`: the second term counts how many velocities share a speed. Both
are sampled here in units of a, where no power of a mass leaves the range of a float.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hexad.checks import choose
from hexad.mcmc import Point, mala
from hexad.randomness import fresh

__all__ = ["MASSES", "MaxwellBoltzmann"]

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

    def sample(
        self,
        n: int,
        *,
        space: Literal["velocity", "speed"] = "velocity",
        steps: int = 200,
        step: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the speeds of n chains after Metropolis-adjusted Langevin steps on the energy, (n,) in float64.

        Args:
            n: number of chains, which are independent.
            space: what moves: three components of a velocity under its kinetic energy, or the speed under U.
            steps: of each chain.
            step: of the kernel, in units of a.
            generator: where randomness comes from.
        """
        evaluate = {"velocity": _velocity, "speed": _speed}[choose(space, ("velocity", "speed"), "space")]
        generator = fresh(generator)
        start = torch.rand(n, 3 if space == "velocity" else 1, generator=generator, dtype=torch.float64) + 0.5
        point, one = evaluate(start), torch.ones(1, dtype=torch.float64)
        for _ in range(steps):
            point, _ = mala(point, evaluate, one, step=step, generator=generator)
        return self.scale * point.x.norm(dim=1)


def _velocity(x: Tensor) -> Point:
    return Point(x, 0.5 * x.square().sum(1)[None], x[None])


def _speed(x: Tensor) -> Point:
    inside = x > 0
    safe = torch.where(inside, x, torch.ones_like(x))
    energy = torch.where(inside, 0.5 * safe.square() - 2 * safe.log(), math.inf)
    return Point(x, energy[:, 0][None], (safe - 2 / safe)[None])
