r"""Least squares of several columns together on terms of the time, on a context, and on the lags of all columns.

With the same regressors :math:`z_t` in every equation :math:`y_t = C z_t + \varepsilon_t` it is maximum likelihood
given the first rows, whatever the covariance of the noise, and :math:`\mathrm{cov}(\mathrm{vec}\, \hat C) =
(Z^\top Z)^{-1} \otimes \Sigma` (Lütkepohl, 2005).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hexad.autoregressive.regression import deterministic, independent, term_names

__all__ = [
    "FLOOR",
    "JointRegression",
    "companion_matrix",
    "joint_least_squares",
    "joint_order",
    "stationary_covariance",
]

FLOOR = 1e-12  # of the noise's variance, in units of the column's own


@dataclass(frozen=True)
class JointRegression:
    """What least squares found of D columns.

    Args:
        terms: coefficients of the terms of the time, (D, terms), as
            :func:`~hexad.autoregressive.regression.term_names` has them.
        effects: of the context, (D, k); 0 for what depends on the rest.
        matrices: of lag 1 to p, (p, D, D): row d is of the equation of column d.
        residuals: (T - p, D).
        errors: standard errors of the terms, of the lags, columns of one lag beside each other, then of the context,
            (D, terms + p D + k), with the residuals' squares over the rows that are left beside the coefficients.
    """

    terms: np.ndarray
    effects: np.ndarray
    matrices: np.ndarray
    residuals: np.ndarray
    errors: np.ndarray


def _levels(
    y: np.ndarray, first: int, trend: str, period: int | None, context: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of the time and what of the context (k, T) does not depend on them, rows (m, T - first), of the
    rows from ``first`` on, and which of the context's rows these are, (k,).
    """
    terms = deterministic(trend, period, first, len(y))
    if context is None:
        return terms, np.zeros(0, dtype=bool)
    # a level that a constant bears says nothing of dependence, and far from zero it hides the rest
    away = context.mean(1, keepdims=True) * ("c" in trend or period is not None)
    kept = independent(terms, (context - away)[:, first:])
    return np.concatenate([terms, context[kept, first:]]), kept


def joint_least_squares(
    y: np.ndarray, p: int, trend: str = "c", period: int | None = None, context: np.ndarray | None = None
) -> JointRegression:
    """Regress the rows of y (T, D) after the first p on the terms of the time, the context and p lags of all columns.

    Args:
        y: the series, in float64.
        p: number of lags.
        trend: ``n``, ``c``, ``t`` or ``ct``.
        period: rows in a period, at least 2, or None for no seasons.
        context: of every row, (k, T), or None; what depends on the terms of the time or on the context's rows behind
            it is left out.
    """
    (rows, dims), names = y.shape, term_names(trend, period)
    count, n = len(names), rows - p
    # the terms whose sum is 1 everywhere, if any: they bear the levels of the series and of the context
    bears = np.array([float(name == "const" or ("c" not in trend and name.startswith("s("))) for name in names])
    level = y[p:].mean(0) if bears.any() else np.zeros(dims)
    beside, kept = _levels(y, p, trend, period, context)
    usual = beside[count:].mean(1) if bears.any() else np.zeros(len(beside) - count)
    beside[count:] -= usual[:, None]
    z = y - level
    design = np.concatenate([beside, *(z[p - lag : rows - lag].T for lag in range(1, p + 1))])
    lengths = np.linalg.norm(design, axis=1)
    lengths[lengths == 0] = 1
    # columns may repeat each other: the pseudo-inverse bears that, where it leaves out what is rounding, which goes by
    # the levels, not by what is left without them
    spread = z.std(0)
    beyond = np.abs(y).max(0) / np.where(spread > 0, spread, np.inf)
    rounding = max(design.shape) * np.finfo(np.float64).eps * max(1.0, float(beyond.max()))
    root = np.linalg.pinv((design / lengths[:, None]).T, rtol=rounding) / lengths[:, None]
    solution = root @ z[p:]
    residuals = z[p:] - design.T @ solution
    effects, lagged = slice(count, count + len(usual)), slice(count + len(usual), None)
    # y - m = a + A (lag - m) + B (x - u) is y = a + m - A m - B u + A lag + B x, a linear map
    levels = np.tile(level, p)
    moved = level - levels @ solution[lagged] - usual @ solution[effects]
    terms = solution[:count] + np.outer(bears, moved)
    root[:count] -= np.outer(bears, levels @ root[lagged] + usual @ root[effects])
    left = max(1, n - len(design))
    errors = np.sqrt(np.outer(np.square(residuals).sum(0) / left, np.square(root).sum(1)))
    of_context = np.zeros((2, dims, len(kept)))
    of_context[:, :, kept] = solution[effects].T, errors[:, effects]
    return JointRegression(
        terms.T,
        of_context[0],
        solution[lagged].reshape(p, dims, dims).transpose(0, 2, 1),
        residuals,
        np.concatenate([errors[:, :count], errors[:, lagged], of_context[1]], 1),
    )


def joint_order(
    y: np.ndarray,
    top: int,
    price: Callable[[int], float],
    trend: str = "c",
    period: int | None = None,
    context: np.ndarray | None = None,
) -> int:
    r"""Return the order p, at most ``top``, with the least :math:`n \log|\Sigma| + \mathrm{price}(n)\, p D^2`.

    All orders are of the rows after the first ``top``. One QR decomposition has the residuals of all: what an order
    leaves of the columns is their part in the directions behind its regressors.
    """
    rows, dims = y.shape
    spread = y.std(0)
    z = (y - y.mean(0) * ("c" in trend or period is not None)) / np.where(spread > 0, spread, 1)
    beside, _ = _levels(y, top, trend, period, context)
    lags = [z[top - lag : rows - lag] for lag in range(1, top + 1)]
    r: np.ndarray = np.linalg.qr(np.concatenate([beside.T, *lags, z[top:]], 1), mode="r")  # type: ignore[assignment]
    n, scores = rows - top, []
    for p in range(top + 1):
        below = r[len(beside) + p * dims :, -dims:]
        covariance = below.T @ below / n + FLOOR * np.eye(dims)
        scores.append(n * float(np.linalg.slogdet(covariance)[1]) + price(n) * p * dims**2)
    return int(np.argmin(scores))


def stationary_covariance(matrices: np.ndarray, covariance: np.ndarray) -> list[np.ndarray] | None:
    r"""Return :math:`\Gamma_k = E[y_t y_{t-k}^\top]` for k below the number of matrices, None if there is none.

    The companion's :math:`P = F P F^\top + Q` is solved by doubling: after m rounds the sum holds :math:`2^m` terms.
    """
    span, dims = matrices.shape[:2]
    companion = companion_matrix(matrices)
    if np.abs(np.linalg.eigvals(companion)).max() >= 1 - 1e-6:
        return None
    total, power = np.zeros_like(companion), companion
    total[:dims, :dims] = covariance
    for _ in range(30):
        total = total + power @ total @ power.T
        power = power @ power
    return [total[:dims, k * dims : (k + 1) * dims] for k in range(span)]


def companion_matrix(matrices: np.ndarray) -> np.ndarray:
    """Return the matrix that takes p rows, the last first, to the next p, (p D, p D); p at least 1."""
    p, dims = matrices.shape[:2]
    companion = np.diag(np.ones((p - 1) * dims), -dims)
    companion[:dims] = matrices.transpose(1, 0, 2).reshape(dims, p * dims)
    return companion
