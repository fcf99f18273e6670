r"""The grid on which a real column was recorded.

Densities of rounded records are unbounded, so each real column has a step :math:`d`: where at least 1 % of its training
rows share their value with another row, :math:`d` is the smallest gap between distinct values, or a half to a tenth
of it, of which all gaps are multiples to :math:`10^{-3}`; else 0. Only ratios of the column's values enter, so the step
of :math:`c x` is :math:`c d`, and bit for bit where :math:`c` is a power of two.
"""

from __future__ import annotations

import numpy as np

__all__ = ["decimals", "find_step", "offset"]

SHARED = 0.01
TOLERANCE = 1e-3
MOST = 2.0**50


def find_step(values: np.ndarray) -> float:
    """Return the step of a column, 0 where it has none.

    Args:
        values: finite numbers (n,), of any real type; that of the floats says how far noise may move a value.
    """
    epsilon = float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else float(np.finfo(np.float64).eps)
    ordered = np.sort(values, kind="stable").astype(np.float64)
    noise = 8 * epsilon * float(np.abs(ordered[[0, -1]]).max())
    starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > noise]))
    counts = np.diff(np.append(starts, len(ordered)))
    if len(starts) < 2 or counts[counts > 1].sum() < SHARED * len(ordered):
        return 0.0
    gaps = np.diff(ordered[starts])
    smallest = float(gaps.min())
    step = next((step for part in range(1, 11) if (step := _fit(gaps, smallest / part, noise))), 0.0)
    return _clean(step, noise / float(gaps.sum()))


def _fit(gaps: np.ndarray, step: float, noise: float) -> float:
    """Return the step near ``step`` of which all gaps are multiples, or 0.

    The smallest gap carries the noise of two values, which grows with the multiple; so the step is fitted to gaps of a
    few steps first, then to ever wider ones.
    """
    wide, widest = 16.0, float(gaps.max()) / step
    if widest > MOST:
        return 0.0
    while True:
        near = gaps[gaps <= wide * step]
        multiples = np.rint(near / step)
        if (np.abs(near - multiples * step) > _slack(step, noise)).any():
            return 0.0
        step = float(near.sum() / multiples.sum())
        if wide > 2 * widest:
            break
        wide *= 16
    return step if (np.abs(gaps - np.rint(gaps / step) * step) <= _slack(step, noise)).all() else 0.0


def _clean(step: float, error: float) -> float:
    """Return the shortest decimal within a relative error of ``step``, else ``step``: 0.1 for 0.09999999999999999.

    Up to ten digits, so that a step and its product with a power of two are either both short or both left.
    """
    shorter = (float(f"{step:.{digits}e}") for digits in range(10))
    return next((short for short in shorter if abs(short - step) <= error * step), step)


def _slack(step: float, noise: float) -> float:
    return max(TOLERANCE * step, min(noise, 0.05 * step))


def offset(values: np.ndarray, step: float) -> float:
    """Return a point of the grid of width ``step`` on which values (n,) lie: the smallest value, else 0."""
    if not step:
        return 0.0
    low = float(values.min())
    places = (values - low) / step
    return low if (np.abs(places - np.rint(places)) < 0.01).all() else 0.0


def decimals(step: float, start: float) -> int | None:
    """Return the number of decimals that all points ``start + k step`` have, None where they do not end by the twelfth.

    >>> decimals(0.25, 10.0), decimals(1 / 3, 0.0)
    (2, None)
    """
    for places in range(13):
        if abs(round(step, places) - step) <= 1e-13 * step and abs(round(start, places) - start) <= 1e-6 * step:
            return places
    return None
