"""What an option may be, in words: from the annotation that it is checked against."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types as limits
from pydantic.fields import FieldInfo

__all__ = ["worded"]

PLAIN = {
    bool: ("true or false", "of true and false"),
    int: ("a whole number", "of whole numbers"),
    float: ("a number", "of numbers"),
    str: ("a text", "of texts"),
    type(None): ("none", "of none"),
}


def worded(annotation: Any, many: bool = False) -> str:
    """Return what values an annotation lets through, in words.

    >>> worded(Annotated[int, FieldInfo(ge=1)] | None)
    'a whole number of at least 1, or none'
    >>> worded(tuple[Annotated[float, FieldInfo(gt=0, lt=1)], ...])
    'a list of numbers above 0 and below 1'
    >>> worded(Literal["natural", "random"] | list[int])
    'natural or random, or a list of whole numbers'

    Args:
        annotation: of plain types, literals, lists and tuples of one type, unions, and pydantic's limits on them.
        many: whether of the elements of a list: ``of whole numbers``.
    """
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation in PLAIN:
        return PLAIN[annotation][many]
    if origin is Annotated:
        found = [m for part in parts[1:] for m in (part.metadata if isinstance(part, FieldInfo) else [part])]
        said = [words for limit in found if (words := _limit(limit))]
        return " ".join([worded(parts[0], many), " and ".join(said)]).strip()
    if origin is Literal:
        *first, last = (str(part).lower() if isinstance(part, bool) else str(part) for part in parts)
        return f"{', '.join(first)} or {last}" if first else last
    if origin in (Union, types.UnionType):
        *first, last = (worded(part) for part in parts)
        return f"{', '.join(first)}, or {last}"
    if origin in (list, tuple):
        return f"a list {worded(parts[0], many=True)}"
    return str(annotation)


def _limit(limit: Any) -> str:
    """Return what a limit of pydantic's says; nothing of one that is none of these."""
    kinds: dict[type, str] = {
        limits.Ge: "of at least {ge}",
        limits.Gt: "above {gt}",
        limits.Le: "of at most {le}",
        limits.Lt: "below {lt}",
        limits.MinLen: "(at least {min_length} of them)",
        limits.MaxLen: "(at most {max_length} of them)",
    }
    words = kinds.get(type(limit), "")
    return words.format(**{name: getattr(limit, name, None) for name in limit.__slots__}) if words else ""
