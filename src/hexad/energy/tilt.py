r"""Tilts of a normalised base: ``base * exp(-energy)``, whose energy is :math:`-\log q(x) + E(x)`.

.. math:: p(x) = \frac{q(x)\,e^{-E(x)}}{Z},\qquad Z = E_q\left[e^{-E}\right]
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.energy.algebra import Potential, Solvable
from hexad.energy.annealed import Law, annealed_sample
from hexad.model import Density

__all__ = ["Factor", "Tilt", "exp"]


class Tilt(Potential):
    """A base times exp(-E). It remembers its base, from which log Z is annealed and samples are carried.

    Args:
        base: a model with exact density, or a solvable potential, whose own Z is divided out.
        tilt: E.

    Raises:
        InputError: the base is neither.
    """

    def __init__(self, base: Density | Solvable, tilt: Potential) -> None:
        super().__init__()
        self.base, self.tilt = base, tilt
        self._whole = [Law.of(base).energy + tilt]  # a list: the sum's parts are modules of this one already

    def energy(self, x: Tensor) -> Tensor:
        """Return -log q(x) + E(x), (batch,)."""
        return self._whole[0].energy(x)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy and its gradient."""
        return self._whole[0].value_and_gradient(x)

    def log_z_at(self, beta: float) -> float | None:
        """Return what the sum knows."""
        return self._whole[0].log_z_at(beta)

    def sample(self, n: int, *, levels: int = 100, generator: torch.Generator | None = None) -> Tensor:
        r"""Return n records that were annealed from the base and drawn by their weights, (n, \*shape).

        They follow the law in the limit of many levels; the spread of the anneal's weights says how far that is.

        Args:
            n: how many.
            levels: temperatures above that of the base.
            generator: where randomness comes from.
        """
        return annealed_sample(self.base, self.tilt, n, levels=levels, generator=generator)


class Factor:
    """exp(-E): what a density is multiplied by to tilt it. Factors multiply by adding their energies.

    Args:
        energy: E.
    """

    def __init__(self, energy: Potential) -> None:
        self.energy = energy

    def __mul__(self, other: Any) -> Factor | Tilt:
        return Factor(self.energy + other.energy) if isinstance(other, Factor) else self.__rmul__(other)

    def __rmul__(self, base: Any) -> Tilt:
        if isinstance(base, Tilt):
            return Tilt(base.base, base.tilt + self.energy)
        return Tilt(base, self.energy)

    def __repr__(self) -> str:
        return f"exp(-{self.energy})"


def exp(exponent: Potential) -> Factor:
    """Return the factor e^exponent of a density: ``flow * exp(-energy)``.

    Raises:
        InputError: the exponent is no potential.
    """
    if not isinstance(exponent, Potential):
        what = f"exp: expected an energy, got {type(exponent).__name__}"
        raise InputError(f"{what}; make one by hexad.energy.potential(...), and write exp(-energy)")
    return Factor(-exponent)
