"""What one record is, found on the training split: binary, ordinal or real, and the step of each real column.

All values 0 or 1: binary. Pictures and unsigned 8-bit arrays: ordinal(256); integer arrays with values 0 to at most
255: ordinal(max + 1). Every other table is real in all its columns, each with its step. Options override each of these.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hexad.checks import InputError
from hexad.data.arrangement import Arrangement
from hexad.data.bounds import bounds_of, check_bounds, row_number
from hexad.data.options import Options, per_column
from hexad.data.raw import Raw
from hexad.data.steps import find_step
from hexad.event import Event, Support

__all__ = ["binarized", "check_values", "find_event", "values_of"]


def values_of(x: Any) -> np.ndarray:
    """Return an array as it is, a frame as an array float64 (n, D)."""
    return x.to_numpy(dtype=np.float64) if hasattr(x, "columns") else x


def find_event(raw: Raw, arrangement: Arrangement, names: tuple[str, ...], options: Options) -> Event:
    """Return the event of ``raw``, whose parts are the three splits.

    Raises:
        InputError: an option does not fit, or values of another split lie outside the training split's levels.
    """
    train = arrangement.inside(values_of(raw.first)).reshape(len(raw.first), -1)
    dims = train.shape[1]
    default = _default(raw, train)
    kinds = [kind or default.kind for kind in per_column(_kinds(options), names, dims, "support")]
    levels = per_column(options.levels, names, dims, "levels")
    pooled = not isinstance(options.support, (tuple, dict))
    ordinal = _levels(raw, train, default, kinds, pooled)
    steps = _steps(train, arrangement, kinds, per_column(options.step, names, dims, "step"), options.step)
    bounds = bounds_of(options.bounds, kinds, names)
    supports = [
        Support(kind, levels=levels[i] or ordinal[i]) if kind == "ordinal" else Support(kind, 0, steps[i], *bounds[i])
        for i, kind in enumerate(kinds)
    ]
    event = Event(arrangement.shape, tuple(supports), arrangement.layout, names if len(names) == dims else ())
    for split, x in raw.parts.items():
        inside, where = arrangement.inside(values_of(x)), f"{raw.where}, {split}"
        check_values(inside, event, where, options.levels is None, raw.rows.get(split))
    return event


def _kinds(options: Options) -> Any:
    """Return the option ``support``; levels without a support mean ordinal."""
    if options.support is not None or options.levels is None:
        return options.support
    if isinstance(options.levels, dict):
        return dict.fromkeys(options.levels, "ordinal")
    return "ordinal"


def _default(raw: Raw, train: np.ndarray) -> Support:
    low, high = train.min(), train.max()
    whole = train.dtype.kind in "iub"
    if low >= 0 and high <= 1 and (whole or bool(((train == 0) | (train == 1)).all())):
        return Support("binary")
    if raw.kind == "pictures" or train.dtype == np.uint8:
        return Support("ordinal", levels=256)
    if raw.kind == "array" and whole and low >= 0 and high <= 255:
        return Support("ordinal", levels=int(high) + 1)
    return Support("real")


def _levels(raw: Raw, train: np.ndarray, default: Support, kinds: list[str], pooled: bool) -> list[int]:
    """Return the levels that each column would have as an ordinal one."""
    if default.kind == "ordinal":
        return [default.levels] * len(kinds)
    highest = np.full(len(kinds), train.max()) if pooled else train.max(axis=0)
    if "ordinal" in kinds and float(highest.max()) > 65535:
        raise InputError(f"{raw.where}: support=ordinal needs whole numbers from 0 to 65535, got {highest.max():g}")
    return [max(int(value) + 1, 2) if kind == "ordinal" else 0 for kind, value in zip(kinds, highest, strict=True)]


def _steps(train: np.ndarray, arrangement: Arrangement, kinds: list[str], given: list[Any], asked: Any) -> list[float]:
    """Return the step of each real column; the pixels of pictures share one."""
    wrong = [i for i, kind in enumerate(kinds) if kind != "real" and given[i]]
    if wrong and (isinstance(asked, (tuple, dict)) or len(wrong) == len(kinds)):
        raise InputError(f"data option step: column {wrong[0]} is {kinds[wrong[0]]}, steps are for real columns")
    if arrangement.layout in ("image", "sequence") and "real" in kinds:
        shared = find_step(train.reshape(-1)) if None in given else 0.0
        return [shared if step is None else float(step) for step in given]
    return [
        0.0 if kind != "real" else find_step(train[:, i]) if given[i] is None else float(given[i])
        for i, kind in enumerate(kinds)
    ]


def check_values(x: np.ndarray, event: Event, where: str, found: bool = False, rows: np.ndarray | None = None) -> None:
    """Check that binary and ordinal columns hold levels, and bounded ones values within their bounds.

    Args:
        x: records (n, *event.shape).
        event: what they should be.
        where: the words that begin the message.
        found: whether the levels were found on the training split, so that the option can be named.
        rows: what the records' rows are called, from 0; None: as they stand.

    Raises:
        InputError: a value is no whole number from 0 to levels - 1, or outside a bound.
    """
    check_bounds(x, event, where, rows)
    limits = np.array([support.levels - 1 for support in event.supports])
    if not limits.any() or (limits < 0).all():
        return
    flat = x.reshape(len(x), len(limits))
    uniform = bool((limits == limits[0]).all())
    if uniform and flat.dtype.kind in "iub":
        bad = (
            None if flat.size == 0 or (flat.min() >= 0 and flat.max() <= limits[0]) else (flat < 0) | (flat > limits[0])
        )
    else:
        bad = ((flat < 0) | (flat > limits) | (flat != np.rint(flat))) & (limits >= 0)
    if bad is None or not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    value, highest = flat[row, column], int(limits[column])
    name = f"column {event.names[column]}" if event.names else f"element {column} of a record"
    kind = event.supports[column].kind
    if kind == "binary":
        todo = "say --data binarize=THRESHOLD, or --data support=real"
    elif found and value > highest and float(value).is_integer():
        todo = f"say --data levels={int(flat.max()) + 1}"
    else:
        todo = "say --data support=real, or give whole numbers"
    raise InputError(
        f"{where}: {name} holds {value:g} in row {row_number(row, rows)}; expected {event.supports[column]}, "
        f"whole numbers 0 to {highest}; {todo}"
    )


def binarized(raw: Raw, arrangement: Arrangement, names: tuple[str, ...], options: Options) -> Raw:
    """Return ``raw`` with every value 1 where it is above the threshold, else 0.

    The threshold is a fraction of the highest level for binary and ordinal data, and a value for real data.

    Raises:
        InputError: the fraction is not in [0, 1).
    """
    threshold = options.binarize
    if threshold is None:
        return raw
    event = find_event(raw, arrangement, names, options)
    if event.kind != "real":
        if not 0 <= threshold < 1:
            raise InputError(
                f"data option binarize: for {event.kind} data a fraction of the highest level from 0 to below 1, "
                f"got {threshold:g}"
            )
        threshold *= event.levels - 1

    def cut(x: Any) -> Any:
        return (x > threshold).astype(np.uint8 if not hasattr(x, "columns") else np.int64)

    return Raw(**dict(raw.__dict__, parts={split: cut(x) for split, x in raw.parts.items()}))
