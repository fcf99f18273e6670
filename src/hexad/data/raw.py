"""What a form hands over: the values as they were read, before any of them was judged."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

__all__ = ["SPLITS", "Raw"]

SPLITS = ("train", "valid", "test")


@dataclass
class Raw:
    """Values of a file, a folder or a Python object.

    Args:
        parts: ``{"all": x}``, or an ``x`` for some of ``train``, ``valid``, ``test``; numpy arrays (n, ...) or frames.
        kind: ``table`` (columns of numbers), ``array`` (the type of its elements says what they are), ``pictures`` or
            ``text``: the characters of a text, (n,).
        context: what is known beside the records: ``{"label": {"all": (n,)}}``, with the keys of ``parts``.
        where: how messages name the source.
        channels_first: which of two readings an array of pictures has where its shape allows both.
        named: whether the user named the columns; else ``x0, x1, ...`` are ours.
        date_name: name of the column of dates that became the index, or None.
        date_pattern: how these dates were written, as for ``strptime``.
        how: where given splits come from, in words.
        order: the rows of a table with dates as the source has them, where they were put into time order; else None.
        dropped: columns that were left out of the variables, in the source's order.
        rows: of parts that were cut from one, which of its rows they hold, from 0.
    """

    parts: dict[str, Any]
    kind: Literal["table", "array", "pictures", "text"]
    context: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    where: str = "the data"
    channels_first: bool = False
    named: bool = True
    date_name: str | None = None
    date_pattern: str | None = None
    how: str = "as given"
    order: np.ndarray | None = None
    dropped: list[Any] = field(default_factory=list)
    rows: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def first(self) -> Any:
        """The training part, or the only one."""
        return self.parts.get("train", next(iter(self.parts.values())))

    @property
    def is_frame(self) -> bool:
        """Whether the parts are pandas frames."""
        return hasattr(self.first, "columns")
