"""What Python holds: arrays, tensors, frames of pandas, polars and pyarrow, any iterable of arrays with a length."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hexad.checks import InputError, one_line
from hexad.data.raw import SPLITS, Raw

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["framed", "is_frame", "join", "numbers", "read", "read_array", "read_frame", "to_pandas"]

EXPECTED = "expected a name, a path, an array, a tensor, a frame, or an iterable of arrays with a length"


def read(source: Any, where: str = "the data") -> Raw:
    """Return the values of a Python object; a mapping with the key ``train`` gives splits.

    Raises:
        InputError: the object is none of these, or its entries differ in shape or are no numbers.
    """
    if isinstance(source, Mapping) and "train" in source and set(source) <= set(SPLITS):
        read_parts = {split: read(part, f"{where}, {split}") for split, part in source.items()}
        return join(read_parts, where)
    source = framed(source)
    if is_frame(source):
        return read_frame(to_pandas(source), where)
    if isinstance(source, np.ndarray) or hasattr(source, "detach"):
        return read_array(source, where)
    if isinstance(source, (str, bytes, Mapping)) or not hasattr(source, "__len__"):
        raise InputError(f"{where}: {EXPECTED}, got {type(source).__name__}")
    return _iterable(source, where)


def join(parts: dict[str, Raw], where: str) -> Raw:
    """Return one record of several splits, each of which was read by itself.

    Raises:
        InputError: the splits differ in form, columns or shape.
    """
    first = parts.get("train", next(iter(parts.values())))
    for split, part in parts.items():
        if part.is_frame != first.is_frame:
            raise InputError(f"{where}: the splits differ, {split} and train are not both frames; give one form")
        if first.is_frame and list(part.first.columns) != list(first.first.columns):
            part.parts = {"all": _reordered(part.first, list(first.first.columns), f"{where}, {split}")}
        if not first.is_frame and part.first.shape[1:] != first.first.shape[1:]:
            raise InputError(
                f"{where}: the splits differ, records of {split} have shape {part.first.shape[1:]}, "
                f"of train {first.first.shape[1:]}; give one shape"
            )
    names = [name for name in first.context if all(name in part.context for part in parts.values())]
    context = {name: {split: part.context[name]["all"] for split, part in parts.items()} for name in names}
    merged = {split: part.parts["all"] for split, part in parts.items()}
    return Raw(**dict(first.__dict__, parts=merged, context=context, where=where))


def _reordered(frame: pd.DataFrame, names: list[Any], where: str) -> pd.DataFrame:
    differing = [str(name) for name in {*frame.columns} ^ {*names}]
    if differing:
        raise InputError(
            f"{where}: other columns than train ({', '.join(sorted(differing)[:8])}); give the same columns"
        )
    return frame[names]


def is_frame(source: Any) -> bool:
    """Return whether ``source`` is a frame of pandas, polars or pyarrow (or another one that narwhals knows)."""
    import narwhals.stable.v1 as nw

    return isinstance(nw.from_native(source, pass_through=True, eager_only=True), nw.DataFrame)


def framed(source: Any, name: Any = "x0") -> Any:
    """Return a series of pandas, which has an index of its own, as a frame of one column, called ``name`` where the
    series has none; all else as it is.
    """
    pandas = sys.modules.get("pandas")  # who never imported it, holds no series of it
    if pandas is None or not isinstance(source, pandas.Series):
        return source
    return source.to_frame(name if source.name is None else source.name)


def to_pandas(source: Any) -> pd.DataFrame:
    """Return a frame of any of these libraries as one of pandas; columns of pandas frames keep labels and index."""
    import narwhals.stable.v1 as nw
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return source

    def column(series: nw.Series[Any]) -> Any:
        zone = getattr(series.dtype, "time_zone", None)  # which numpy has none of: its times are those of UTC
        values: Any = pd.Series(series.to_numpy())
        return values if zone is None else values.dt.tz_localize("UTC").dt.tz_convert(zone)

    frame = nw.from_native(source, eager_only=True)
    return pd.DataFrame({name: column(frame[name]) for name in frame.columns})


def read_frame(frame: pd.DataFrame, where: str) -> Raw:
    """Return the table of a pandas frame; an index of dates or periods, or a first column of dates, is time.

    A period stands at its beginning.

    Raises:
        InputError: the frame has no rows, no columns, two columns of one name, or rows without a date beside dates.
    """
    import pandas as pd

    from hexad.data.forms.delimited import in_time, index_dates, pattern_of

    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise InputError(f"{where}: the table is empty, {frame.shape[0]} rows and {frame.shape[1]} columns")
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{where}: two columns are called {', '.join(twice)}; give every column its own name")
    sparse = {name: kind.subtype for name, kind in frame.dtypes.items() if isinstance(kind, pd.SparseDtype)}
    frame = frame.astype(sparse) if sparse else frame
    raw = Raw({"all": frame}, "table", where=where)
    if pd.api.types.is_string_dtype(frame.index):
        frame = frame.set_axis(_dates_of(frame.index, where), axis=0)
    if isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) and frame.index.hasnans:
        row = int(np.argmax(frame.index.isna())) + 1
        raise InputError(f"{where}: the index has no date in row {row}; give it one, or leave the row out")
    if isinstance(frame.index, pd.PeriodIndex):
        frame = frame.set_axis(frame.index.to_timestamp(), axis=0)
    if isinstance(frame.index, pd.DatetimeIndex):
        return in_time(raw, frame, str(frame.index.name or "time"), pattern_of(frame.index))
    first = frame.iloc[:, 0]
    if pd.api.types.is_datetime64_any_dtype(first) and frame.shape[1] > 1 and not first.isna().any():
        dates = pd.DatetimeIndex(first)
        return in_time(raw, frame.iloc[:, 1:].set_axis(dates, axis=0), str(first.name), pattern_of(dates))
    if pd.api.types.is_string_dtype(first):
        return index_dates(raw)
    raw.parts["all"] = frame.reset_index(drop=True)
    return raw


def _dates_of(index: pd.Index, where: str) -> pd.Index:
    """Return an index of dates that are written as texts; another as it is.

    Raises:
        InputError: most are dates, and one is none.
    """
    import pandas as pd

    from hexad.data.forms.delimited import date_pattern

    there = index.notna() & (index.str.strip() != "")
    known = index[there].str.strip()
    pattern = date_pattern(known) or date_pattern(known[:1])
    if pattern is None:
        return index
    dates = pd.to_datetime(index.str.strip().where(there), format=pattern, errors="coerce")
    odd = np.flatnonzero(there & dates.isna())
    if 2 * len(odd) > len(known):
        return index  # names, of which one looks like a date
    if len(odd):
        what = f"the index has {index[odd[0]]!r} in row {odd[0] + 1}"
        raise InputError(f"{where}: {what}; expected a date as in the other rows")
    return dates


def numbers(source: Any, where: str) -> np.ndarray:
    """Return an array or a tensor as a numpy array of numbers.

    Raises:
        InputError: its elements are no real numbers.
    """
    try:
        if hasattr(source, "detach"):
            source = source.detach().cpu()
            source = source.float() if str(source.dtype) == "torch.bfloat16" else source
        array = np.asarray(source)
    except Exception as error:
        raise InputError(f"{where}: cannot be read as an array of numbers ({one_line(error)[:80]})") from None
    if np.ma.is_masked(source):
        raise InputError(f"{where}: {np.ma.count_masked(source)} values are masked, which is missing; fill them")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where}: expected an array of real numbers, got elements of type {array.dtype}")
    return array


def read_array(source: Any, where: str) -> Raw:
    """Return the values of an array or a tensor (n, ...).

    Raises:
        InputError: it holds no real numbers, no records, or more than 4 axes.
    """
    array = numbers(source, where)
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"{where}: the array of shape {array.shape} holds no records; expected (n, ...)")
    if array.ndim > 4:
        raise InputError(f"{where}: expected at most 4 axes (n, height, width, channels), got {array.shape}")
    return Raw({"all": array}, "array", where=where, channels_first=hasattr(source, "detach"), named=False)


def _iterable(source: Any, where: str) -> Raw:
    try:
        entries = [source[i] for i in range(len(source))] if hasattr(source, "__getitem__") else list(source)
    except Exception as error:
        raise InputError(f"{where}: reading its entries failed ({one_line(error)[:80]}); {EXPECTED}") from None
    if not entries:
        raise InputError(f"{where}: holds no records; {EXPECTED}")
    if all(isinstance(entry, tuple) and len(entry) == 1 and np.ndim(entry[0]) > 0 for entry in entries):
        entries = [entry[0] for entry in entries]  # as torch's TensorDataset of one tensor gives them
    pairs = all(isinstance(entry, tuple) and len(entry) == 2 and np.ndim(entry[0]) > 0 for entry in entries)
    arrays = [numbers(entry[0] if pairs else entry, f"{where}, entry {i}") for i, entry in enumerate(entries)]
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        odd = next(i for i, shape in enumerate(shapes) if shape != shapes[0])
        raise InputError(
            f"{where}: entries differ in shape, entry 0 has {shapes[0]}, entry {odd} has {shapes[odd]}; give one shape"
        )
    context = {"label": {"all": np.array([_scalar(entry[1]) for entry in entries])}} if pairs else {}
    raw = read_array(np.stack(arrays), where)
    raw.channels_first = hasattr(entries[0][0] if pairs else entries[0], "detach")
    raw.context = context if pairs and context["label"]["all"].dtype != object else {}
    return raw


def _scalar(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and np.size(value) == 1 else value
