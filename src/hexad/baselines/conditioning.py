r"""Gaussians given some of their columns.

.. math:: x_m \mid x_o \sim N\left(\mu_m + G (x_o - \mu_o),\ \Sigma_{mm} - G \Sigma_{om}\right),\qquad
          G = \Sigma_{mo} \Sigma_{oo}^{-1}
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["cholesky", "conditional", "patterns"]


def patterns(missing: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each pattern of missing columns, bool (D,), with the numbers of the records that have it, of (batch, D)."""
    found, which = missing.unique(dim=0, return_inverse=True)
    for i, pattern in enumerate(found):
        yield pattern, (which == i).nonzero()[:, 0]


def conditional(mean: Tensor, factor: Tensor, x: Tensor, missing: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (batch, M) and factor (M, M) of the missing columns, and the log density of the others, (batch,).

    Args:
        mean, factor: of the Gaussian, (D,) and lower triangular (D, D).
        x: records (batch, D), of which the observed columns count.
        missing: bool (D,).
    """
    covariance = factor @ factor.T
    m, o = missing.nonzero()[:, 0], (~missing).nonzero()[:, 0]
    root = cholesky(covariance[o][:, o])
    # L^-1 (x_o - mu_o), and L^-1 Sigma_om
    white = torch.linalg.solve_triangular(root, (x[:, o] - mean[o]).T, upper=False)
    cross = torch.linalg.solve_triangular(root, covariance[o][:, m], upper=False)
    log_p = -0.5 * (white.square().sum(0) + len(o) * math.log(2 * math.pi)) - root.diag().log().sum()
    return mean[m] + white.T @ cross, cholesky(covariance[m][:, m] - cross.T @ cross), log_p


def cholesky(covariance: Tensor) -> Tensor:
    """Return the lower factor L.

    Where rounding made the matrix indefinite a ridge is added, of 1e-10 of its diagonal or the next power of ten that
    helps.
    """
    diagonal = covariance.diag().clamp(min=torch.finfo(covariance.dtype).tiny).diag()
    factor, failed = torch.linalg.cholesky_ex(covariance)
    ridge = 1e-10
    while bool(failed > 0) and ridge < 1:
        factor, failed = torch.linalg.cholesky_ex(covariance + ridge * diagonal)
        ridge *= 10
    return factor
