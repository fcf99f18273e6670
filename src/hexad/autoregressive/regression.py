r"""Least squares of a series on its lags and on terms of the time.

.. math:: y_t = c + b\,(t + 1) + \sum_{j=1}^{s} \gamma_j\, 1[t \equiv j - 1 \bmod s] + \sum_i \phi_i\, y_{t-i} +
    \beta' x_t + \varepsilon_t

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

from hexad.autoregressive.design import Dense, design_of

__all__ = ["TRENDS", "Regression", "deterministic", "independent", "least_squares", "split_terms", "term_names"]

TRENDS = ("n", "c", "t", "ct")  # nothing, a constant, a trend, both
DEPENDENT = 1e-5  # Cholesky's least pivot of terms of length 1, below which one refinement is not sure to be enough


@dataclass(frozen=True)
class Regression:
    """What least squares found.

    Args:
        terms: coefficients of the terms of the time, as :func:`term_names` has them.
        effects: of the context, (k,); 0 for what depends on the rest.
        phi: of lag 1 to the largest, (p,); 0 where a lag was not taken.
        variance: mean square of the residuals.
        errors: standard errors of the terms, then of the lags that were taken, then of the context, by the normal law
            and ``variance``.
        rows: number of rows that were regressed.
    """

    terms: np.ndarray
    effects: np.ndarray
    phi: np.ndarray
    variance: float
    errors: np.ndarray
    rows: int


def term_names(trend: str, period: int | None) -> list[str]:
    """Return the names of the terms of the time, in their order: ``const``, ``trend``, ``s(2,4)``, ..."""
    names = [name for letter, name in (("c", "const"), ("t", "trend")) if letter in trend]
    return names + [f"s({j},{period})" for j in range(2 if "c" in trend else 1, (period or 0) + 1)]


def split_terms(terms: np.ndarray, trend: str, period: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return constant (...), slope (...) and seasons (..., period or 1) of coefficients (..., terms)."""
    constant, zero = int("c" in trend), np.zeros(terms.shape[:-1])
    seasons = np.zeros((*terms.shape[:-1], period or 1))
    if period is not None:
        seasons[..., constant:] = terms[..., terms.shape[-1] - period + constant :]
    return terms[..., 0] if constant else zero, terms[..., constant] if "t" in trend else zero, seasons


def deterministic(trend: str, period: int | None, first: int, end: int) -> np.ndarray:
    """Return the terms of the time from ``first`` on to before ``end``, whole numbers from 0, as rows (terms, n)."""
    rows = np.empty((len(term_names(trend, period)), end - first))
    if "c" in trend:
        rows[0] = 1
    if "t" in trend:
        rows[int("c" in trend)] = np.arange(first + 1, end + 1)
    if period is not None:
        seasons = np.arange(int("c" in trend), period)
        rows[len(rows) - len(seasons) :] = np.arange(first, end) % period == seasons[:, None]
    return rows


def least_squares(
    y: np.ndarray, lags: Sequence[int], trend: str = "c", period: int | None = None, context: np.ndarray | None = None
) -> Regression:
    """Regress the rows of y (T,) after the largest lag on the terms of the time, on their lags and on the context.

    Args:
        y: the series, in float64.
        lags: which to take, each once and in increasing order.
        trend: ``n``, ``c``, ``t`` or ``ct``.
        period: rows in a period, at least 2, or None for no seasons.
        context: of every row, (k, T), or None. What depends on the terms of the time and on what stands behind it in
            the context is left out: of classes written as one-hot numbers so the first one, which the others are
            measured from.
    """
    first, names = max([0, *lags]), term_names(trend, period)
    count, n = len(names), len(y) - first
    # the terms whose sum is 1 everywhere, if any: they bear the levels of the series and of the context
    bears = np.array([float(name == "const" or ("c" not in trend and name.startswith("s("))) for name in names])
    level = float(y[first:].mean()) if bears.any() else 0.0
    beside = deterministic(trend, period, first, len(y))
    kept, usual = np.zeros(0, dtype=bool), np.zeros(0)
    if context is not None:
        x = context[:, first:]
        usual = x.mean(1) if bears.any() else np.zeros(len(x))
        x = x - usual[:, None]
        kept = independent(beside, x)
        beside, usual = np.concatenate([beside, x[kept]]), usual[kept]
    solution, root, squares = _solve(beside, y - level, lags)
    effects, lagged = slice(count, count + len(usual)), slice(count + len(usual), None)
    terms, taken = solution[:count], solution[lagged]
    if level or usual.any():
        # y - m = a + phi (lag - m) + b (x - u) is y = a + m (1 - sum phi) - b u + phi lag + b x, a linear map
        terms = terms + bears * (level * (1 - taken.sum()) - solution[effects] @ usual)
        root[:, :count] -= np.outer(level * root[:, lagged].sum(1) + root[:, effects] @ usual, bears)
    phi = np.zeros(first)
    phi[[lag - 1 for lag in lags]] = taken
    errors = np.sqrt(squares / n * np.square(root).sum(0))
    of_context = np.zeros((2, len(kept)))
    of_context[:, kept] = solution[effects], errors[effects]
    errors = np.concatenate([errors[:count], errors[lagged], of_context[1]])
    return Regression(terms, of_context[0], phi, squares / n, errors, n)


def independent(terms: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return which rows of x (k, n) depend neither on the terms (c, n) nor on the rows of x behind them."""
    basis, kept = np.linalg.qr(terms.T)[0], np.zeros(len(x), dtype=bool)
    for j in reversed(range(len(x))):
        rest = x[j]
        for _ in range(2):  # what the first pass leaves by its rounding, the second one takes
            rest = rest - basis @ (rest @ basis)
        length = np.linalg.norm(rest)
        kept[j] = length > 1e-8 * np.linalg.norm(x[j])
        if kept[j]:
            basis = np.concatenate([basis, rest[:, None] / length], 1)
    return kept


def _solve(beside: np.ndarray, z: np.ndarray, lags: Sequence[int]) -> tuple[np.ndarray, np.ndarray, float]:
    """Regress a series on some rows and on its lags, as :class:`~hexad.autoregressive.design.Dense` takes them.

    Returns:
        The solution (k,), R (m, k) with R'R the inverse Gram matrix, and the sum of the squares of the residuals.
    """
    design = design_of(beside, z, lags)
    gram, right = design.normal_equations()
    if not len(gram):
        return right, gram, float(design.target @ design.target)
    root = _inverse_root(gram)
    if root is None:
        rows = Dense(beside, z, lags).rows
        inverse = np.linalg.pinv(rows.T, rcond=1e-15)
        solution = inverse @ design.target
        return solution, inverse.T, float(np.square(design.target - solution @ rows).sum())
    solution = root.T @ (root @ right)
    residuals = design.residuals(solution)
    left = root @ design.products(residuals)
    # of r - c'X: r'r - 2 c'Xr + c'XX'c, and XX'c = Xr
    squares = max(0.0, float(residuals @ residuals - left @ left))
    return solution + root.T @ left, root, squares


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
