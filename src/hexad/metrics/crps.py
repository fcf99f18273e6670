r"""The continuous ranked probability score, in the data's unit: the absolute error of a forecast that is a law.

.. math:: \mathrm{CRPS}(F, y) = \int (F(x) - [x \ge y])^2 dx = E|X - y| - \tfrac12 E|X - X'|, \quad X, X' \sim F

It is strictly proper: in expectation the law of y itself has the least, and nothing else does.

Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation, 2007. Ferro, Fair scores for ensemble
forecasts, 2014.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["gaussian_crps", "sample_crps"]


def sample_crps(samples: Tensor, y: Tensor) -> Tensor:
    r"""Return the fair score of draws, shaped as y: its mean over draws is the score of their law.

    .. math:: \frac1n\sum_i|x_i - y| - \frac1{2n(n-1)}\sum_{ij}|x_i - x_j|, \qquad
        \sum_{ij}|x_i - x_j| = 2\sum_i (2i - n - 1)\, x_{(i)}

    Args:
        samples: n draws of each value, (n, ...), of any order.
        y: what came, (...).

    Raises:
        ValueError: fewer than two draws, or shapes that do not fit.
    """
    n = len(samples)
    if n < 2 or samples.shape[1:] != y.shape:
        raise ValueError(
            f"sample_crps: expected at least 2 draws of shape {tuple(y.shape)}, got {tuple(samples.shape)}"
        )
    ranks = torch.arange(1, n + 1, dtype=samples.dtype, device=samples.device)
    weights = ((2 * ranks - n - 1) / (n * (n - 1))).reshape(-1, *[1] * y.dim())
    # the weights sum to 0: a shift by y changes nothing but the rounding
    apart = (samples - y).sort(0).values
    return apart.abs().mean(0) - (weights * apart).sum(0)


def gaussian_crps(mean: Tensor, deviation: Tensor, y: Tensor) -> Tensor:
    r"""Return the score of :math:`N(\mu, \sigma^2)`, broadcast; with :math:`z = (y - \mu) / \sigma`,

    .. math:: \sigma\left(z\,(2\Phi(z) - 1) + 2\varphi(z) - 1/\sqrt\pi\right).
    """
    z = (y - mean) / deviation
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return deviation * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
