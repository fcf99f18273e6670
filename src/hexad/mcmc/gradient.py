"""Energies as functions: their gradient in closed form where they know it, by autograd elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from hexad.mcmc.point import Evaluate, Point

__all__ = ["ClosedForm", "EnergyFunction", "Slope", "evaluator", "gradient", "value_and_gradient"]


@runtime_checkable
class ClosedForm(Protocol):
    """An energy that knows its gradient; kernels then build no autograd graph."""

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy of states (batch, D), (batch,), and its gradient, (batch, D)."""


@runtime_checkable
class Slope(Protocol):
    """An energy that gives its gradient without its value, which is all that unadjusted chains ask for."""

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of the energy at states (batch, D), (batch, D)."""


EnergyFunction = Callable[[Tensor], Tensor] | ClosedForm  # from (batch, D) to (batch,)


def value_and_gradient(energy: EnergyFunction) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return the function from states (batch, D) to their energies (batch,) and gradients (batch, D), without a graph.

    >>> value_and_gradient(lambda x: x.square().sum(1))(torch.ones(1, 2))
    (tensor([2.]), tensor([[2., 2.]]))
    """
    if isinstance(energy, ClosedForm):
        return energy.value_and_gradient

    def by_autograd(x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            value = energy(leaf)
            (slope,) = torch.autograd.grad(value.sum(), leaf)
        return value.detach(), slope

    return by_autograd


def gradient(energy: EnergyFunction) -> Callable[[Tensor], Tensor]:
    """Return the function from states (batch, D) to the gradients of their energies (batch, D), without a graph."""
    if isinstance(energy, Slope):
        return energy.gradient
    both = value_and_gradient(energy)
    return lambda x: both(x)[1]


def evaluator(*energies: EnergyFunction) -> Evaluate:
    """Return the function from states (batch, D) to the point there, of one term for each energy."""
    terms = [value_and_gradient(energy) for energy in energies]

    def evaluate(x: Tensor) -> Point:
        values, slopes = zip(*(term(x) for term in terms), strict=True)
        return Point(x, torch.stack(values), torch.stack(slopes))

    return evaluate
