r"""A series of order two, :math:`x_t = 1.2 x_{t-1} - 0.5 x_{t-2} + \epsilon_t` with :math:`\epsilon_t \sim N(0, 1)`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.data.raw import Raw
from hexad.data.sources.base import Source
from hexad.randomness import stream

__all__ = ["PHI", "SIZES", "ar2", "log_prob"]

PHI = (1.2, -0.5)
SIZES = (4_000, 500, 1_000)
# stationary variance and first autocorrelation (Yule-Walker)
RHO = PHI[0] / (1 - PHI[1])
VARIANCE = 1 / (1 - PHI[0] * RHO - PHI[1] * (PHI[1] + PHI[0] * RHO))


def log_prob(x: Tensor) -> Tensor:
    """Return the log-density of each time given all before it in ``x``, float64 (T,); the sum is that of the piece.

    The first two times follow the stationary law.
    """
    x = x.double().reshape(-1)
    mean, variance = torch.zeros_like(x), torch.ones_like(x)
    mean[2:] = PHI[0] * x[1:-1] + PHI[1] * x[:-2]
    variance[:1] = VARIANCE
    mean[1:2] = RHO * x[: len(x[1:2])]
    variance[1:2] = VARIANCE * (1 - RHO**2)
    return -0.5 * ((x - mean).square() / variance + variance.log() + math.log(2 * math.pi))


def ar2() -> Source:
    """Return one path of 5,500 times, cut into three pieces in time order."""
    n = sum(SIZES)
    eps = torch.randn(n, generator=stream(0, "data", "ar2"), dtype=torch.float64).tolist()
    path = [math.sqrt(VARIANCE) * eps[0]]
    path.append(RHO * path[0] + math.sqrt(VARIANCE * (1 - RHO**2)) * eps[1])
    for t in range(2, n):
        path.append(PHI[0] * path[-1] + PHI[1] * path[-2] + eps[t])
    pieces = torch.tensor(path, dtype=torch.float64)[:, None].split(list(SIZES))
    parts = {split: piece.numpy() for split, piece in zip(("train", "valid", "test"), pieces, strict=True)}
    return Source(Raw(parts, "array", where="ar2", named=False), log_prob, {"layout": "series", "step": 0})
