"""What is known beside a record, as the numbers that a model is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.data.columns import listed

__all__ = ["ContextEncoder"]

MOST = 64


@dataclass(frozen=True)
class ContextEncoder:
    """Context to float32 (n, k): one column a value where there are few, standardised numbers otherwise.

    Args:
        name: name of the context.
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
    def fit(cls, name: str, train: np.ndarray) -> ContextEncoder:
        """Return the encoder of a context, by its training values (n,) or (n, k).

        Raises:
            InputError: it is text of more than 64 different values.
        """
        distinct = np.unique(train)
        if train.ndim == 1 and train.dtype.kind in "iubU" and len(distinct) <= MOST:
            return cls(name, tuple(str(v) if train.dtype.kind == "U" else int(v) for v in distinct))
        if train.dtype.kind not in "iubf":
            raise InputError(f"context {name}: text of {len(distinct)} different values; expected at most {MOST}")
        numbers = train.reshape(len(train), -1).astype(np.float64)
        std = np.where(numbers.std(0) > 0, numbers.std(0), 1.0)
        return cls(name, (), tuple(numbers.mean(0).tolist()), tuple(std.tolist()))

    @property
    def size(self) -> int:
        """Number of columns of the encoded context."""
        return len(self.values) or len(self.mean)

    def encode(self, values: Any) -> Tensor:
        """Return values (n,) or (n, k) as float32 (n, size).

        Raises:
            InputError: a value did not stand in the training split, or the shape differs.
        """
        try:
            array = np.asarray(values)
        except ValueError:  # lists of several lengths
            raise InputError(
                f"context {self.name}: expected one value a record, got lists of several lengths"
            ) from None
        if self.values:
            return self._one_hot(array.reshape(-1))
        try:
            numbers = array.reshape(-1, len(self.mean)).astype(np.float64)
        except ValueError:
            numbers = np.full((1, 1), np.nan)
        if not np.isfinite(numbers).all():
            raise InputError(f"context {self.name}: expected {len(self.mean)} finite numbers a record")
        return torch.from_numpy(((numbers - self.mean) / self.std).astype(np.float32))

    def _one_hot(self, array: np.ndarray) -> Tensor:
        text = isinstance(self.values[0], str)
        cast: Any = str if text else lambda value: int(value) if float(value) == int(value) else value
        places = {value: i for i, value in enumerate(self.values)}
        try:
            found = [places[cast(value)] for value in array.tolist()]
        except (KeyError, ValueError, TypeError):
            odd = next((v for v in array.tolist() if str(v) not in map(str, self.values)), array.tolist()[0])
            raise InputError(
                f"context {self.name}: unknown value {odd!r}; expected {listed(self.values, 20)}"
            ) from None
        return torch.eye(self.size)[torch.tensor(found, dtype=torch.long)]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}

    @classmethod
    def from_json(cls, form: dict[str, Any]) -> ContextEncoder:
        """Return the encoder of a form that :meth:`to_json` made."""
        return cls(form["name"], tuple(form["values"]), tuple(form["mean"]), tuple(form["std"]))
