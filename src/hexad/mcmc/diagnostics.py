r"""Whether chains agree, and how many independent draws they are worth (Vehtari et al., 2021).

Draws are split in halves and replaced by normal scores of their ranks, so that neither needs moments. R-hat compares
the variance between chains with that within; it is the larger of that of the scores and that of the scores of
:math:`|x - \operatorname{median}|`, which sees chains that differ in spread alone. The bulk effective sample size is

.. math:: \mathrm{ESS} = \frac{S}{\tau},\qquad \tau = -1 + 2\sum_k P_k,\qquad P_k = \rho_{2k} + \rho_{2k+1},

over the pairs P up to the first that is not positive, each no larger than those before it (Geyer's initial monotone
sequence, 1992). For AR(1) :math:`\tau = (1 + \rho)/(1 - \rho)`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["autocorrelation_time", "effective_sample_size", "r_hat", "thinned"]

_NUMBERS = 2**22  # numbers at a time


def r_hat(draws: Tensor) -> Tensor:
    """Return the rank-normalised split R-hat of each column, (D,) in float64; NaN where nothing ever moved.

    Args:
        draws: (n, chains, D), at least 4 a chain.

    Raises:
        ValueError: another shape, or fewer draws.
    """

    def of(x: Tensor) -> Tensor:
        folded = (x - x.flatten(0, 1).quantile(0.5, 0)).abs()
        return torch.maximum(_split_r_hat(_normal_scores(x)), _split_r_hat(_normal_scores(folded)))

    return _by_columns(draws, of)


def effective_sample_size(draws: Tensor) -> Tensor:
    """Return the bulk effective sample size of each column, (D,) in float64; NaN where nothing ever moved.

    Args:
        draws: (n, chains, D), at least 4 a chain.

    Raises:
        ValueError: another shape, or fewer draws.
    """
    return _by_columns(draws, lambda x: _effective(_normal_scores(x)))


def autocorrelation_time(draws: Tensor) -> Tensor:
    """Return tau, the draws that one independent draw is worth, of each column, (D,).

    Args:
        draws: (n, chains, D), at least 4 a chain.
    """
    return draws.shape[0] * draws.shape[1] / effective_sample_size(draws)


def thinned(draws: Tensor, times: float = 2.0) -> Tensor:
    """Return draws so far apart that they count as independent, (m, D): one every ``times`` autocorrelation times.

    Args:
        draws: (n, chains, D), at least 4 a chain.
        times: of the slowest column's; of AR(1) draws two such are correlated by about exp(-2 times).

    Raises:
        ValueError: no column ever moved, or chains shorter than that.
    """
    tau = float(autocorrelation_time(draws).nan_to_num(0.0).max())
    apart = max(1, math.ceil(times * tau))
    if tau == 0 or apart > len(draws):
        raise ValueError(f"draws: expected chains of at least {times} autocorrelation times, got {len(draws)} draws")
    return draws[apart - 1 :: apart].flatten(0, 1)


def _by_columns(draws: Tensor, of: object) -> Tensor:
    """Return a statistic of each column, some columns at a time."""
    if draws.dim() != 3 or len(draws) < 4:
        raise ValueError(f"draws: expected (n, chains, D) with n at least 4, got {tuple(draws.shape)}")
    split = draws[: len(draws) // 2 * 2].unflatten(0, (2, -1)).movedim(0, 1).flatten(1, 2)
    width = max(1, _NUMBERS // (split.shape[0] * split.shape[1]))
    return torch.cat([of(block.double()) for block in split.split(width, 2)])  # type: ignore[operator]


def _normal_scores(x: Tensor) -> Tensor:
    """Return the normal scores of the ranks of each column, ties sharing their mean rank (Blom, 1958)."""
    flat = x.flatten(0, 1).T.contiguous()
    ordered = flat.sort(1).values
    rank = (torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True) + 1).double() / 2
    return torch.special.ndtri((rank - 0.375) / (flat.shape[1] + 0.25)).T.reshape(x.shape)


def _split_r_hat(x: Tensor) -> Tensor:
    """Return the root of the variance of all over that within, of each column."""
    n, within = len(x), x.var(0).mean(0)
    return ((n - 1) / n + x.mean(0).var(0) / within).sqrt()


def _effective(x: Tensor) -> Tensor:
    """Return the effective sample size of each column."""
    n, chains = x.shape[:2]
    covariance = _autocovariance(x).mean(1)
    within = covariance[0] * n / (n - 1)
    everything = within * (n - 1) / n + x.mean(0).var(0)
    rho = 1 - (within - covariance) / everything
    rho[0] = 1.0
    pairs = rho[: n // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cumprod(0).bool()
    tau = -1 + 2 * torch.where(positive, pairs.cummin(0).values, 0.0).sum(0)
    # antithetic chains may be worth more than their number, but not without end
    effective = n * chains / tau.clamp(min=1 / math.log10(n * chains))
    return torch.where(everything > 0, effective, math.nan)


def _autocovariance(x: Tensor) -> Tensor:
    """Return the autocovariances of each chain at lags 0 to n - 1, shaped as x (n, chains, D), by the Fourier rule."""
    n = len(x)
    spectrum = torch.fft.rfft(x - x.mean(0), n=2 * n, dim=0)
    return torch.fft.irfft(spectrum.abs().square(), n=2 * n, dim=0)[:n] / n
