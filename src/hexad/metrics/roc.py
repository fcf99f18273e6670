r"""The area under the ROC curve of a score: how often a strange record scores above a normal one.

.. math:: A = \frac1{mn}\sum_{i,j}\left([s_i > t_j] + \tfrac12[s_i = t_j]\right)

the Mann-Whitney statistic, with the standard error of DeLong, DeLong and Clarke-Pearson (1988),
:math:`\sqrt{S_{10}/m + S_{01}/n}`: :math:`S_{10}` is the variance over strange records of their shares of normal ones
below, :math:`S_{01}` that over normal records of their shares of strange ones above.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from hexad.checks import InputError

__all__ = ["AUROC", "auroc"]


class AUROC(NamedTuple):
    """An area under the ROC curve.

    Args:
        value: 1/2 where the scores tell nothing apart, 1 where every strange record scores higher.
        stderr: DeLong's; 0 where all pairs agree, which says little of few records; NaN where a side has only one.
    """

    value: float
    stderr: float


def auroc(normal: Any, strange: Any) -> AUROC:
    """Return the area under the ROC curve of scores that are to be higher for strange records. Ties count half.

    >>> auroc([0.0, 1.0, 2.0], [1.0, 2.0, 3.0])
    AUROC(value=0.777..., stderr=0.207...)

    Args:
        normal: scores of normal records, (n,).
        strange: scores of strange records, (m,).

    Raises:
        InputError: a side has no scores, or NaN among them, or is not one row of numbers.
    """
    from scipy.stats import rankdata

    t, s = _scores(normal, "normal"), _scores(strange, "strange")
    n, m = len(t), len(s)
    # the rank of a score among all, less that among its own, counts the others below it, ties half
    ranks = rankdata(np.concatenate([t, s]))
    below = (ranks[n:] - rankdata(s)) / n
    above = 1 - (ranks[:n] - rankdata(t)) / m
    value = float(below.mean())
    if min(n, m) < 2:
        return AUROC(value, math.nan)
    return AUROC(value, math.sqrt(float(below.var(ddof=1)) / m + float(above.var(ddof=1)) / n))


def _scores(values: Any, side: str) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise InputError(f"auroc: expected at least one {side} score in a row, got shape {scores.shape}")
    missing = int(np.isnan(scores).sum())
    if missing:
        raise InputError(f"auroc: {missing} of {len(scores)} {side} scores are NaN; expected numbers")
    return scores
