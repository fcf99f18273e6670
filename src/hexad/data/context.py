"""What is known beside a record, as the numbers that a model is given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, hint
from hexad.data.columns import column_values, listed
from hexad.data.forms.memory import is_frame, to_pandas

__all__ = ["Context", "ContextEncoder"]

MOST = 64


@dataclass(frozen=True)
class ContextEncoder:
    """One column of context to float32 (n, k): one number a value where there are few, standardised numbers otherwise.

    Args:
        name: name of the column.
        values: the values that stand in the training split, for one-hot columns; else ().
        mean: mean of each number on the training split.
        std: standard deviation of each number on the training split.
    """

    name: str
    values: tuple[int | str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or bool(self.values) == bool(self.mean):
            raise ValueError(f"context {self.name}: expected values, or as many means as deviations")
        if len(set(self.values)) != len(self.values) or len({type(value) for value in self.values}) > 1:
            raise ValueError(f"context {self.name}: expected different values of one type")

    @classmethod
    def fit(cls, name: str, train: np.ndarray, others: Sequence[np.ndarray] = ()) -> ContextEncoder:
        """Return the encoder of a column.

        Args:
            name: its name.
            train: its values in the training split, (n,) or (n, k).
            others: those in the other splits. Whole numbers that do not stand in ``train`` say that these are counts
                or amounts, not names of classes: then they are standardised.

        Raises:
            InputError: it is text of more than 64 different values, or numbers are missing or infinite.
        """
        distinct = np.unique(train)
        few = train.ndim == 1 and train.dtype.kind in "iubU" and len(distinct) <= MOST
        if few and (train.dtype.kind == "U" or all(np.isin(values, distinct).all() for values in others)):
            return cls(name, tuple(str(v) if train.dtype.kind == "U" else int(v) for v in distinct))
        if train.dtype.kind not in "iubf":
            raise InputError(f"context {name}: text of {len(distinct)} different values; expected at most {MOST}")
        numbers = train.reshape(len(train), -1).astype(np.float64)
        if not np.isfinite(numbers).all():
            raise InputError(f"context {name}: values are missing or infinite; fill them, or choose another")
        std = np.where(numbers.std(0) > 0, numbers.std(0), 1.0)
        return cls(name, (), tuple(numbers.mean(0).tolist()), tuple(std.tolist()))

    @property
    def size(self) -> int:
        """Number of columns of the encoded context."""
        return len(self.values) or len(self.mean)

    @property
    def features(self) -> list[str]:
        """A name for each number of the encoded column."""
        if self.values:
            return [f"{self.name}={value}" for value in self.values]
        return [self.name] if self.width == 1 else [f"{self.name}_{i}" for i in range(self.width)]

    @property
    def width(self) -> int:
        """Number of values of a record in the user's units."""
        return len(self.mean) or 1

    def encode(self, values: Any, dtype: torch.dtype = torch.float32, raw: bool = False) -> Tensor:
        """Return values (n,) or (n, k) as numbers (n, size); one record may stand without its first axis.

        Args:
            values: in the user's units.
            dtype: of the numbers.
            raw: whether numbers stay in the user's units instead of being standardised.

        Raises:
            InputError: a value did not stand in the training split or is missing, or the shape differs.
        """
        try:
            array = column_values(values) if hasattr(values, "isna") else np.asarray(values)
        except ValueError:  # lists of several lengths
            raise InputError(
                f"context {self.name}: expected one value a record, got lists of several lengths"
            ) from None
        array = array[None] if array.ndim == 0 or (array.ndim == 1 and array.shape == (self.width,)) else array
        if math.prod(array.shape[1:]) != self.width:
            wanted = "one value" if self.width == 1 else f"{self.width} numbers"
            raise InputError(f"context {self.name}: expected {wanted} a record, got an array of shape {array.shape}")
        array = array.reshape(len(array), self.width)
        if self.values:
            return self._one_hot(array[:, 0]).to(dtype)
        numbers = self._numbers(array)
        return torch.from_numpy(numbers if raw else (numbers - self.mean) / self.std).to(dtype)

    def decode(self, codes: Tensor) -> np.ndarray:
        """Return values in the user's units of their codes (n, size): the class of the largest, or numbers, (n,) or
        (n, k).
        """
        held = codes.detach().to("cpu", torch.float64).numpy()
        if self.values:
            return np.array(self.values)[held.argmax(1)]
        numbers = held * self.std + self.mean
        return numbers[:, 0] if self.width == 1 else numbers

    def _numbers(self, array: np.ndarray) -> np.ndarray:
        try:
            numbers = array.astype(np.float64)
        except (ValueError, TypeError):
            odd = next(value for value in array.ravel().tolist() if not _is_number(value))
            raise InputError(f"context {self.name}: expected numbers, got {str(odd)[:30]!r}") from None
        rows = np.flatnonzero(~np.isfinite(numbers).all(axis=1)) + 1
        if len(rows):
            where = f"missing or infinite values in rows {listed(rows.tolist(), 3)}"
            raise InputError(f"context {self.name}: {where}; expected finite numbers, fill them")
        return numbers

    def _one_hot(self, array: np.ndarray) -> Tensor:
        text = isinstance(self.values[0], str)
        cast: Any = str if text else lambda value: int(float(value)) if float(value).is_integer() else value
        places = {value: i for i, value in enumerate(self.values)}
        codes = []
        for row, value in enumerate(array.tolist(), 1):
            try:
                codes.append(places[cast(value)])
            except (KeyError, ValueError, TypeError):
                known = listed(self.values, 20)
                what = f"unknown value {value!r} in row {row}"
                raise InputError(f"context {self.name}: {what}; expected one that training holds, {known}") from None
        return torch.eye(self.size)[torch.tensor(codes, dtype=torch.long)]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> ContextEncoder:
        """Return the encoder of a form that :meth:`to_json` made."""
        return cls(form["name"], tuple(form["values"]), tuple(form["mean"]), tuple(form["std"]))


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True


@dataclass(frozen=True)
class Context:
    """All that a model is given: its columns, encoded side by side.

    Args:
        encoders: one a column, in the order in which they were named.
    """

    encoders: tuple[ContextEncoder, ...]

    def __post_init__(self) -> None:
        if not self.encoders or len(set(self.names)) < len(self.names):
            raise ValueError(f"context of the columns {listed(self.names)}: expected at least one, each once")

    @classmethod
    def fit(cls, columns: Mapping[str, Mapping[str, np.ndarray]]) -> Context:
        """Return the context of columns ``{"name": {"train": (n,), "valid": ..., "test": ...}}``.

        Raises:
            InputError: as :meth:`ContextEncoder.fit`.
        """
        splits = {name: dict(parts) for name, parts in columns.items()}
        return cls(tuple(ContextEncoder.fit(name, p.pop("train"), tuple(p.values())) for name, p in splits.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(encoder.name for encoder in self.encoders)

    @property
    def features(self) -> list[str]:
        """A name for each number of the encoded context: ``a``; ``b=x``, ``b=y`` of classes; ``c_0``, ``c_1``."""
        return [name for encoder in self.encoders for name in encoder.features]

    @property
    def name(self) -> str:
        """The names in one phrase, ``a, b, c``."""
        return ", ".join(self.names)

    @property
    def size(self) -> int:
        """Number of columns of the encoded context."""
        return sum(encoder.size for encoder in self.encoders)

    def encode(
        self, values: Any, rows: int | None = None, dtype: torch.dtype = torch.float32, raw: bool = False
    ) -> Tensor:
        """Return a context in the user's units as numbers (n, size).

        Args:
            values: a frame or a mapping, whose columns are found by name and may be more; or an array, a tensor or a
                list, (n,) or (n, columns), by position. One record stands for all.
            rows: the number of records n, or None for as many as there are.
            dtype, raw: as for :meth:`ContextEncoder.encode`.

        Raises:
            InputError: a column is missing, there are too many or too few records or columns, or a value is unknown.
        """
        columns = self._columns(values)
        codes = [encoder.encode(column, dtype, raw) for encoder, column in zip(self.encoders, columns, strict=True)]
        n = max(len(code) for code in codes) if rows is None else rows
        for name, code in zip(self.names, codes, strict=True):
            if len(code) not in (1, n):
                raise InputError(f"context: expected {n} values of {name!r}, one a record, got {len(code)}")
        return torch.cat([code.expand(n, -1) for code in codes], 1)

    def decode(self, codes: Tensor) -> dict[str, np.ndarray]:
        """Return the columns by name, in the user's units, of codes (n, size): what :meth:`encode` undoes.

        A column of several numbers a record is ``NAME_0``, ``NAME_1``, ...

        Raises:
            ValueError: codes of another width.
        """
        if codes.dim() != 2 or codes.shape[1] != self.size:
            raise ValueError(f"codes of a context: expected (n, {self.size}), got {tuple(codes.shape)}")
        columns: dict[str, np.ndarray] = {}
        parts = codes.split([encoder.size for encoder in self.encoders], dim=1)
        for encoder, part in zip(self.encoders, parts, strict=True):
            values = encoder.decode(part)
            wide = {f"{encoder.name}_{i}": column for i, column in enumerate(values.T)}
            columns |= {encoder.name: values} if values.ndim == 1 else wide
        return columns

    def _columns(self, values: Any) -> list[Any]:
        if is_frame(values):
            frame = to_pandas(values)
            values = {str(name): frame.iloc[:, i] for i, name in enumerate(frame.columns)}
        elif len(self.encoders) > 1 and hasattr(values, "to_dict"):  # a row of a frame
            values = values.to_dict()
        if isinstance(values, Mapping):
            named = {str(name): column for name, column in values.items()}
            missing = [name for name in self.names if name not in named]
            if missing:
                near = hint(missing[0], named)
                near = near if near.startswith("; did") else f"; expected {listed(self.names)}, got {listed(named)}"
                raise InputError(f"context: no column {listed(missing)}{near}")
            return [named[name] for name in self.names]
        return [values] if len(self.encoders) == 1 else self._by_position(values)

    def _by_position(self, values: Any) -> list[Any]:
        if hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        table = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
        width = sum(encoder.width for encoder in self.encoders)
        table = table[None] if table.shape == (width,) else table
        if table.ndim != 2 or table.shape[1] != width:
            got = f"an array of shape {table.shape}" if table.ndim else repr(values)
            raise InputError(f"context: expected {width} columns, {listed(self.names)}, got {got}")
        ends = np.cumsum([encoder.width for encoder in self.encoders])[:-1]
        return np.split(table, ends, axis=1)

    def to_json(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Return a JSON form: of one column its encoder's, of several a list of these."""
        forms = [encoder.to_json() for encoder in self.encoders]
        return forms[0] if len(forms) == 1 else forms

    @classmethod
    def from_json(cls, form: dict[str, Any] | list[dict[str, Any]]) -> Context:
        """Return the context of a form that :meth:`to_json` made."""
        forms = form if isinstance(form, list) else [form]
        return cls(tuple(ContextEncoder.from_json(part) for part in forms))
