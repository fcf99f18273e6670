"""Laws whose quantiles are known by quadrature, and small spaces that are enumerated."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.mcmc import Point

__all__ = ["TiltedWell", "quantile_errors"]


class TiltedWell:
    """U = 2 (x^2 - 1)^2 + x / 2 in one column: two wells of different masses, gradient in closed form."""

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rest = x.square() - 1
        return (2 * rest.square() + 0.5 * x).sum(1), 8 * x * rest + 0.5

    def point(self, x: Tensor) -> Point:
        value, slope = self.value_and_gradient(x)
        return Point(x, value[None], slope[None])


def quantile_errors(x: Tensor, temperature: float = 1.0) -> Tensor:
    """Return how far the shares of independent draws (n,) below quantiles of the well are off, in standard errors."""
    grid = torch.linspace(-4, 4, 20_001, dtype=torch.float64)
    cdf = torch.softmax(-TiltedWell().value_and_gradient(grid[:, None])[0] / temperature, 0).cumsum(0)
    levels = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    quantiles = grid[torch.searchsorted(cdf, levels)]
    found = (x.double()[:, None] < quantiles).double().mean(0)
    return (found - levels) / (levels * (1 - levels) / len(x)).sqrt()
