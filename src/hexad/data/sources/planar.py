r"""Densities in the plane whose logarithm is known: eight Gaussians, a 5x5 grid, a checkerboard, a banana.

.. math::
    \text{mixtures: } p(x) = \frac{1}{K} \sum_k N(x; \mu_k, \sigma^2 I), \qquad
    \text{banana: } x_1 \sim N(0, 2^2),\; x_2 \mid x_1 \sim N(x_1^2 / 4, 1).

The grid is scaled so that each coordinate of the whole mixture has variance 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import PLANAR, Source, draw

__all__ = ["banana", "checkerboard", "eight_gaussians", "grid"]

NORMAL = 0.5 * math.log(2 * math.pi)


def _mixture(name: str, means: Tensor, sigma: float) -> Source:
    def sample(n: int, generator: torch.Generator) -> Tensor:
        which = torch.randint(len(means), (n,), generator=generator)
        return means[which] + sigma * torch.randn(n, 2, generator=generator, dtype=torch.float64)

    def log_prob(x: Tensor) -> Tensor:
        square = (x.double().unsqueeze(-2) - means).square().sum(-1) / sigma**2
        return torch.logsumexp(-0.5 * square, -1) - 2 * NORMAL - 2 * math.log(sigma) - math.log(len(means))

    return _source(name, draw(name, PLANAR, sample), log_prob)


def _source(name: str, parts: dict[str, Any], log_prob: Callable[[Tensor], Tensor]) -> Source:
    return Source(Raw(parts, "array", where=name, named=False), log_prob, {"step": 0})


def eight_gaussians() -> Source:
    """Return eight Gaussians of standard deviation 0.2 on a circle of radius 2."""
    angles = torch.arange(8, dtype=torch.float64) * (2 * math.pi / 8)
    return _mixture("eight-gaussians", 2 * torch.stack([angles.cos(), angles.sin()], -1), 0.2)


def grid() -> Source:
    """Return 25 Gaussians of standard deviation 0.05 on a 5x5 grid; each coordinate has variance 1."""
    sigma = 0.05
    ticks = torch.arange(-2, 3, dtype=torch.float64) * math.sqrt((1 - sigma**2) / 2)
    return _mixture("grid", torch.cartesian_prod(ticks, ticks), sigma)


def checkerboard() -> Source:
    """Return the uniform density on the 8 dark cells of a 4x4 board on [-2, 2]^2."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        row = torch.randint(4, (n,), generator=generator)
        column = 2 * torch.randint(2, (n,), generator=generator) + row % 2
        inside = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        return torch.stack([row, column], -1) - 2 + inside

    def log_prob(x: Tensor) -> Tensor:
        cell = x.double().floor() + 2
        dark = (cell.sum(-1) % 2 == 0) & (cell >= 0).all(-1) & (cell <= 3).all(-1)
        return torch.where(dark, -math.log(8.0), -math.inf).double()

    return _source("checkerboard", draw("checkerboard", PLANAR, sample), log_prob)


def banana() -> Source:
    """Return x1 ~ N(0, 2^2) and x2 given x1 ~ N(x1^2 / 4, 1)."""

    def sample(n: int, generator: torch.Generator) -> Tensor:
        eps = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        first = 2 * eps[:, 0]
        return torch.stack([first, first.square() / 4 + eps[:, 1]], -1)

    def log_prob(x: Tensor) -> Tensor:
        first, second = x.double().unbind(-1)
        return -0.5 * (first / 2).square() - 0.5 * (second - first.square() / 4).square() - 2 * NORMAL - math.log(2)

    return _source("banana", draw("banana", PLANAR, sample), log_prob)
