r"""Real columns that are linear functions of others: their joint density lies on a plane and is unbounded.

Columns are taken in order, those with a step first, since a cell has a mass whatever it depends on. With R their
correlations and L the Cholesky factor of the columns kept so far, column j leaves of its variance the part

.. math:: 1 - |L^{-1} R_{\cdot j}|^2 ,

and where that is nothing but rounding it is a function of those kept, with the weights
:math:`L^{-T} L^{-1} R_{\cdot j}`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hexad.data.columns import listed

__all__ = ["dependence_note", "dependent_columns"]

WIDEST = 512
ROWS = 200_000
LEAST = 1e-11  # of a column's variance, three millionths of its deviation: float32 sees little more


def dependent_columns(x: np.ndarray, stepped: Sequence[bool]) -> dict[int, list[int]]:
    """Return which columns without a step are linear functions of which others.

    More than 512 columns, or no more rows than columns, are not looked at; of many rows 200,000 evenly spread ones are.

    Args:
        x: records (n, D) of real columns, none of them constant.
        stepped: which columns have a step.
    """
    x = x[:: max(1, len(x) // ROWS)].astype(np.float64)
    n, d = x.shape
    if d > WIDEST or n <= d + 1:
        return {}
    x -= x.mean(0)
    x /= np.sqrt(np.square(x).mean(0))
    correlation = x.T @ x / n
    factor = np.zeros((d, d))
    kept: list[int] = []
    found: dict[int, list[int]] = {}
    for j in sorted(range(d), key=lambda i: not stepped[i]):
        k = len(kept)
        row = _solved(factor[:k, :k], correlation[kept, j], upper=False)
        left = 1.0 - float(row @ row)
        if left > LEAST:
            factor[k, :k], factor[k, k] = row, np.sqrt(left)
            kept.append(j)
        elif not stepped[j]:
            weights = _solved(factor[:k, :k].T, row, upper=True)
            found[j] = [kept[i] for i in np.flatnonzero(np.abs(weights) > 1e-4)]
    return found


def _solved(factor: np.ndarray, right: np.ndarray, upper: bool) -> np.ndarray:
    """Return the solution of a triangular system, (k,)."""
    given = torch.from_numpy(right)[:, None]
    return torch.linalg.solve_triangular(torch.from_numpy(factor), given, upper=upper)[:, 0].numpy()


def dependence_note(x: np.ndarray, stepped: Sequence[bool], names: Sequence[str]) -> str | None:
    """Return the line that tells the user of such columns, or None where there are none."""
    found = {names[j]: listed(names[i] for i in of) for j, of in sorted(dependent_columns(x, stepped).items())}
    if not found:
        return None
    said = listed(f"{name} (of {of})" for name, of in found.items())
    return (
        f"columns that are linear functions of others on the training rows: {said}; their density is unbounded, so "
        f"likelihoods mean nothing; leave them out with --data drop={','.join(found)}"
    )
