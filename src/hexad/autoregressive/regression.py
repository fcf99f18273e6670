r"""Least squares of a series on its lags and on terms of the time.

.. math:: y_t = c + b\,(t + 1) + \sum_{j=1}^{s} \gamma_j\, 1[t \equiv j - 1 \bmod s] + \sum_i \phi_i\, y_{t-i} +
    \varepsilon_t

Time t is 0 at the first row, so the trend counts from 1. With a constant the dummy of the first season is left out,
whose level the constant then is. They are the rows after the largest lag that are regressed, given those before.

The normal equations are solved by Cholesky's decomposition, of terms scaled to one length and of a series without its
mean where the terms hold a constant, and the solution is refined once by its own residuals (Björck, 1987, of corrected
seminormal equations). Where the terms are nearly dependent, the pseudo-inverse takes their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["TRENDS", "Regression", "deterministic", "least_squares", "term_names"]

TRENDS = ("n", "c", "t", "ct")  # nothing, a constant, a trend, both
DEPENDENT = 1e-5  # Cholesky's least pivot of terms of length 1, below which one refinement is not sure to be enough


@dataclass(frozen=True)
class Regression:
    """What least squares found.

    Args:
        terms: coefficients of the terms of the time, as :func:`term_names` has them.
        phi: of lag 1 to the largest, (p,); 0 where a lag was not taken.
        variance: mean square of the residuals.
        errors: standard errors of the terms, then of the lags that were taken, by the normal law and ``variance``.
        rows: number of rows that were regressed.
    """

    terms: np.ndarray
    phi: np.ndarray
    variance: float
    errors: np.ndarray
    rows: int


def term_names(trend: str, period: int | None) -> list[str]:
    """Return the names of the terms of the time, in their order: ``const``, ``trend``, ``s(2,4)``, ..."""
    names = [name for letter, name in (("c", "const"), ("t", "trend")) if letter in trend]
    return names + [f"s({j},{period})" for j in range(2 if "c" in trend else 1, (period or 0) + 1)]


def deterministic(trend: str, period: int | None, times: np.ndarray) -> np.ndarray:
    """Return the terms of the time at ``times`` (n,), whole numbers from 0, as rows (terms, n)."""
    rows = np.empty((len(term_names(trend, period)), len(times)))
    if "c" in trend:
        rows[0] = 1
    if "t" in trend:
        rows[int("c" in trend)] = times + 1
    if period is not None:
        seasons = np.arange(int("c" in trend), period)
        rows[len(rows) - len(seasons) :] = times % period == seasons[:, None]
    return rows


def least_squares(y: np.ndarray, lags: Sequence[int], trend: str = "c", period: int | None = None) -> Regression:
    """Regress the rows of y (T,) after the largest lag on the terms of the time and on their lags.

    Args:
        y: the series, in float64.
        lags: which to take, each once and in increasing order.
        trend: ``n``, ``c``, ``t`` or ``ct``.
        period: rows in a period, at least 2, or None for no seasons.
    """
    first, names = max([0, *lags]), term_names(trend, period)
    count, n = len(names), len(y) - first
    # the terms whose sum is 1 everywhere, if any: they bear the level of the series
    bears = np.array([float(name == "const" or ("c" not in trend and name.startswith("s("))) for name in names])
    level = float(y[first:].mean()) if bears.any() else 0.0
    z = y - level
    rows = np.empty((count + len(lags) + 1, n))
    rows[:count] = deterministic(trend, period, np.arange(first, len(y)))
    for row, lag in enumerate([*lags, 0], count):
        rows[row] = z[first - lag : len(z) - lag]
    solution, inverse, squares = _solve(rows)
    terms, taken = solution[:count], solution[count:]
    if level:
        # y - m = a + phi (lag - m) is y = a + m (1 - sum phi) + phi lag, a linear map of the coefficients
        terms = terms + bears * (level * (1 - taken.sum()))
        back = np.eye(len(solution))
        back[:count, count:] = -level * bears[:, None]
        inverse = back @ inverse @ back.T
    phi = np.zeros(first)
    phi[[lag - 1 for lag in lags]] = taken
    errors = np.sqrt(squares / n * inverse.diagonal())
    return Regression(terms, phi, squares / n, errors, n)


def _solve(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Regress the last of some rows (k + 1, n) on the others.

    Returns:
        The solution (k,), the inverse Gram matrix (k, k) and the sum of the squares of the residuals.
    """
    design, target = rows[:-1], rows[-1]
    products = rows @ rows.T
    gram, right = products[:-1, :-1], products[:-1, -1]
    if len(design) == 0:
        return right, gram, float(products[0, 0])
    root = _inverse_root(gram)
    if root is None:
        inverse = np.linalg.pinv(design.T, rcond=1e-15)
        solution = inverse @ target
        return solution, inverse @ inverse.T, float(np.square(target - solution @ design).sum())
    solution = root.T @ (root @ right)
    residuals = target - solution @ design
    left = root @ (design @ residuals)
    # of r - c'X: r'r - 2 c'Xr + c'XX'c, and XX'c = Xr
    squares = max(0.0, float(residuals @ residuals - left @ left))
    return solution + root.T @ left, root.T @ root, squares


def _inverse_root(gram: np.ndarray) -> np.ndarray | None:
    """Return R with R'R the inverse of a Gram matrix (k, k), or None where the terms are nearly dependent."""
    lengths = np.sqrt(gram.diagonal())
    if not lengths.all():
        return None
    try:
        factor = np.linalg.cholesky(gram / lengths / lengths[:, None])
    except np.linalg.LinAlgError:
        return None
    if not factor.diagonal().min() > DEPENDENT:
        return None
    return np.asarray(np.linalg.inv(factor)) / lengths
