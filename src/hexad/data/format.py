"""From the user's columns, order, types and units to a tensor, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, hint
from hexad.data.arrangement import Arrangement
from hexad.data.bounds import limits
from hexad.data.columns import check_numbers, listed
from hexad.data.context import Context
from hexad.data.detect import check_values
from hexad.data.forms.memory import framed, is_frame, numbers, to_pandas
from hexad.data.raw import Raw
from hexad.data.steps import decimals
from hexad.data.text import BYTES, beginning, codes, strings
from hexad.event import Event, Support

__all__ = ["Format"]


@dataclass(frozen=True)
class Format:
    """How the user's records are held, so that samples come back the same way.

    Args:
        event: what one record is inside.
        container: ``frame`` (pandas; others are read, too), ``array``, or ``text``: strings.
        columns: labels of a frame's columns; () for arrays.
        dtypes: type of each column of a frame, or the one type of an array; of texts their tokens, ``str`` (characters)
            or ``bytes``.
        record: shape of a record outside.
        channels_last: whether a picture's channels are its last axis outside.
        offsets: a point of the grid of each column that has a step (0 for others).
        ignored: columns that a frame may have beside (left out, or context).
        context: encoders of the chosen context, or None.
        alphabet: characters of texts, sorted.
    """

    event: Event
    container: Literal["frame", "array", "text"]
    columns: tuple[str | int, ...] = ()
    dtypes: tuple[str, ...] = ("float64",)
    record: tuple[int, ...] = ()
    channels_last: bool = False
    offsets: tuple[float, ...] = ()
    ignored: tuple[str, ...] = ()
    context: Context | None = None
    alphabet: str = ""

    def __post_init__(self) -> None:
        dims, framed = self.event.dims, self.container == "frame"
        if len(self.columns) != (dims if framed else 0) or len(self.dtypes) != (dims if framed else 1):
            raise ValueError(f"format of a {self.container}: {len(self.columns)} columns and {len(self.dtypes)} types")
        if math.prod(self.record) != dims or (self.channels_last and len(self.record) != 3):
            raise ValueError(f"format of records of shape {self.record}: the event's is {self.event.shape}")
        if (self.container == "text") != bool(self.alphabet) or len(self.alphabet) not in (0, self.event.levels):
            raise ValueError(f"format of a {self.container}: an alphabet of {len(self.alphabet)} characters")
        if self.tokens == "bytes" and self.alphabet != BYTES:
            raise ValueError("format of a text in bytes: the alphabet is not that of bytes")
        if self.offsets and len(self.offsets) != dims:
            raise ValueError(f"format: expected {dims} offsets, got {len(self.offsets)}")

    @property
    def arrangement(self) -> Arrangement:
        """Shapes of a record outside and inside."""
        return Arrangement(self.record, self.event.shape, self.event.layout, self.channels_last)

    @property
    def tokens(self) -> str:
        """What the levels of a text are, ``characters`` or ``bytes``."""
        return "bytes" if self.container == "text" and self.dtypes == ("bytes",) else "characters"

    @property
    def letters(self) -> str:
        """How each level of a text is shown where one sign is to stand for it; nothing for other records."""
        if self.tokens == "characters":
            return self.alphabet
        return "".join(letter if letter.isascii() else "\ufffd" for letter in self.alphabet)

    @property
    def dtype(self) -> torch.dtype:
        """Type of encoded records: uint8 for levels up to 256, int64 above, float64 where a column is real."""
        if self.event.kind in ("real", "mixed"):
            return torch.float64
        return torch.uint8 if self.event.levels <= 256 else torch.int64

    def encode(self, x: Any, where: str = "data") -> Tensor:
        """Return records in the user's units as a tensor (n, *event.shape) of :attr:`dtype`.

        Args:
            x: a split, a frame (columns by name, in any order), an array or a tensor: (n, *record) or
                (n, *event.shape). One record of an array may stand without its first axis; that of a frame may not.
                Of one column (n,) will do, and a series of pandas.
            where: how messages name it.

        Raises:
            InputError: columns are missing or unknown, the shape differs, values are missing or outside the levels.
        """
        if self.container == "text" and not isinstance(x, Tensor):
            letters = codes(x, self.alphabet, self.event.dims, where, self.tokens)
            return torch.from_numpy(letters).to(self.dtype)
        x = self._framed(x)
        array = self._columns(x, where) if is_frame(x) else self._array(x, where)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = ~np.isfinite(array.reshape(len(array), -1))
            row, column = (int(i) for i in np.argwhere(bad)[0])
            name = f"column {self.event.names[column]}" if self.event.names else f"element {column} of a record"
            rows = listed((np.flatnonzero(bad.any(axis=1)) + 1).tolist(), 3)
            raise InputError(
                f"{where}: {name} holds {array.reshape(len(array), -1)[row, column]} in row {row + 1}; expected no "
                f"missing or infinite values, they are in rows {rows}; fill them"
            )
        check_values(array, self.event, where)
        kind = {torch.uint8: np.uint8, torch.int64: np.int64, torch.float64: np.float64}[self.dtype]
        return torch.from_numpy(np.array(array, dtype=kind, order="C"))

    def encode_missing(self, x: Any, where: str = "data") -> Tensor:
        """Return records some of whose values are missing as a tensor (n, *event.shape), float64, NaN where they are.

        Args:
            x, where: see :meth:`encode`; what is missing in an array is NaN.

        Raises:
            InputError: as :meth:`encode`, of the values that are there; or the records are texts.
        """
        if self.container == "text":
            raise InputError(f"{where}: a text has no mark for what is missing; expected a table, or an array with NaN")
        filled, missing = self._filled(self._framed(x), where)
        encoded = self.encode(filled, where).double()
        return encoded.masked_fill(torch.from_numpy(missing).reshape(encoded.shape), torch.nan)

    def _filled(self, x: Any, where: str) -> tuple[Any, np.ndarray]:
        """Return records with values that pass every check in place of missing ones, and where these were, (n, D)."""
        harmless = np.array([_harmless(support) for support in self.event.supports])
        if not is_frame(x):
            array = self._array(x, where)
            flat = array.reshape(len(array), -1)
            missing = np.isnan(flat) if flat.dtype.kind == "f" else np.zeros(flat.shape, dtype=bool)
            return np.where(missing, harmless, flat).reshape(array.shape), missing
        import pandas as pd

        frame = to_pandas(x)
        places = {str(name): i for i, name in enumerate(self.columns)} if self.container == "frame" else None
        missing, columns = np.zeros((len(frame), self.event.dims), dtype=bool), []
        for at, name in enumerate(map(str, frame.columns)):
            column, place = frame.iloc[:, at], at if places is None else places.get(name)
            if place is not None and place < self.event.dims:
                missing[:, place] = column.isna()
                column = column.astype(object).where(~missing[:, place], harmless[place])
            columns.append(column)
        return pd.concat(columns, axis=1), missing

    def _framed(self, x: Any) -> Any:
        """Return a series of pandas as a frame; one without a name is the column, where there is but one."""
        return framed(x, self.columns[0]) if len(self.columns) == 1 else framed(x)

    def _columns(self, x: Any, where: str) -> np.ndarray:
        frame = to_pandas(x)
        names = [str(name) for name in frame.columns]
        known = [str(name) for name in self.columns]
        if self.container == "frame":
            missing = [name for name in known if name not in names]
            extra = [name for name in names if name not in known and name not in self.ignored]
            if missing:
                near = hint(missing[0], extra)
                near = near if near.startswith("; did") else f", got {listed(names)}"
                raise InputError(f"{where}: no column {listed(missing)}; expected {listed(known)}{near}")
            if extra:
                raise InputError(f"{where}: unknown columns {listed(extra)}; expected {listed(known)}; leave them out")
            frame = frame.iloc[:, [names.index(name) for name in known]]
        elif frame.shape[1] != self.event.dims:
            raise InputError(f"{where}: expected {self.event.dims} columns, got {frame.shape[1]}")
        raw = check_numbers(Raw({"all": frame}, "table", where=where), tuple(str(name) for name in frame.columns))
        return raw.parts["all"].to_numpy(dtype=np.float64).reshape(len(frame), *self.event.shape)

    def _array(self, x: Any, where: str) -> np.ndarray:
        array = numbers(x, where)
        if self.record == (1,) and array.ndim == 1:  # of one column, as the data may be given themselves
            array = array[:, None]
        for shape, inside in ((self.record, False), (self.event.shape, True)):
            if array.shape == shape and shape:
                array = array[None]
            if array.shape[1:] == shape and array.ndim:
                return array if inside else self.arrangement.inside(array)
        wanted = ", ".join(["n", *map(str, self.record)])
        raise InputError(f"{where}: expected records of shape ({wanted}), got an array of shape {array.shape}")

    def decode(self, x: Tensor, full_precision: bool = False) -> Any:
        """Return records as the user holds them: same container, columns, order and types.

        Args:
            x: records (n, *event.shape), of any type and device.
            full_precision: leave real values off their grid, and all as float64.

        Returns:
            A pandas frame, an array (n, *record), or an array of strings (n,).
        """
        flat = x.detach().to("cpu", torch.float64).reshape(len(x), self.event.dims).numpy().copy()
        if not full_precision:
            self._snap(flat)
        if self.container == "frame":
            return self._frame(flat, full_precision)
        if self.container == "text":
            return strings(flat.astype(np.int64), self.alphabet, self.tokens)
        out = self.arrangement.outside(flat.reshape(len(flat), *self.event.shape))
        return out if full_precision else _cast(out, self.dtypes[0])

    def encode_beginning(self, prompt: Any) -> Tensor:
        """Return what a sequence begins with, of any length, as levels, int64 (k,).

        Args:
            prompt: a text, or whole numbers (k,); those of a record as it is held inside.

        Raises:
            InputError: it is none, or holds a character or a level that is unknown.
        """
        if self.container == "text":
            return torch.from_numpy(beginning(prompt, self.alphabet, self.tokens))
        found = np.asarray(prompt)
        levels, empty = self.event.levels, found.size == 0
        if found.ndim != 1 or not (empty or found.dtype.kind in "iub"):
            raise InputError(f"prompt {prompt!r}: expected a list of whole numbers from 0 to {levels - 1}")
        wrong = np.flatnonzero((found < 0) | (found >= levels))
        if len(wrong):
            where = f"element {wrong[0] + 1} is {found[wrong[0]]}"
            raise InputError(f"prompt: {where}; expected whole numbers from 0 to {levels - 1}")
        return torch.from_numpy(found.astype(np.int64))

    def decode_sequences(self, x: Tensor) -> Any:
        """Return sequences of levels, (n, length) of any length, as the user holds them: strings (n,), or an array.

        Raises:
            InputError: the user's records have columns with names, or several axes, and these are not as long.
        """
        flat = x.detach().to("cpu", torch.int64)
        if flat.shape[1] == self.event.dims:
            return self.decode(flat)
        if self.container == "text":
            return strings(flat.numpy(), self.alphabet, self.tokens)
        if self.container == "frame" or len(self.record) > 1:
            what = f"a record of these data has {self.event.dims} columns"
            raise InputError(
                f"length {flat.shape[1]}: {what}; sequences of other lengths are for texts and arrays (n, T)"
            )
        return _cast(flat.numpy().astype(np.float64), self.dtypes[0])

    def _snap(self, flat: np.ndarray) -> None:
        """Move values (n, D) in place to their levels and grids, and into their bounds."""
        grids: dict[tuple[Support, float, str], list[int]] = {}
        for i, support in enumerate(self.event.supports):
            kind = self.dtypes[i if self.container == "frame" else 0] if support.bounded else ""
            grids.setdefault((support, self.offsets[i] if self.offsets else 0.0, kind), []).append(i)
        for (support, start, kind), columns in grids.items():
            width, levels = support.width, support.levels
            values = flat[:, columns]
            if support.bounded:
                values = values.clip(*limits(support, _plain(kind), start))
                flat[:, columns] = values
            if not width:
                continue
            if levels:
                flat[:, columns] = np.rint(values).clip(0, levels - 1)
                continue
            values = start + np.rint((values - start) / width) * width
            places = decimals(width, start)
            flat[:, columns] = values if places is None else values.round(places) + 0.0

    def _frame(self, flat: np.ndarray, full_precision: bool) -> Any:
        import pandas as pd

        kinds = ["float64"] * len(self.columns) if full_precision else self.dtypes
        columns = {i: _cast(flat[:, i], _plain(kind)) for i, kind in enumerate(kinds)}
        frame = pd.DataFrame(columns, index=range(len(flat))).set_axis(list(self.columns), axis=1)
        extended = {name: kind for name, kind in zip(self.columns, kinds, strict=True) if _plain(kind) != kind}
        return frame.astype(extended) if extended else frame

    def complete(self, x: Any, filled: Tensor, missing: np.ndarray) -> Any:
        """Return records as they were given with what was missing filled; what was there stays as it was.

        Args:
            x: as for :meth:`encode_missing`.
            filled: whole records, (n, *event.shape).
            missing: what of these is taken, bool (n, D).

        Returns:
            A pandas frame with all columns of ``x``, or an array (n, *record); whole-number columns are so again.
        """
        made, x = self.decode(filled), self._framed(x)
        table = made.to_numpy() if self.container == "frame" else self.arrangement.inside(made).reshape(len(made), -1)
        if not is_frame(x):
            given = self._array(x, "data")
            values = np.where(missing, table, given.reshape(len(given), -1)).reshape(given.shape)
            return _restored(self.arrangement.outside(values), self.dtypes[0])
        frame = to_pandas(x).copy()
        places = {str(name): i for i, name in enumerate(self.columns)} if self.container == "frame" else None
        for at, name in enumerate(map(str, frame.columns)):
            place = at if places is None else places.get(name)
            if place is not None:
                column = frame.iloc[:, at].astype(object).to_numpy()
                values = np.where(missing[:, place], table[:, place], column).astype(np.float64)
                frame.isetitem(at, _restored(values, _plain(self.dtypes[0 if places is None else place])))
        return frame

    def encode_context(
        self, values: Any, rows: int | None = None, dtype: torch.dtype = torch.float32, raw: bool = False
    ) -> Tensor:
        """Return the chosen context of ``rows`` records as numbers (n, k), see :meth:`Context.encode`.

        Raises:
            InputError: no context was chosen, a column is missing, or a value is unknown.
        """
        if self.context is None:
            raise InputError("no context was chosen for these data; choose one with --data context=NAME")
        return self.context.encode(values, rows, dtype, raw)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {
            "event": self.event.to_json(),
            "container": self.container,
            "columns": list(self.columns),
            "dtypes": list(self.dtypes),
            "record": list(self.record),
            "channels_last": self.channels_last,
            "offsets": list(self.offsets),
            "ignored": list(self.ignored),
            "context": self.context.to_json() if self.context else None,
        } | ({"alphabet": self.alphabet} if self.alphabet else {})

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> Format:
        """Return the format of a form that :meth:`to_json` made.

        Raises:
            ValueError, TypeError: its parts do not fit each other, or a type is none of numbers.
        """
        lists = {key: tuple(form[key]) for key in ("columns", "dtypes", "record", "offsets", "ignored")}
        context = Context.from_json(form["context"]) if form["context"] else None
        event, container = Event.from_json(form["event"]), form["container"]
        for kind in lists["dtypes"] if container != "text" else ():
            if np.dtype(_plain(kind)).kind not in "biuf":
                raise ValueError(f"type {kind!r} is none of numbers")
        alphabet = form.get("alphabet", "")
        if list(alphabet) != sorted(set(alphabet)):
            raise ValueError("the alphabet is not sorted")
        known: dict[str, Any] = {"channels_last": form["channels_last"], "context": context, "alphabet": alphabet}
        return cls(event=event, container=container, **(known | lists))


def _restored(values: np.ndarray, kind: str) -> np.ndarray:
    """Return values in a type, unless that would change one of them."""
    cast = _cast(values, kind)
    return cast if bool((cast == values).all()) else values


def _harmless(support: Support) -> float:
    """Return a value that the support holds."""
    low, high = support.low, support.high
    return 0.0 if low < 0 < high or not support.bounded else low if math.isfinite(low) else high


def _plain(kind: str) -> str:
    """Return numpy's name of a column's type, also of pandas' own (``Int64``) and pyarrow's (``double[pyarrow]``)."""
    import pandas as pd

    dtype = pd.api.types.pandas_dtype(kind)
    return str(getattr(dtype, "numpy_dtype", dtype))


def _cast(values: np.ndarray, kind: str) -> np.ndarray:
    """Return float values in a type; whole-number types round and keep within their range."""
    dtype = np.dtype(kind)
    if dtype.kind == "b":
        return values > 0.5
    if dtype.kind not in "iu":
        return values.astype(dtype)
    bounds = np.iinfo(dtype)
    low, high = float(bounds.min), np.nextafter(float(bounds.max), 0) if dtype.itemsize == 8 else float(bounds.max)
    return np.rint(np.nan_to_num(values)).clip(low, high).astype(dtype)
