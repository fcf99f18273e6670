"""A decoder-only Transformer of discrete records (Vaswani et al., 2017; Radford et al., 2019).

f of :mod:`~hexad.autoregressive.token` is a causal Transformer, in which places differ by their distances alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.autoregressive.base import Walk
from hexad.autoregressive.token import TokenModel
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import KeyValueCache
from hexad.nn import Transformer as Network

__all__ = ["Transformer"]


class Transformer(TokenModel):
    r"""A Transformer on binary or ordinal records, in the natural order of their columns.

    Args:
        event: what one record is; all columns binary or ordinal, with as many levels as each has.
        layers: number of blocks.
        heads: number of heads of attention.
        width: of the embeddings, a multiple of twice the heads.
        dropout: part of what each block adds that is left out in training.
        gated: whether the layers of a place are SwiGLU, not GELU.
        tied: whether W is the matrix of the embeddings (Press and Wolf, 2017).
        context: number of context features; left out they count as zeros.

    Raises:
        ValueError: the event has real columns.
        InputError: the width is no multiple of 2 heads, or the dropout out of [0, 1).
    """

    network: Network

    def __init__(
        self,
        event: Event,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        dropout: float = 0.0,
        gated: bool = False,
        tied: bool = False,
        context: int = 0,
    ) -> None:
        try:
            network = Network(event.dims, width, layers, heads, dropout=dropout, gated=gated)
        except ValueError as error:
            raise InputError(str(error)) from None
        super().__init__(event, network, width, tied, context)

    @property
    def work(self) -> int:
        """The network's matrices at each place, and the scores of pairs of places."""
        dims, blocks = self.event.dims, len(self.network.blocks)
        place = sum(p.numel() for p in self.network.parameters()) + self.token.numel()
        return dims * place + blocks * dims**2 * self.network.width

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals one by one, with keys and values kept."""
        return _TransformerWalk(self, n, context)


class _TransformerWalk:
    """One place a column, through the network with its keys and values kept. There are no gradients."""

    @torch.no_grad()
    def __init__(self, model: Transformer, n: int, context: Tensor | None) -> None:
        self.model, self.known = model, 0
        self.cache = KeyValueCache(model.network, n)
        self.next = model.start(n, context)

    @torch.no_grad()
    def outputs(self) -> Tensor:
        h = self.cache.step(self.next, self.known)
        return self.model.outputs(h[:, None], slice(self.known, self.known + 1))[:, 0]

    @torch.no_grad()
    def push(self, x: Tensor) -> None:
        self.known += 1
        if self.known < self.model.event.dims:
            self.next = self.model.follow(x, slice(self.known, self.known + 1))[:, 0]

    def reorder(self, rows: Tensor) -> None:
        self.next = self.next[rows]
        self.cache.reorder(rows, self.known)
