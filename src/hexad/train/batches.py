"""Records in random order, as a function of the seed and of a number."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from hexad.randomness import stream

__all__ = ["Batches"]


@dataclass
class Batches:
    """Records in random order, epoch after epoch, as a function of the seed and the batch's number alone.

    Of a series a record is a window of consecutive rows, which begins anywhere with equal chance, whatever came before.

    Args:
        x: records, (n, ...), on the device.
        context: what they are conditioned on, (n, features), or None.
        size: records a batch; what does not fill the last one of an epoch waits for another epoch's order.
        seed: of the order.
        window: rows of a window, (size, window, ...) a batch; a shorter series is one window. 0: records are rows.
    """

    x: Tensor
    context: Tensor | None
    size: int
    seed: int
    window: int = 0
    _epoch: int = field(default=-1, repr=False)
    _order: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Return batch ``number``: its records and their context."""
        if self.window:
            return self._windows(number), None
        size = min(self.size, len(self.x))
        epoch, k = divmod(number, len(self.x) // size)
        if epoch != self._epoch:
            order = torch.randperm(len(self.x), generator=stream(self.seed, "order", epoch))
            self._epoch, self._order = epoch, order.to(self.x.device)
        rows = self._order[k * size : (k + 1) * size]
        context = None if self.context is None else self.context.index_select(0, rows)
        return self.x.index_select(0, rows), context

    def _windows(self, number: int) -> Tensor:
        """Return windows (size, window, ...)."""
        window = min(self.window, len(self.x))
        starts = torch.randint(len(self.x) - window + 1, (self.size, 1), generator=stream(self.seed, "windows", number))
        return self.x[(starts + torch.arange(window)).to(self.x.device, non_blocking=True)]
