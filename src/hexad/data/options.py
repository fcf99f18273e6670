"""The options of ``load_data``, as the command line (``--data key=value``) or Python gives them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from hexad.checks import InputError, choose
from hexad.data.protocols import PROTOCOLS
from hexad.data.text import TOKENS

__all__ = ["LAYOUTS", "OPTIONS", "SUPPORTS", "Options", "per_column"]

LAYOUTS = ("vector", "image", "series", "sequence")
SUPPORTS = ("binary", "ordinal", "real")
LEVELS = 65536


@dataclass(frozen=True)
class Options:
    """Options of ``load_data``; None where one was not given.

    Args:
        support: ``binary``, ``ordinal`` or ``real``: one for all columns, a list, or a mapping by name.
        levels: number of levels of ordinal columns: one for all, a list, or a mapping by name.
        step: width of the grid of real columns, 0 for none: one for all, a list, or a mapping by name.
        bounds: (low, high) of real columns, None for an open side: one pair for all, a list, or a mapping by name.
        binarize: threshold above which a value is 1: a fraction of the largest level, or a value of a real column.
        resize: (height, width) of pictures.
        columns: columns to keep.
        drop: columns to leave out.
        context: the columns, or the labels, that models are given: what is left are the variables.
        layout: ``vector``, ``image``, ``series`` or ``sequence``.
        length: characters, or bytes, of a record of text.
        tokens: ``characters`` (the default) or ``bytes``: what the levels of a text are.
        split: fractions (train, valid, test), or ``time`` for contiguous pieces.
        protocol: ``power``, ``gas``, ``hepmass``, ``miniboone`` or ``bsds300``: the path holds the original files of
            this benchmark, which are prepared as the literature does.
    """

    support: Any = None
    levels: Any = None
    step: Any = None
    bounds: Any = None
    binarize: float | None = None
    resize: tuple[int, int] | None = None
    columns: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None
    context: tuple[str, ...] | None = None
    layout: str | None = None
    length: int | None = None
    tokens: str | None = None
    split: tuple[float, float, float] | str | None = None
    protocol: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Options:
        """Return the options of a mapping of names to values.

        Raises:
            InputError: an option or one of its values is unknown; the nearest is named.
        """
        for name in given:
            choose(name, OPTIONS, "data option")
        read = {name: READERS[name](value) for name, value in given.items() if value is not None}
        return cls(**read)

    def to_json(self) -> dict[str, Any]:
        """Return the options that were given, as JSON values."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.context and len(self.context) == 1 and "," not in self.context[0]:
            found["context"] = self.context[0]  # as it is written, and as runs of one column have it
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items() if v is not None}


def per_column(value: Any, names: tuple[str, ...], dims: int, what: str) -> list[Any]:
    """Return one entry a column of an option that was given once, as a list, or by name (None where not named).

    Args:
        value: what was given.
        names: names of the columns, or empty.
        dims: number of columns.
        what: the option's name.

    Raises:
        InputError: the list has another length, or a name is unknown.
    """
    if isinstance(value, Mapping):
        for name in value:
            choose(name, names, f"column in --data {what}")
        return [value.get(name) for name in names]
    if isinstance(value, (list, tuple)) and not (what == "bounds" and any(isinstance(e, float) for e in value)):
        if len(value) != dims:
            raise InputError(f"data option {what}: a list needs one entry a column, {dims}, got {len(value)}")
        return list(value)
    return [value] * dims


def _names(what: str) -> Any:
    def read(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",")]
        elif not isinstance(value, Iterable) or isinstance(value, Mapping):
            value = [value]
        found = tuple(str(name) for name in value)
        if not found or "" in found:
            raise InputError(f"data option {what}: expected names of columns, such as {what}=a,b, got {value!r}")
        return found

    return read


def _number(value: Any, what: str, low: float) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= low):
        least = f" of at least {low:g}" if math.isfinite(low) else ""
        raise InputError(f"data option {what}: expected a number{least}, got {value!r}")
    return number


def _each(read: Any) -> Any:
    """Apply a reader to one value, to every entry of a list (also ``a,b,c``) or to every value of a mapping."""

    def read_all(value: Any) -> Any:
        if isinstance(value, str) and "," in value:
            value = value.split(",")
        if isinstance(value, Mapping):
            return {str(name): read(entry) for name, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return tuple(read(entry) for entry in value)
        return read(value)

    return read_all


def _bounds(value: Any) -> Any:
    """Return one pair, a tuple of pairs or a mapping to pairs; None stands for no bounds."""
    if isinstance(value, Mapping):
        return {str(name): _pair(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)) and any(isinstance(entry, (list, tuple)) for entry in value):
        return tuple(_pair(entry) for entry in value)
    return _pair(value)


def _pair(value: Any) -> tuple[float | None, float | None] | None:
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise InputError(
            "data option bounds: expected [low, high] with null for an open side, such as bounds=[0,null] or "
            f'bounds={{"age": [0, 120]}}, got {value!r}'
        )
    opened = ((None, "", -math.inf), (None, "", math.inf))
    low, high = (
        None if (end.strip() if isinstance(end, str) else end) in none else _number(end, "bounds", -math.inf)
        for end, none in zip(parts, opened, strict=True)
    )
    if low is not None and high is not None and not low < high:
        raise InputError(f"data option bounds: the lower must lie below the upper, got {low:g} and {high:g}")
    return None if low is None and high is None else (low, high)


def _level(value: Any) -> int:
    number = _number(value, "levels", 2)
    if number != int(number) or number > LEVELS:
        raise InputError(f"data option levels: expected a whole number from 2 to {LEVELS}, got {value!r}")
    return int(number)


def _length(value: Any) -> int:
    number = _number(value, "length", 2)
    if number != int(number) or number > 65536:
        raise InputError(f"data option length: expected a whole number from 2 to 65536, got {value!r}")
    return int(number)


def _binarize(value: Any) -> float:
    return _number(value, "binarize", -math.inf)


def _resize(value: Any) -> tuple[int, int]:
    parts = str(value).lower().split("x") if isinstance(value, (str, int)) else list(value)
    parts = parts * 2 if len(parts) == 1 else parts
    try:
        height, width = (int(part) for part in parts)
    except (TypeError, ValueError):
        height = width = 0
    if isinstance(value, bool) or not (0 < height <= 4096 and 0 < width <= 4096):
        raise InputError(f"data option resize: expected HEIGHTxWIDTH or one number, such as 32x32, got {value!r}")
    return height, width


def _split(value: Any) -> tuple[float, float, float] | str:
    wanted = "data option split: expected time, or three fractions train,valid,test that sum to 1, such as 0.7,0.1,0.2"
    if value == "time":
        return "time"
    parts = value.split(",") if isinstance(value, str) else value
    try:
        found = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        found = ()
    if len(found) != 3 or not all(0 < part < 1 for part in found) or abs(sum(found) - 1) > 1e-6:
        raise InputError(f"{wanted}, got {value!r}")
    return found[0], found[1], found[2]


def _context(value: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = _names("context")(value)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"data option context: {', '.join(twice)} is named twice, expected each name once")
    return names


READERS: dict[str, Any] = {
    "support": _each(lambda value: choose(value, SUPPORTS, "support")),
    "levels": _each(_level),
    "step": _each(lambda value: _number(value, "step", 0)),
    "bounds": _bounds,
    "binarize": _binarize,
    "resize": _resize,
    "columns": _names("columns"),
    "drop": _names("drop"),
    "context": _context,
    "layout": lambda value: choose(value, LAYOUTS, "layout"),
    "length": _length,
    "tokens": lambda value: choose(value, TOKENS, "tokens"),
    "split": _split,
    "protocol": lambda value: choose(value, PROTOCOLS, "protocol"),
}
OPTIONS = tuple(READERS)
