r"""The law of a column in records of several kinds: each kind has its own.

.. math:: \log p(x) = \sum_{\text{bits, levels}} \log P(x_k | x_{<k}) + \sum_{\text{reals}} \log p(x_k | x_{<k})

masses for bits, levels and recorded reals, densities for the other reals: the measure ``mixed``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.autoregressive.heads import Head
from hexad.event import Event

__all__ = ["Mixed"]


class Mixed(Head):
    """A head a kind, each for the columns of its kind; a column's outputs beyond those of its law are not read.

    Args:
        event: records of several kinds.
        parts: the head of each kind that the event has, built for :meth:`event_of` that kind; each shows the network
            one number a column.
    """

    def __init__(self, event: Event, parts: Mapping[str, Head]) -> None:
        heads = list(parts.values())
        super().__init__(outputs=max(h.outputs for h in heads), draws=max(h.draws for h in heads))
        self.heads = nn.ModuleList(heads)
        self.places = [_columns(event, kind) for kind in parts]
        for i, columns in enumerate(self.places):
            self.register_buffer(f"columns_{i}", torch.tensor(columns), persistent=False)

    @staticmethod
    def event_of(event: Event, kind: str) -> Event:
        """Return the event of the columns of one kind."""
        supports = tuple(event.supports[k] for k in _columns(event, kind))
        return Event((len(supports),), supports)

    def _parts(self, columns: slice) -> Iterator[tuple[Head, Tensor, slice]]:
        """Yield each head that has columns there, their places in the slice, and which of its columns they are."""
        start, stop, _ = columns.indices(sum(map(len, self.places)))
        for i, (head, places) in enumerate(zip(self.heads, self.places, strict=True)):
            mine = slice(bisect_left(places, start), bisect_left(places, stop))
            if mine.start < mine.stop:
                assert isinstance(head, Head)
                yield head, getattr(self, f"columns_{i}")[mine] - start, mine

    def _joined(self, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return columns in their order, (n, k), from those of each head, (n, of it), and their places."""
        return torch.cat([value for value, _ in parts], 1)[:, torch.cat([at for _, at in parts]).argsort()]

    def prepare(self, x: Tensor) -> Tensor:
        """Fit each kind's; return the outputs (D, outputs) that state the marginals, the unread ones 0."""
        outputs = x.new_zeros(x.shape[1], self.outputs)
        for head, at, _ in self._parts(slice(None)):
            outputs[at] = F.pad(head.prepare(x[:, at]), (0, self.outputs - head.outputs)).to(x.dtype)
        return outputs

    def log_prob(self, outputs: Tensor, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the log mass, or the log density of a real column without a cell."""
        parts = self._parts(columns)
        return self._joined([(h.log_prob(outputs[:, at, : h.outputs], x[:, at], of), at) for h, at, of in parts])

    def draw(self, outputs: Tensor, noise: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return values by each kind's law; the numbers are uniform ones, which each makes its own noise of."""

        def of_kind(head: Head, at: Tensor, of: slice) -> Tensor:
            own = outputs[:, at, : head.outputs]
            return head.draw(own, head.noise(noise[:, at, : head.draws], own.dtype), of)

        return self._joined([(of_kind(head, at, of), at) for head, at, of in self._parts(columns)])

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return bits as they are, levels scaled to [-1, 1], reals as they are."""
        return self._joined([(head.embed(x[:, at], of), at) for head, at, of in self._parts(columns)])


def _columns(event: Event, kind: str) -> list[int]:
    return [k for k, support in enumerate(event.supports) if support.kind == kind]
