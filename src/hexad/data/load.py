"""From a name, a path or a Python object to ``Data``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from hexad.checks import InputError
from hexad.data.arrangement import Arrangement, arrange
from hexad.data.base import Data, fingerprint
from hexad.data.columns import check_numbers, check_spread, column_names, select
from hexad.data.context import Context
from hexad.data.dependence import dependence_note
from hexad.data.detect import binarized, find_event, values_of
from hexad.data.format import Format
from hexad.data.forms import read_path
from hexad.data.forms.memory import read as read_memory
from hexad.data.forms.opening import stem
from hexad.data.forms.pictures import resized
from hexad.data.options import Options, per_column
from hexad.data.protocols import read_protocol
from hexad.data.raw import Raw
from hexad.data.sources import SOURCES
from hexad.data.splits import make_splits
from hexad.data.steps import offset
from hexad.data.text import BYTES, LENGTH, alphabet_of, characters, from_bytes, pieces, to_bytes
from hexad.event import Event, Support

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FEWEST", "load_data", "read_records", "read_table"]

FEWEST = 20


def load_data(source: Any, **options: Any) -> Data:
    """Return the data of a built-in name, a path, or a Python object.

    Args:
        source: ``"digits"`` or another built-in name; a file or folder (``str`` or ``Path``); an array, a tensor, a
            frame of pandas, polars or pyarrow, any iterable of arrays with a length, or ``{"train": ...}`` of these.
        options: ``support levels step bounds binarize resize columns drop context layout length tokens split
            protocol``, see
            :class:`Options`.

    Raises:
        InputError: the source cannot be read, or an option does not fit it; one line says what to do.
    """
    if isinstance(source, Data):
        if any(value is not None for value in options.values()):
            raise InputError("load_data: options do not apply to Data that were loaded before; give its source instead")
        return source
    asked = Options.parse(options)
    if isinstance(source, str) and not source.strip():
        raise InputError("data: expected a name or a path, got an empty one; . is the present folder")
    if asked.protocol is not None:
        return _by_protocol(source, asked, asked.protocol)
    if isinstance(source, str) and source in SOURCES:
        made = SOURCES[source]()
        merged = Options.parse({**made.options, **{k: v for k, v in options.items() if v is not None}})
        known = made.truth if not set(asked.to_json()) - {"split", "layout", "length"} else None
        if asked.layout is not None and known is not None:  # columns seen otherwise are the same records
            same = asked.layout in ("image", "sequence")
            known = (lambda x, truth=known: truth(x.flatten(1))) if same else None
        return _build(made.raw, merged, {"kind": "builtin", "path": source, "options": asked.to_json()}, source, known)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        raw = read_path(path, asked.resize, tuple(SOURCES))
        named = {"kind": "file", "path": os.path.abspath(path), "options": asked.to_json()}
        return _build(raw, asked, named, path.resolve().name if path.is_dir() else stem(path), None)
    raw = read_memory(source)
    return _build(raw, asked, {"kind": "memory", "path": None, "options": asked.to_json()}, "data", None)


def _by_protocol(source: Any, asked: Options, protocol: str) -> Data:
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"--data protocol={protocol} is for files; give the path of the folder that holds them")
    raw = read_protocol(Path(source), protocol)
    # the likelihoods that papers state are densities, of records that noise was added to
    merged = Options.parse({"support": "real", "step": 0, **asked.to_json()})
    named = {"kind": "file", "path": os.path.abspath(source), "options": asked.to_json()}
    return _build(raw, merged, named, protocol, None)


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Return the table of a file as it is: every column, of numbers or text, and the rows in the file's own order.

    Raises:
        InputError: the file cannot be read, or is no table.
    """
    import pandas as pd

    x = read_records(path)
    if isinstance(x, pd.DataFrame):
        return x
    if x.ndim > 2:
        raise InputError(f"{path}: holds an array of shape {x.shape}; expected a table")
    return pd.DataFrame(x, columns=list(column_names(Raw({"all": x}, "array"))))


def read_records(path: str | os.PathLike[str]) -> Any:
    """Return the records of a file or of a folder of pictures as they are: a frame whose rows stand in the file's own
    order, or an array (n, ...).

    Raises:
        InputError: the file cannot be read, or holds several splits.
    """
    raw = read_path(Path(path))
    if list(raw.parts) != ["all"]:
        raise InputError(f"{path}: holds the splits {', '.join(raw.parts)}; expected one table, give its file")
    x = raw.first
    return x if raw.order is None or not raw.is_frame else x.iloc[np.argsort(raw.order)]


def _build(
    raw: Raw, options: Options, source: dict[str, Any], name: str, truth: Callable[[Tensor], Tensor] | None
) -> Data:
    total = sum(len(x) for x in raw.parts.values())
    if total < FEWEST:
        raise InputError(f"{raw.where}: {total} rows; expected at least {FEWEST}")
    if raw.kind == "text":
        return _text(raw, options, source, name, truth)
    for option in ("length", "tokens"):
        if getattr(options, option) is not None:
            raise InputError(f"{raw.where}: --data {option} is for text, and these are numbers; leave it out")
    raw, names = select(raw, options)
    raw = check_numbers(raw, names)
    arrangement = arrange(raw, options.layout)
    raw, how = make_splits(raw, arrangement.layout == "series", options.split)
    if options.resize is not None:
        raw, arrangement = _resize(raw, arrangement, options)
    if options.binarize is not None:
        raw, options = _binarize(raw, arrangement, names, options)
    event = find_event(raw, arrangement, names, options)
    train = arrangement.inside(values_of(raw.first)).reshape(len(raw.first), -1)
    notes: tuple[str, ...] = ()
    if arrangement.layout in ("vector", "series"):
        labels = names or tuple(f"x{i}" for i in range(event.dims))
        given = per_column(options.step, names, event.dims, "step")
        looked = [s.kind == "real" and not step for s, step in zip(event.supports, given, strict=True)]
        check_spread(train, looked, labels, raw.where)
        notes = _notes(train[:, looked], event, looked, labels)
    if raw.is_frame and arrangement.layout != "series":
        raw.parts = {split: x.reset_index(drop=True) for split, x in raw.parts.items()}
    source |= {"fingerprint": fingerprint(raw.parts), "splits": how}
    if raw.date_name is not None:
        source["dates"] = {"name": raw.date_name, "pattern": raw.date_pattern}
    form = _format(raw, arrangement, event, train, options)
    return Data(
        event=event,
        **raw.parts,
        context=raw.context,
        names=names,
        source=source,
        name=name,
        format=form,
        given=form.context.name if form.context else None,
        truth=truth,
        notes=notes,
    )


def _text(
    raw: Raw, options: Options, source: dict[str, Any], name: str, truth: Callable[[Tensor], Tensor] | None
) -> Data:
    """Return the pieces of a text, of contiguous splits."""
    taken = {"length", "split", "tokens"} | ({"layout"} if options.layout == "sequence" else set())
    for option in sorted(options.to_json().keys() - taken):
        raise InputError(f"{raw.where}: --data {option} does not apply to text, which takes length, split and tokens")
    raw, how = make_splits(raw, True, options.split)
    length, tokens = options.length or LENGTH, options.tokens or "characters"
    found = list(raw.parts.values())
    if tokens == "bytes":
        found = [characters(to_bytes("".join(letters))) for letters in found]
    alphabet = BYTES if tokens == "bytes" else alphabet_of(found)
    if len(alphabet) < 2:
        raise InputError(f"{raw.where}: a text of one character alone, {alphabet!r}; expected at least two")
    parts = {}
    for split, letters in zip(raw.parts, found, strict=True):
        if len(letters) < length:
            what = f"{raw.where}, {split}: {len(letters)} {tokens}, fewer than a record of {length}"
            raise InputError(f"{what}; give a longer text, or say --data length=K")
        texts = pieces(letters, length)
        parts[split] = np.array([from_bytes(text) for text in texts.tolist()]) if tokens == "bytes" else texts
    event = Event.of((length,), Support("ordinal", levels=len(alphabet)), "sequence")
    kind = "bytes" if tokens == "bytes" else "str"
    form = Format(event, "text", dtypes=(kind,), record=(length,), alphabet=alphabet)
    source |= {"fingerprint": fingerprint(parts), "splits": how}
    train, valid, test = (parts[split] for split in ("train", "valid", "test"))
    return Data(event, train, valid, test, {}, (), source, name, form, truth=truth)


def _notes(train: np.ndarray, event: Event, looked: list[bool], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what the user should know of the columns that were looked at; those of a series are modelled alone."""
    chosen = [i for i, wanted in enumerate(looked) if wanted]
    if event.layout != "vector" or len(chosen) < 2:
        return ()
    note = dependence_note(train, [event.supports[i].step > 0 for i in chosen], [names[i] for i in chosen])
    return () if note is None else (note,)


def _resize(raw: Raw, arrangement: Arrangement, options: Options) -> tuple[Raw, Arrangement]:
    if raw.is_frame or options.resize is None or arrangement.layout != "image" or len(arrangement.record) < 2:
        raise InputError(
            f"{raw.where}: --data resize is for pictures, and these are {arrangement.layout}s; leave it out"
        )

    def change(x: np.ndarray) -> np.ndarray:
        assert options.resize is not None
        if len(arrangement.record) == 2 or arrangement.channels_last:
            return resized(x, options.resize)
        return np.ascontiguousarray(np.moveaxis(resized(np.moveaxis(x, 1, -1), options.resize), -1, 1))

    changed = Raw(**dict(raw.__dict__, parts={split: change(x) for split, x in raw.parts.items()}))
    return changed, arrange(changed, options.layout)


def _binarize(raw: Raw, arrangement: Arrangement, names: tuple[str, ...], options: Options) -> tuple[Raw, Options]:
    cut = binarized(raw, arrangement, names, options)
    kept = {
        key: value
        for key, value in options.__dict__.items()
        if key not in ("support", "levels", "step", "bounds", "binarize")
    }
    return cut, Options(**kept, support="binary")


def _format(raw: Raw, arrangement: Arrangement, event: Event, train: np.ndarray, options: Options) -> Format:
    starts = tuple(offset(train[:, i], support.step) for i, support in enumerate(event.supports))
    beside = [*raw.dropped, *([raw.date_name] if raw.date_name else [])]
    context = None
    if options.context is not None:
        context = Context.fit({name: raw.context[name] for name in options.context})
    if raw.is_frame:
        columns = tuple(int(name) if isinstance(name, (int, np.integer)) else str(name) for name in raw.first.columns)
        dtypes = tuple(str(dtype) for dtype in raw.first.dtypes)
    else:
        columns, dtypes = (), (str(raw.first.dtype),)
    return Format(
        event,
        "frame" if raw.is_frame else "array",
        columns,
        dtypes,
        arrangement.record,
        arrangement.channels_last,
        starts if any(starts) else (),
        tuple(str(name) for name in beside),
        context,
    )
