"""Declared bounds of real columns: which column has which, and whether values lie within them.

Bounds are what the user declares and never found: the least and the largest value of some records bound nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hexad.checks import InputError
from hexad.data.options import per_column
from hexad.event import Event, Support

__all__ = ["SLACK", "bounds_of", "check_bounds", "limits", "row_number"]

SLACK = 1e-3  # of a step: how far rounding may put a point of the grid beyond a bound


def bounds_of(given: Any, kinds: list[str], names: tuple[str, ...]) -> list[tuple[float, float]]:
    """Return (low, high) of each column, infinite where it has none; one pair for all is that of the real columns.

    Args:
        given: the option, one pair, a tuple of pairs or a mapping by name.
        kinds: of the columns.
        names: of the columns, or empty.

    Raises:
        InputError: no real column is there, or one that is not real is given bounds.
    """
    found = per_column(given, names, len(kinds), "bounds")
    wrong = [i for i, kind in enumerate(kinds) if kind != "real" and found[i] is not None]
    if wrong and (isinstance(given, dict) or len(wrong) == len(kinds) or found[0] is not given):
        name = names[wrong[0]] if names else str(wrong[0])
        raise InputError(f"data option bounds: column {name} is {kinds[wrong[0]]}, bounds are for real columns")
    pairs = [(None, None) if kind != "real" or pair is None else pair for kind, pair in zip(kinds, found, strict=True)]
    return [(-math.inf if low is None else low, math.inf if high is None else high) for low, high in pairs]


def row_number(row: int, rows: np.ndarray | None) -> int:
    """Return what users call a row, from 1: by the given numbers, from 0, or as it stands."""
    return 1 + (row if rows is None else int(rows[row]))


def check_bounds(x: np.ndarray, event: Event, where: str, rows: np.ndarray | None = None) -> None:
    """Check that records (n, *event.shape) lie within the event's bounds; ``rows`` are what their rows are called.

    A value may lie on a bound where it stands for a cell, which reaches inside; a density has no value there.

    Raises:
        InputError: one does not; column, value, row and bound are named.
    """
    columns = [i for i, support in enumerate(event.supports) if support.bounded]
    flat = x.reshape(len(x), event.dims)
    for i in columns:
        support, values = event.supports[i], flat[:, i].astype(np.float64)
        on = (values == support.low) | (values == support.high) if not support.step else np.zeros(len(values), bool)
        slack = SLACK * support.step
        bad = (values < support.low - slack) | (values > support.high + slack) | on
        if not bad.any():
            continue
        row = int(np.argmax(bad))
        low = values[row] <= support.low
        bound = f"its lower bound {support.low:.12g}" if low else f"its upper bound {support.high:.12g}"
        name = f"column {event.names[i]}" if event.names else f"element {i} of a record"
        held = f"{where}: {name} holds {values[row]:.12g} in row {row_number(row, rows)}"
        if on[row]:
            raise InputError(
                f"{held}, on {bound}, where a density has no value; expected values inside, "
                "widen it with --data bounds=..., or give the grid of the column with --data step=..."
            )
        side = "below" if low else "above"
        raise InputError(f"{held}, {side} {bound}; expected values within, mend it or widen --data bounds=...")


def limits(support: Support, dtype: str, start: float = 0.0) -> tuple[float, float]:
    """Return the least and the largest value that a bounded column's samples may have, infinite where it has no bound.

    Args:
        support: a real column's.
        dtype: the type in which they are given: the numbers next to a bound are its.
        start: a point of the column's grid, where it has a step.
    """
    low, high, step = support.low, support.high, support.step
    if step:
        first = start + math.ceil((low - start) / step - SLACK) * step if math.isfinite(low) else low
        last = start + math.floor((high - start) / step + SLACK) * step if math.isfinite(high) else high
        return first, last
    kind = np.dtype(dtype)
    if kind.kind != "f":  # whole numbers
        return math.floor(low) + 1 if math.isfinite(low) else low, math.ceil(high) - 1 if math.isfinite(high) else high
    first, last = kind.type(low), kind.type(high)
    if math.isfinite(low) and float(first) <= low:
        first = np.nextafter(first, kind.type(math.inf))
    if math.isfinite(high) and float(last) >= high:
        last = np.nextafter(last, kind.type(-math.inf))
    return float(first), float(last)
