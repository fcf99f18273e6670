"""``.csv`` and ``.tsv``, also ``.gz``: a frame of named columns.

A first line none of whose cells is a number is a header; without one the columns are ``x0, x1, ...``. A first column of
dates becomes the index, and the table a series.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hexad.checks import InputError, one_line
from hexad.data.forms.opening import ending, read_text
from hexad.data.raw import Raw

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MISSING",
    "date_pattern",
    "in_time",
    "index_dates",
    "is_number",
    "odd_among_dates",
    "pattern_of",
    "read",
]

MISSING = ("", "NA", "?", "NaN", "nan", "N/A", "n/a", "null")
DATES = tuple(
    day + time
    for day in ("%Y-%m-%d", "%Y/%m/%d", "%Y-%m", "%Y/%m", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y")
    for time in ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", "T%H:%M", "T%H:%M:%SZ", " %H:%M:%S.%f", "T%H:%M:%S.%f")
)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number; ``nan`` and ``inf`` are, the marks of missing values are not.

    >>> is_number(" 1e-3"), is_number("x1"), is_number("")
    (True, False, False)
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def date_pattern(cells: Iterable[object]) -> str | None:
    """Return the pattern, as for ``strptime``, in which all cells are dates, or None.

    >>> date_pattern(["1949-01", "1949-02"])
    '%Y-%m'
    """
    words = [str(cell) for cell in cells]
    if not words or not re.match(r"\d+[-/.]\d", words[0]):
        return None
    return next(
        (pattern for pattern in DATES if all(_matches(cell, pattern) for cell in (*words[:100], words[-1]))), None
    )


def pattern_of(dates: pd.DatetimeIndex) -> str:
    """Return the pattern that writes all of these: of days where they are days, and else to the part that they need.

    >>> import pandas as pd
    >>> pattern_of(pd.date_range("1949-01-01", periods=3, freq="h"))
    '%Y-%m-%d %H:%M:%S'
    """
    if (dates.microsecond != 0).any():
        return "%Y-%m-%d %H:%M:%S.%f"
    local = dates.tz_localize(None)
    return "%Y-%m-%d" if (local == local.normalize()).all() else "%Y-%m-%d %H:%M:%S"


def odd_among_dates(cells: Iterable[object]) -> int | None:
    """Return the place of the first cell that is not written like the first, where that is a date.

    >>> odd_among_dates(["2001-02-27", "2001-02-28", "2001-02-29"])
    2
    """
    words = [str(cell) for cell in cells]
    pattern = date_pattern(words[:1])
    return next((i for i, cell in enumerate(words) if pattern and not _matches(cell, pattern)), None)


def _matches(cell: str, pattern: str) -> bool:
    try:
        datetime.strptime(cell.strip(), pattern)
    except ValueError:
        return False
    return True


def read(path: Path) -> Raw:
    """Return the table of a ``.csv`` or ``.tsv`` file.

    Raises:
        InputError: the file is empty or no text, its rows differ in length, or two columns have one name.
    """
    text = read_text(path)
    separator = "\t" if ending(path) == ".tsv" else _separator(text)
    first, second = _first_two(path, text, separator)
    named = not any(is_number(cell) for cell in first)
    if len(first) != len(second) or (named and second is first):
        _ragged(path, text, separator)
    names = [cell.strip() or f"x{i}" for i, cell in enumerate(first)] if named else [f"x{i}" for i in range(len(first))]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: two columns are called {', '.join(twice)}; give every column its own name")
    return index_dates(Raw({"all": _parse(path, text, separator, names, named)}, "table", where=str(path), named=named))


def _first_two(path: Path, text: str, separator: str) -> tuple[list[str], list[str]]:
    """Return the cells of the first two lines that hold any; the first twice where there is no other.

    Raises:
        InputError: there is none, a line cannot be read, or its cells are split by something else.
    """
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        first = next((line for line in lines if any(cell.strip() for cell in line)), None)
        second = next((line for line in lines if line), first)
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.line_num} cannot be read as a table ({one_line(error)})") from None
    if first is None or second is None:
        raise InputError(f"{path}: holds no cells; expected columns of numbers")
    for other in ("|", ",", ";", "\t", " "):
        cells = second[0].split(other) if len(second) == len(first) == 1 else []
        if len(cells) > 1 and all(is_number(cell) for cell in cells):
            between = {"\t": "tabs", " ": "blanks"}.get(other, f"'{other}'")
            wanted = "tabs" if ending(path) == ".tsv" else "commas, semicolons or tabs"
            raise InputError(f"{path}: its cells are split by {between}, expected {wanted}; write it so")
    return first, second


def _separator(text: str) -> str:
    """Return the separator: a semicolon or a tab where the first two lines hold it equally often, else a comma."""
    head = [line for line in text[:200_000].splitlines() if line.strip()][:2]
    for candidate in (";", "\t"):
        counts = {line.count(candidate) for line in head}
        if len(counts) == 1 and counts != {0} and (candidate == ";" or "," not in head[0]):
            return candidate
    return ","


def _parse(path: Path, text: str, separator: str, names: list[str], named: bool) -> pd.DataFrame:
    import pandas as pd

    comma = separator == ";" and re.search(r"(^|;)\s*-?\d+,\d+\s*(;|$)", text[:20_000], re.MULTILINE)
    # the default became exact in pandas 3.1, where this argument is deprecated
    old = tuple(int(part) for part in pd.__version__.split(".")[:2]) < (3, 1)
    exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
    lead = len(text) - len(text.lstrip("\r\n"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text[lead:]), sep=separator, header=0 if named else None, index_col=False, low_memory=False,
                skipinitialspace=True, keep_default_na=False, na_values=list(MISSING),
                decimal="," if comma else ".", **exact,
            )  # fmt: skip
    except (ValueError, pd.errors.ParserWarning) as error:
        _ragged(path, text, separator)
        raise InputError(f"{path}: cannot be read as a table ({one_line(error)})") from None
    if frame.shape[1] != len(names) or frame.iloc[:, -1].isna().any():
        _ragged(path, text, separator)
    return frame.set_axis(names, axis=1)


def _ragged(path: Path, text: str, separator: str) -> None:
    """Raise where a line has another number of cells than the first."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    wanted, started = 0, 0
    try:
        for line in reader:
            if not line or (len(line) == 1 and not line[0].strip() and wanted != 1):
                continue
            wanted, started = wanted or len(line), started or reader.line_num
            if len(line) != wanted:
                raise InputError(
                    f"{path}: line {reader.line_num} has {len(line)} cells, line {started} has {wanted}; "
                    "every line needs the same number"
                )
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} cannot be read as a table ({one_line(error)})") from None
    if reader.line_num <= started:
        raise InputError(f"{path}: holds a header and no rows; expected rows below it")


def index_dates(raw: Raw) -> Raw:
    """Return the table with a first column of dates as its index, in time order; unchanged where it holds none."""
    import pandas as pd

    frame = raw.parts["all"]
    column = frame.iloc[:, 0]
    if frame.shape[1] < 2 or pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return raw
    if column.isna().any() or (pattern := date_pattern(column)) is None:
        return raw
    try:
        dates = pd.DatetimeIndex(pd.to_datetime(column.str.strip(), format=pattern), name=column.name)
    except ValueError:
        return raw
    return in_time(raw, frame.iloc[:, 1:].set_axis(dates, axis=0), str(column.name), pattern)


def in_time(raw: Raw, frame: pd.DataFrame, name: str, pattern: str) -> Raw:
    """Return ``raw`` with the table ``frame`` in the order of its index of dates, whose name and pattern are given."""
    import pandas as pd

    raw.parts, raw.date_name, raw.date_pattern = {"all": frame}, name, pattern
    if not frame.index.is_monotonic_increasing:
        raw.order = pd.Series(range(len(frame)), index=frame.index).sort_index(kind="stable").to_numpy()
        raw.parts["all"] = frame.iloc[raw.order]
    return raw
