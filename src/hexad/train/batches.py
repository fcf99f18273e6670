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

    Args:
        x: records, (n, ...), on the device.
        context: what they are conditioned on, (n, features), or None.
        size: records a batch; what does not fill the last one of an epoch waits for another epoch's order.
        seed: of the order.
    """

    x: Tensor
    context: Tensor | None
    size: int
    seed: int
    _epoch: int = field(default=-1, repr=False)
    _order: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor | None]:
        """Return batch ``number``: its records and their context."""
        size = min(self.size, len(self.x))
        epoch, k = divmod(number, len(self.x) // size)
        if epoch != self._epoch:
            order = torch.randperm(len(self.x), generator=stream(self.seed, "order", epoch))
            self._epoch, self._order = epoch, order.to(self.x.device)
        rows = self._order[k * size : (k + 1) * size]
        context = None if self.context is None else self.context.index_select(0, rows)
        return self.x.index_select(0, rows), context
