r"""Energies as objects: sums, multiples, mixtures and products of energies are energies.

With :math:`p_i \propto e^{-E_i}`,

.. math::
    a + b:\ p \propto p_a p_b,\qquad c\,a:\ p \propto p_a^{\,c},\qquad
    \mathrm{mixture}:\ E(x) = -\log\sum_i w_i e^{-E_i(x)}

so the sum of energies is the product of densities (Training Products of Experts by Minimizing Contrastive Divergence;
Hinton, 2002), and c is an inverse temperature. Densities of reals that are multiplied, raised or inverted need not have
a finite Z any more: :func:`~hexad.energy.log_partition` finds it, and nothing here assumes one.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from hexad.checks import InputError
from hexad.model import Energy

__all__ = ["Potential", "Solvable", "Sum", "product"]


class Potential(nn.Module, Energy):
    r"""An energy that can be calculated with: ``a + b``, ``a - b``, ``-a``, ``2 * a``, ``a / T``, ``a + 3.0``.

    To implement one: give :meth:`energy`; where the gradient has a closed form give :meth:`value_and_gradient`, and
    where log Z has, :meth:`log_z_at`. Any function or network becomes one by :func:`potential`.

    Records are (batch, \*shape), of the type and on the device of the parts' parameters, if they have any.
    """

    @abstractmethod
    def energy(self, x: Tensor) -> Tensor:
        """Return the energy of each record, (batch,); +inf where there is no mass."""

    def forward(self, x: Tensor) -> Tensor:
        """Return :meth:`energy`."""
        return self.energy(x)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the energy, (batch,), and its gradient in x, (batch, \*shape), both without a graph.

        Raises:
            InputError: no closed form, and no gradient by autodiff either.
        """
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            value = self.energy(x)
            if not value.requires_grad:
                raise InputError(f"{self}: its energy has no gradient in x; expected torch operations, not detached")
            (gradient,) = torch.autograd.grad(value.sum(), x, materialize_grads=True)
        return value.detach(), gradient

    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of exp(-beta E) where it is known in closed form, else None."""
        return None

    @property
    def log_z(self) -> float | None:
        """log Z of exp(-E) where it is known in closed form, else None: never an estimate."""
        return self.log_z_at(1.0)

    @property
    def home(self) -> Tensor:
        """A tensor of the type and on the device in which records are wanted: float64 where there is no parameter."""
        floating = [t for t in [*self.parameters(), *self.buffers()] if t.is_floating_point()]
        return floating[0].detach() if floating else torch.zeros((), dtype=torch.float64)

    def terms(self) -> tuple[list[tuple[float, Potential]], float]:
        """Return what this is the sum of: multiples of potentials, and a number."""
        return [(1.0, self)], 0.0

    def __add__(self, other: Any) -> Potential:
        return _sum(self, 1.0, other, 1.0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Potential:
        return _sum(self, 1.0, other, -1.0)

    def __rsub__(self, other: Any) -> Potential:
        return _sum(self, -1.0, other, 1.0)

    def __neg__(self) -> Potential:
        return -1.0 * self

    def __mul__(self, factor: Any) -> Potential:
        return Sum.of([(factor, self)]) if _is_number(factor) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, temperature: Any) -> Potential:
        if not _is_number(temperature):
            return NotImplemented
        if temperature == 0:
            raise InputError("energy / 0: expected a temperature that is not 0")
        return Sum.of([(1.0 / temperature, self)])


class Solvable(Potential):
    """A potential of known log Z that can be sampled without a chain, and so be a base that others are tilts of.

    Attributes:
        shape: of a record.
        real: whether records are reals; else binary units, 0 or 1.
    """

    shape: tuple[int, ...]
    real: bool = True

    @abstractmethod
    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of exp(-beta E); known at beta = 1 at least."""

    @abstractmethod
    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        r"""Return n independent records of the law, (n, \*shape) in float64."""


class Sum(Potential):
    """A weighted sum of potentials and a number. Made by the operators, which merge what is the same object.

    Args:
        parts: the potentials.
        coefficients: one a part.
        constant: added to the energy; log Z falls by it.
    """

    def __init__(self, parts: Sequence[Potential], coefficients: Sequence[float], constant: float = 0.0) -> None:
        super().__init__()
        self.parts, self.coefficients, self.constant = nn.ModuleList(parts), tuple(coefficients), constant

    @classmethod
    def of(cls, terms: Sequence[tuple[float, Potential]], constant: float = 0.0) -> Potential:
        """Return the sum of multiples of potentials: flat, each object once; the object itself where that is all."""
        merged: dict[int, tuple[float, Potential]] = {}
        for factor, term in terms:
            inner, more = term.terms()
            constant += factor * more
            for weight, part in inner:
                merged[id(part)] = (merged.get(id(part), (0.0, part))[0] + factor * weight, part)
        found = list(merged.values())
        if len(found) == 1 and found[0][0] == 1 and constant == 0:
            return found[0][1]
        return cls([part for _, part in found], [weight for weight, _ in found], constant)

    def terms(self) -> tuple[list[tuple[float, Potential]], float]:
        """Return the multiples, and the number."""
        parts = [part for part in self.parts if isinstance(part, Potential)]
        return list(zip(self.coefficients, parts, strict=True)), self.constant

    @property
    def _moving(self) -> list[tuple[float, Potential]]:
        return [(weight, part) for weight, part in self.terms()[0] if weight != 0]

    def energy(self, x: Tensor) -> Tensor:
        """Return the weighted sum, (batch,); a part of weight 0 is not evaluated."""
        terms = [weight * part.energy(x) for weight, part in self._moving]
        return torch.stack(terms).sum(0) + self.constant if terms else _flat(x) + self.constant

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sums of the parts' values and gradients."""
        value, gradient = _flat(x) + self.constant, torch.zeros_like(x)
        for weight, part in self._moving:
            more, slope = part.value_and_gradient(x)
            value, gradient = value + weight * more, gradient + weight * slope
        return value, gradient

    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of one part at its inverse temperature, less the number; of several parts it is not known."""
        if len(self._moving) != 1:
            return None
        ((weight, part),) = self._moving
        found = part.log_z_at(beta * weight)
        return None if found is None else found - beta * self.constant

    def extra_repr(self) -> str:
        """Return the coefficients."""
        return ", ".join(f"{c:g}" for c in self.coefficients) + (f"; {self.constant:+g}" if self.constant else "")


def product(parts: Sequence[Potential], powers: Sequence[float] | None = None) -> Potential:
    r"""Return the energy of :math:`\prod_i p_i^{c_i}`: the sum of the energies, with the powers as coefficients.

    Args:
        parts: at least one potential.
        powers: c; None: 1 each.

    Raises:
        InputError: no part, or not a power a part.
    """
    powers = [1.0] * len(parts) if powers is None else powers
    if not parts or len(powers) != len(parts):
        raise InputError(f"product: expected a power a part, got {len(parts)} parts and {len(powers)} powers")
    return Sum.of(list(zip(powers, parts, strict=True)))


def _sum(first: Potential, a: float, second: Any, b: float) -> Potential:
    """Return a first + b second, where second may be a number."""
    if _is_number(second):
        return Sum.of([(a, first)], b * second)
    if not isinstance(second, Potential):
        what = f"energy + {type(second).__name__}: expected an energy or a number"
        raise InputError(f"{what}; make one of a function, network or model by hexad.energy.potential(...)")
    return Sum.of([(a, first), (b, second)])


def _is_number(value: Any) -> bool:
    """Return whether this is a finite number, which coefficients are."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    if not math.isfinite(value):
        raise InputError(f"energy: expected a finite number as coefficient, got {value}")
    return True


def _flat(x: Tensor) -> Tensor:
    """Return zeros, (batch,), that depend on x: the energy of nothing."""
    return 0.0 * x.detach().flatten(1).sum(1)
