"""Which columns are variables (``columns``, ``drop``, ``context``), and whether they hold numbers that vary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hexad.checks import InputError, choose
from hexad.data.forms.delimited import date_pattern, odd_among_dates
from hexad.data.options import Options
from hexad.data.raw import Raw

__all__ = ["check_numbers", "check_spread", "column_names", "column_values", "listed", "select"]

LARGEST = 1e150  # its square, summed over the rows, is still a number


def column_names(raw: Raw) -> tuple[str, ...]:
    """Return the names of the columns of a table or of vectors; () for pictures and other arrays."""
    x = raw.first
    if raw.is_frame:
        return tuple(str(name) for name in x.columns)
    return tuple(f"x{i}" for i in range(x.shape[1])) if x.ndim == 2 else ("x0",) if x.ndim == 1 else ()


def listed(names: Iterable[Any], most: int = 8) -> str:
    """Return names in one phrase, at most ``most`` of them.

    >>> listed("abc", most=2)
    'a, b and 1 more'
    """
    names = [str(name) for name in names]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def select(raw: Raw, options: Options) -> tuple[Raw, tuple[str, ...]]:
    """Return ``raw`` with the wanted columns only, and the names of these; what was left out stands in ``dropped``.

    Raises:
        InputError: a column or the context is unknown, or no column is left.
    """
    names = column_names(raw)
    for what, wanted in (("columns", options.columns), ("drop", options.drop)):
        if wanted and not names:
            raise InputError(
                f"{raw.where}: --data {what} needs columns, and these are arrays of shape {raw.first.shape}"
            )
        for name in wanted or ():
            choose(name, names, f"column in --data {what}")
    taken = [name for name in options.context or () if name not in raw.context]
    for name in taken:
        choose(name, [*names, *raw.context], "context")
        _take_context(raw, names, name)
    kept = [name for name in names if name not in (options.drop or ()) and name not in taken]
    if options.columns:
        kept = [name for name in options.columns if name in kept]
    if names and not kept and taken:
        raise InputError(
            f"{raw.where}: the context takes {listed(taken)}, no column is left to model; name fewer columns"
        )
    if names and not kept:
        raise InputError(f"{raw.where}: no column is left; keep at least one of {listed(names)}")
    if kept != list(names):
        rows = [names.index(name) for name in kept]
        raw.parts = {split: x.iloc[:, rows] if raw.is_frame else x[:, rows] for split, x in raw.parts.items()}
        raw.dropped = [name for name in names if name not in kept]
    return raw, tuple(kept)


def _take_context(raw: Raw, names: tuple[str, ...], name: str) -> None:
    place = names.index(name)
    values = {}
    for split, x in raw.parts.items():
        column = x.iloc[:, place] if raw.is_frame else x[:, place] if x.ndim == 2 else x
        values[split] = column_values(column)
        if values[split].dtype.kind == "f" and not np.isfinite(values[split]).all():
            rows = np.flatnonzero(~np.isfinite(values[split])) + 1
            where = raw.where if split == "all" else f"{raw.where}, {split}"
            missing = f"the context {name} has missing or infinite values in rows {listed(rows.tolist(), 3)}"
            raise InputError(f"{where}: {missing}; fill them, or choose another column")
    raw.context = {**raw.context, name: values}


def column_values(column: Any) -> np.ndarray:
    """Return a column of a frame or an array, (n,), as context: numbers, or text in which what is missing is empty."""
    if column.dtype.kind not in "biuf":
        if hasattr(column, "isna"):
            column = column.astype(object).where(column.notna(), "").astype(str)
        return np.asarray(column, dtype=str)
    if hasattr(column, "isna") and column.isna().any():  # pandas' own types know values that are missing
        return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(column)


def check_numbers(raw: Raw, names: tuple[str, ...]) -> Raw:
    """Return ``raw`` with columns of numbers only, after a check that none is text, missing or infinite.

    Raises:
        InputError: columns hold text, or values are missing, not numbers or infinite.
    """
    if raw.is_frame:
        raw.parts = _tidy(raw)
        _check_text(raw, names)
    for split, x in raw.parts.items():
        where = raw.where if split == "all" else f"{raw.where}, {split}"
        _check_finite(x, names, where)
    return raw


def _tidy(raw: Raw) -> dict[str, Any]:
    """Return the frames with columns of objects that are all numbers turned into numbers."""
    import pandas as pd

    def tidy(column: pd.Series) -> pd.Series:
        if column.dtype.kind != "O":
            return column
        try:
            return pd.to_numeric(column)
        except (ValueError, TypeError):
            return column

    return {
        split: x.apply(tidy) if any(dtype.kind == "O" for dtype in x.dtypes) else x for split, x in raw.parts.items()
    }


def _check_text(raw: Raw, names: tuple[str, ...]) -> None:
    import pandas as pd

    found: dict[str, str] = {}
    for split, x in raw.parts.items():
        for place, name in enumerate(names):
            column = x.iloc[:, place]
            if column.dtype.kind in "biuf" or column.empty:  # of pandas' and pyarrow's own types, too
                continue
            numbers = pd.to_numeric(column.astype(object), errors="coerce") if column.dtype.kind not in "mM" else None
            known = column.dropna()
            if len(known) < len(column) and (column.dtype.kind == "M" or date_pattern(known)):
                row = int(column.isna().to_numpy().argmax())
                what = f"column {name} has no date in row {row + 1}; give it one, leave the row out"
                raise InputError(f"{raw.where}: {what}, or the column with --data drop={name}")
            odd = column.notna() & (numbers.isna() if numbers is not None else True)
            row = odd_among_dates(column) or int(np.argmax(odd.to_numpy()))
            where = "" if split == "all" else f" of {split}"
            found.setdefault(name, f"{str(column.iloc[row])[:30]!r} in row {row + 1}{where}")
    if found:
        first = next(iter(found))
        what = f"columns {listed(found)} hold" if len(found) > 1 else f"column {first} holds"
        raise InputError(
            f"{raw.where}: {what} text ({first}: {found[first]}); expected numbers, "
            f"leave text out with --data drop={','.join(found)}"
        )


def _check_finite(x: Any, names: tuple[str, ...], where: str) -> None:
    if hasattr(x, "columns"):
        columns: Iterable[tuple[str, np.ndarray]] = (
            (name, x.iloc[:, i].to_numpy(dtype=np.float64, na_value=np.nan)) for i, name in enumerate(names)
        )
    elif x.dtype.kind != "f" or bool(np.isfinite(x).all()):
        return
    else:
        columns = zip(names, x.reshape(len(x), -1).T, strict=True) if names else [("", x.reshape(len(x), -1))]
    found: dict[str, np.ndarray] = {}
    held = ""
    for name, values in columns:
        bad = ~np.isfinite(values)
        if bad.any():
            held = held or f"{values[bad][0]}"
            found[name] = bad
    if not found:
        return
    name, bad = next(iter(found.items()))
    rows = np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))
    total = sum(int(bad.sum()) for bad in found.values())
    column = f"column {name}: " if names else ""
    others = f", in all {total} in {len(found)} columns ({listed(found)})" if len(found) > 1 else ""
    drop = f", or leave out with --data drop={','.join(found)}" if len(names) > len(found) else ""
    raise InputError(
        f"{where}: {column}{int(bad.sum())} values are missing (NA, ?, empty, NaN) or infinite, "
        f"first in rows {listed((rows + 1).tolist(), 3)} (the first is row 1), where it holds {held}{others}; "
        f"fill them{drop}"
    )


def check_spread(train: np.ndarray, real: Sequence[bool], names: tuple[str, ...], where: str) -> None:
    """Check that no real column is constant and no two are equal on the training rows.

    Args:
        train: training records, float (n, D).
        real: which columns are looked at: those that are real and were not given a step, which makes them masses.
        names: their names.
        where: the source's name.

    Raises:
        InputError: some are, or hold values whose squares are beyond float64; they are named with what to do.
    """
    constant: list[str] = []
    seen: dict[bytes, str] = {}
    twins: dict[str, str] = {}
    for name, values in ((names[i], train[:, i]) for i in range(train.shape[1]) if real[i]):
        low, high = float(values.min()), float(values.max())
        if high - low <= 8 * np.finfo(np.float64).eps * max(abs(low), abs(high)):
            constant.append(name)
            continue
        if max(abs(low), abs(high)) > LARGEST or high - low < 1 / LARGEST:
            raise InputError(
                f"{where}: column {name} goes from {low:g} to {high:g}, whose squares are beyond double precision; "
                "give it in another unit"
            )
        key = (values + 0.0).tobytes()
        if key in seen:
            twins[name] = seen[key]
        seen.setdefault(key, name)
    if not constant and not twins:
        return
    said = [f"constant on the training rows: {listed(constant)}"] if constant else []
    if twins:
        said.append(f"duplicated: {listed(f'{name} (equal to {twin})' for name, twin in twins.items())}")
    raise InputError(
        f"{where}: columns that are {' and '.join(said)}; no density exists for them, "
        f"leave them out with --data drop={','.join([*constant, *twins])}, or give their grid with --data step=..."
    )
