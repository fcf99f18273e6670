r"""A Gaussian in six dimensions with correlated columns of different sizes, :math:`N(\mu, \Sigma)`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from hexad.data.raw import Raw
from hexad.data.sources.base import SMALL, Source, draw

__all__ = ["MEAN", "SCALE", "gaussian"]

MEAN = torch.tensor([0.0, 1.0, -2.0, 5.0, 0.5, -1.0], dtype=torch.float64)
SCALE = torch.tensor([1.0, 0.5, 2.0, 3.0, 0.2, 1.5], dtype=torch.float64)


def gaussian() -> Source:
    """Return columns of means ``MEAN`` and deviations ``SCALE``; i and j have correlation (-0.7)^|i-j|."""
    places = torch.arange(6, dtype=torch.float64)
    correlation = torch.pow(torch.tensor(-0.7, dtype=torch.float64), (places[:, None] - places).abs())
    law = MultivariateNormal(MEAN, SCALE[:, None] * correlation * SCALE)

    def sample(n: int, generator: torch.Generator) -> Tensor:
        return MEAN + torch.randn(n, 6, generator=generator, dtype=torch.float64) @ law.scale_tril.T

    def log_prob(x: Tensor) -> Tensor:
        return law.log_prob(x.double())

    return Source(Raw(draw("gaussian", SMALL, sample), "array", where="gaussian", named=False), log_prob, {"step": 0})
