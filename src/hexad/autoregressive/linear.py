r"""Estimators of a linear autoregression :math:`y_t = c + \sum_i \phi_i y_{t-i} + \varepsilon_t`.

Each takes a series y (T,) in float64 and the number of lags, and returns the intercept, the coefficients (p,) and the
variance of the noise. Those of Yule and Walker and of Burg are stationary whatever the series.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.autoregressive.regression import least_squares

__all__ = [
    "burg",
    "exact_likelihood",
    "lagged",
    "levinson",
    "partial_autocorrelations",
    "yule_walker",
]


def lagged(y: Tensor, lags: Sequence[int]) -> Tensor:
    """Return the rows of y (T,) that are ``lags`` before each row that has them all, (T - max lag, lags)."""
    first = max([0, *lags])
    return torch.stack([y[first - lag : len(y) - lag] for lag in lags], 1) if lags else y.new_zeros(len(y), 0)


def levinson(partial: Tensor) -> list[Tensor]:
    """Return the best predictors of order 0 to p, ``[(0,), (1,), ..., (p,)]``, of the partial autocorrelations (p,)."""
    predictors = [partial[:0]]
    for r in partial:
        last = predictors[-1]
        predictors.append(torch.cat([last - r * last.flip(0), r[None]]))
    return predictors


def partial_autocorrelations(phi: Tensor) -> Tensor | None:
    """Return those of a stationary autoregression phi (p,), or None where it is not stationary."""
    partial, a = [], phi
    while len(a):
        r = a[-1]
        if not r.abs() < 1:
            return None
        partial.append(r)
        a = (a[:-1] + r * a[:-1].flip(0)) / (1 - r.square())
    return torch.stack(partial[::-1]) if partial else phi


def exact_likelihood(y: Tensor, p: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return intercept, coefficients (p,) and variance that maximise the exact Gaussian likelihood of y (T,).

    The partial autocorrelations, through tanh, and the mean are free; the variance is concentrated out (Box and
    Jenkins, 1970; Jones, 1980). L-BFGS starts from conditional least squares where that is stationary.
    """
    first = least_squares(y.cpu().numpy(), range(1, p + 1)).phi
    partial = partial_autocorrelations(torch.from_numpy(first).to(y))
    if partial is None:
        partial = torch.cat([y.new_full((1,), 0.9), y.new_zeros(p - 1)])
    with torch.enable_grad():
        free = torch.atanh(partial.clamp(-0.999999, 0.999999)).requires_grad_()
        # in units of the deviation, and from the mean, so that both parts of the problem are of one size
        centre, scale = y.mean(), y.std(correction=0)
        shift = torch.zeros_like(centre).requires_grad_()
        z = (y - centre) / scale

        def squares() -> tuple[list[Tensor], Tensor, Tensor]:
            """Return the predictors, the weighted squares of all innovations and the sum of the log weights."""
            r = torch.tanh(free)
            predictors = levinson(r)
            u = z - shift
            early = [u[t] - (predictors[t] * u[:t].flip(0)).sum() for t in range(p)]
            log_weights = -torch.log1p(-r.square()).flip(0).cumsum(0).flip(0)  # log v_t / sigma^2 for t < p
            late = u[p:] - lagged(u, range(1, p + 1)) @ predictors[p]
            total = late.square().sum()
            if early:
                total = total + (torch.stack(early).square() * torch.exp(-log_weights)).sum()
            return predictors, total, log_weights.sum()

        optimizer = torch.optim.LBFGS(
            [free, shift], max_iter=500, tolerance_grad=1e-11, tolerance_change=1e-14, line_search_fn="strong_wolfe"
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            _, total, log_weights = squares()
            loss = 0.5 * torch.log(total / len(z)) + 0.5 * log_weights / len(z)
            loss.backward()
            return loss

        optimizer.step(closure)
    with torch.no_grad():
        predictors, total, _ = squares()
        mean = centre + scale * shift
        return mean * (1 - predictors[p].sum()), predictors[p], scale.square() * total / len(z)


def yule_walker(y: Tensor, p: int) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return the solution of :math:`\sum_i \phi_i \gamma_{|k-i|} = \gamma_k` with the autocovariances over T (Yule,
    1927; Walker, 1931).

    The partial autocorrelations come by Durbin and Levinson's recursion, :math:`r_m = (\gamma_m - \sum_i
    \phi^{(m-1)}_i \gamma_{m-i}) / v_{m-1}`.
    """
    mean = y.mean()
    u = y - mean
    gamma = torch.stack([(u[: len(u) - k] * u[k:]).sum() / len(u) for k in range(p + 1)])
    phi, variance = y[:0], gamma[0]
    for m in range(1, p + 1):
        # a series without variance has no correlations
        r = torch.where(variance > 0, (gamma[m] - (phi * gamma[1:m].flip(0)).sum()) / variance, 0.0)
        phi = torch.cat([phi - r * phi.flip(0), r[None]])
        variance = variance * (1 - r.square())
    return mean * (1 - phi.sum()), phi, variance


def burg(y: Tensor, p: int) -> tuple[Tensor, Tensor, Tensor]:
    r"""Return the predictors that least-squares errors forward and backward give, order after order (Burg, 1967).

    With errors f forward and b backward, :math:`r_m = 2 \sum f b / \sum (f^2 + b^2)`.
    """
    mean = y.mean()
    u = y - mean
    forward, backward = u[1:], u[:-1]
    phi, variance = y[:0], u.square().mean()
    for _ in range(p):
        power = (forward.square() + backward.square()).sum()
        r = torch.where(power > 0, 2 * (forward * backward).sum() / power, 0.0)
        phi = torch.cat([phi - r * phi.flip(0), r[None]])
        variance = variance * (1 - r.square())
        forward, backward = (forward - r * backward)[1:], (backward - r * forward)[:-1]
    return mean * (1 - phi.sum()), phi, variance
