r"""A Gaussian in six dimensions with correlated columns of different sizes, :math:`N(\mu, \Sigma)`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import SMALL, Source, draw

__all__ = ["MEAN", "SCALE", "gaussian"]

MEAN = torch.tensor([0.0, 1.0, -2.0, 5.0, 0.5, -1.0], dtype=torch.float64)
SCALE = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.2, 1.5], dtype=torch.float64)


def gaussian() -> Source:
    """Return columns of means ``MEAN`` and deviations ``SCALE``; i and j have correlation (-0.7)^|i-j|."""
    places = torch.arange(6, dtype=torch.float64)
    correlation = torch.pow(torch.tensor(-0.7, dtype=torch.float64), (places[:, None] - places).abs())
    factor = torch.linalg.cholesky(SCALE[:, None] * correlation * SCALE)
    constant = float(factor.diagonal().log().sum()) + 3 * math.log(2 * math.pi)

    def sample(n: int, generator: torch.Generator) -> Tensor:
        return MEAN + torch.randn(n, 6, generator=generator, dtype=torch.float64) @ factor.T

    def log_prob(x: Tensor) -> Tensor:
        z = torch.linalg.solve_triangular(factor, (x.double() - MEAN).T, upper=False)
        return -0.5 * z.square().sum(0) - constant

    return Source(Raw(draw("gaussian", SMALL, sample), "array", where="gaussian", named=False), log_prob, {"step": 0})
