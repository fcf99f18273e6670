r"""What one record is: its shape, its layout, and the support of each of its columns.

A column is *binary* (0 or 1), *ordinal* (0 to ``levels - 1``) or *real*. A real column may have been recorded on a
grid of width ``step``; then a record stands for the cell of that width around it, and its probability is a mass. It may
have bounds, which are declared and never found: a value lies between them. The measure of a
record follows: ``mass`` where every column has a cell, ``density`` where none has, ``mixed`` otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["Event", "Kind", "Layout", "Measure", "Support"]

Kind = Literal["binary", "ordinal", "real"]
Layout = Literal["vector", "image", "series", "sequence"]
Measure = Literal["mass", "density", "mixed"]


@dataclass(frozen=True)
class Support:
    """The values that one column may take.

    Args:
        kind: ``binary``, ``ordinal`` or ``real``.
        levels: number of values of an ordinal column (0 to ``levels - 1``); 2 for a binary one, 0 for a real one.
        step: width of the grid on which a real column was recorded, in its own units; 0 for none.
        low, high: bounds of a real column, in its own units; infinite where it has none.
    """

    kind: Kind
    levels: int = 0
    step: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if self.kind == "binary":
            object.__setattr__(self, "levels", 2)
        if self.kind == "real" and self.levels:
            raise ValueError(f"real support: has no levels, got {self.levels}")
        if self.kind == "ordinal" and self.levels < 2:
            raise ValueError(f"ordinal support: levels must be at least 2, got {self.levels}")
        if self.kind not in ("binary", "ordinal", "real"):
            raise ValueError(f"support: kind must be binary, ordinal or real, got {self.kind!r}")
        if not (self.step >= 0 and math.isfinite(self.step)):
            raise ValueError(f"real support: step must be finite and at least 0, got {self.step}")
        if not (self.low < self.high and self.high > -math.inf and self.low < math.inf):
            raise ValueError(f"real support: the lower bound must lie below the upper, got {self.low} and {self.high}")
        if self.bounded and self.kind != "real":
            raise ValueError(f"{self.kind} support: has no bounds, got {self.low} and {self.high}")

    @property
    def width(self) -> float:
        """Width of a cell: 1 for binary and ordinal columns, ``step`` for real ones (0: no cell)."""
        return self.step if self.kind == "real" else 1.0

    @property
    def bounded(self) -> bool:
        """Whether the column has a bound."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form; bounds stand in it where there are any."""
        ends = {"low": self.low, "high": self.high}
        bounds = {name: value for name, value in ends.items() if math.isfinite(value)}
        return {"kind": self.kind, "levels": self.levels, "step": self.step} | bounds

    def __str__(self) -> str:
        if self.kind == "ordinal":
            return f"ordinal({self.levels})"
        said = [f"step={self.step:g}"] if self.kind == "real" and self.step else []
        said += [f"{self.low:g} to {self.high:g}"] if self.bounded else []
        return f"{self.kind}({', '.join(said)})" if said else self.kind


@dataclass(frozen=True)
class Event:
    """What one record is.

    Args:
        shape: shape of a record inside: ``(D,)`` for vectors and for one time of a series, ``(C, H, W)`` for images.
        supports: one support a column, in the order of the flattened record.
        layout: ``vector``, ``image``, ``series`` (a record is one time; rows stand in time order) or ``sequence``.
        names: one name a column, or empty.
    """

    shape: tuple[int, ...]
    supports: tuple[Support, ...]
    layout: Layout = "vector"
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.supports) != self.dims:
            raise ValueError(f"event of shape {self.shape}: expected {self.dims} supports, got {len(self.supports)}")
        if self.names and len(self.names) != self.dims:
            raise ValueError(f"event of shape {self.shape}: expected {self.dims} names, got {len(self.names)}")

    @classmethod
    def of(cls, shape: int | Sequence[int], support: Support | Kind, layout: Layout | None = None) -> Event:
        """Return an event all of whose columns have one support.

        >>> Event.of((1, 8, 8), Support("ordinal", levels=17))
        Event((1, 8, 8), ordinal(17), image)
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        support = Support(support) if isinstance(support, str) else support
        return cls(shape, (support,) * math.prod(shape), layout or ("image" if len(shape) == 3 else "vector"))

    @property
    def dims(self) -> int:
        """Number of columns of the flattened record."""
        return math.prod(self.shape)

    @property
    def kind(self) -> Literal["binary", "ordinal", "real", "mixed"]:
        """The one kind of all columns, or ``mixed``."""
        kinds = {support.kind for support in self.supports}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    @property
    def levels(self) -> int:
        """The largest number of levels of a column; 0 for real data."""
        return max(support.levels for support in self.supports)

    @property
    def one_unit(self) -> bool:
        """Whether all columns share a unit: pixels, bits, levels; columns of a table do not."""
        return self.layout == "image" or self.kind in ("binary", "ordinal")

    @property
    def measure(self) -> Measure:
        """What the probability of a record is: ``mass``, ``density`` or ``mixed``."""
        cells = {support.width > 0 for support in self.supports}
        return "mixed" if len(cells) == 2 else "mass" if cells == {True} else "density"

    @property
    def widths(self) -> Tensor:
        """Widths of the columns' cells (0: none), float64 of the event's shape."""
        return torch.tensor([s.width for s in self.supports], dtype=torch.float64).reshape(self.shape)

    @property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds of the columns (infinite: none), each float64 of the event's shape."""
        low, high = ([getattr(s, end) for s in self.supports] for end in ("low", "high"))
        return tuple(torch.tensor(v, dtype=torch.float64).reshape(self.shape) for v in (low, high))  # type: ignore[return-value]

    def with_support(self, support: Support | Sequence[Support]) -> Event:
        """Return this event with other supports: one for all columns, or one each."""
        supports = (support,) * self.dims if isinstance(support, Support) else tuple(support)
        return replace(self, supports=supports)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form of the event; equal supports are stored once."""
        unique = list(dict.fromkeys(self.supports))
        stored = unique if len(unique) == 1 else self.supports
        supports = [support.to_json() for support in stored]
        return {"shape": list(self.shape), "layout": self.layout, "supports": supports, "names": list(self.names)}

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> Event:
        """Return the event of a form that :meth:`to_json` made."""
        shape = tuple(form["shape"])
        supports = tuple(Support(**support) for support in form["supports"])
        if len(supports) == 1:
            supports *= math.prod(shape)
        return cls(shape, supports, form["layout"], tuple(form["names"]))

    def __repr__(self) -> str:
        unique = list(dict.fromkeys(self.supports))
        text = ", ".join(map(str, unique[:3])) + (", ..." if len(unique) > 3 else "")
        return f"Event({self.shape}, {text}, {self.layout})"
