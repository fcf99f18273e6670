"""``Data``: records in three splits, in the user's units, with what one record is."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, choose
from hexad.data.format import Format
from hexad.data.raw import SPLITS
from hexad.event import Event

__all__ = ["Data", "fingerprint"]


@dataclass(frozen=True, eq=False)
class Data:
    """Records for training, choosing and the verdict.

    Args:
        event: what one record is, found on the training split.
        train: training records as the user holds them: an array (n, ...) or a pandas frame.
        valid: records by which the best weights are chosen.
        test: records for the verdict.
        context: what is known beside the records: ``{"label": {"train": (n,), "valid": ..., "test": ...}}``.
        names: names of the columns; () for pictures.
        source: where the data came from, JSON-able: ``kind path options fingerprint splits``.
        name: short name, for titles and folders.
        given: the context that models are given, ``a, b, c`` where it has several columns, or None.
        format: how records are held outside.
        truth: exact log-probability of records (n, ...) in the user's units, float64 (n,); None where it is not known.
        notes: what the user should know before a model is trained on them, a line each.
    """

    event: Event
    train: Any
    valid: Any
    test: Any
    context: dict[str, dict[str, np.ndarray]]
    names: tuple[str, ...]
    source: dict[str, Any]
    name: str
    format: Format
    given: str | None = None
    truth: Callable[[Tensor], Tensor] | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    def split(self, split: str) -> Any:
        """Return the records of a split, in the user's units.

        Raises:
            InputError: ``split`` is not ``train``, ``valid`` or ``test``.
        """
        return getattr(self, choose(split, SPLITS, "split"))

    def tensor(self, split: str) -> Tensor:
        """Return the records of a split, (n, *event.shape): uint8 for levels up to 256, float64 where a column is real.

        Raises:
            InputError: ``split`` is unknown.
        """
        return self.format.encode(self.split(split), where=f"{self.name}, {split}")

    def context_tensor(self, split: str, dtype: torch.dtype = torch.float32, raw: bool = False) -> Tensor | None:
        """Return the chosen context of a split, (n, k), or None where none was chosen.

        Whole numbers and text with at most 64 different training values are one-hot, other numbers standardised, or in
        the user's units with ``raw``; the columns stand side by side.

        Raises:
            InputError: ``split`` is unknown, or it holds a value that training does not.
        """
        known = self.known(split)
        try:
            return None if known is None else self.format.encode_context(known, None, dtype, raw)
        except InputError as error:
            raise InputError(f"{self.name}, {split}: {error}") from None

    def known(self, split: str) -> dict[str, np.ndarray] | None:
        """Return the chosen context of a split in the user's units by name, or None where none was chosen.

        Raises:
            InputError: ``split`` is unknown.
        """
        choose(split, SPLITS, "split")
        chosen = self.format.context
        return None if chosen is None else {name: self.context[name][split] for name in chosen.names}

    def describe(self) -> str:
        """Return one line: the name, the sizes of the splits, the event, and how the steps were found."""
        sizes = ", ".join(f"{len(self.split(split))} {split}" for split in SPLITS)
        return f"{self.name}: {sizes} ({self.source['splits']}); {self.event!r}{self._steps()}{self._known()}"

    def _steps(self) -> str:
        real = [i for i, support in enumerate(self.event.supports) if support.kind == "real"]
        if not real:
            return ""
        asked = self.source["options"].get("step") is not None
        how = "as given" if asked else "found on the training rows, --data step=... overrides"
        how = "by definition" if self.source["kind"] == "builtin" and not asked else how
        widths = {self.names[i] if self.names else str(i): self.event.supports[i].step for i in real}
        if len(set(widths.values())) == 1:
            step = next(iter(widths.values()))
            said = f"step {step:.6g}" if step else "no steps"
        elif len(real) <= 8:
            said = "steps " + ", ".join(
                f"{name} {step:.6g}" if step else f"{name} none" for name, step in widths.items()
            )
        else:
            counts = Counter(widths.values()).most_common(4)
            said = "steps " + ", ".join(f"{step:.6g} in {n}" if step else f"none in {n}" for step, n in counts)
            said += " columns" + (", ..." if len(set(widths.values())) > 4 else "")
        return f"; {said} ({how})"

    def _known(self) -> str:
        said = f"; given {self.given}" if self.given else f"; context {', '.join(self.context)}" if self.context else ""
        return said + ("; log p is known" if self.truth else "")

    def __repr__(self) -> str:
        sizes = "/".join(str(len(self.split(split))) for split in SPLITS)
        kind = {"frame": "frames", "array": "arrays", "text": "texts"}[self.format.container]
        extra = f", context {', '.join(self.context)}" if self.context else ""
        return f"Data({self.name!r}, {sizes} {kind}, {self.event!r}{extra})"


def fingerprint(parts: dict[str, Any]) -> str:
    """Return the SHA-256 of the content of all splits: names of columns, shapes, types and values."""
    digest = hashlib.sha256()
    for split in SPLITS:
        x = parts[split]
        if not hasattr(x, "columns"):
            columns = {"": np.asarray(x)}
        else:
            columns = {str(name): x.iloc[:, i].to_numpy(dtype=np.float64) for i, name in enumerate(x.columns)}
        for name, values in columns.items():
            digest.update(f"{split}/{name}/{values.shape}/{values.dtype.str}".encode())
            digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
