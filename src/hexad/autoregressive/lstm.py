"""A recurrent language model of discrete records (Mikolov et al., 2010; Graves, 2013; Sundermeyer et al., 2012).

f of :mod:`~hexad.autoregressive.token` is a long short-term memory: what a place knows of those before it is one state
of fixed size, so that a sample costs a step a column.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.autoregressive.base import Walk
from hexad.autoregressive.token import TokenModel
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import Recurrent

__all__ = ["LSTM"]


class LSTM(TokenModel):
    r"""Long short-term memories on binary or ordinal records, in the natural order of their columns.

    Args:
        event: what one record is; all columns binary or ordinal, with as many levels as each has.
        layers: number of layers.
        width: of the embeddings and of each layer's memory.
        dropout: part of what goes into each layer and out of the last that is left out in training.
        tied: whether W is the matrix of the embeddings (Press and Wolf, 2017).
        context: number of context features; left out they count as zeros.

    Raises:
        ValueError: the event has real columns.
        InputError: the dropout is out of [0, 1).
    """

    network: Recurrent

    def __init__(
        self,
        event: Event,
        layers: int = 1,
        width: int = 256,
        dropout: float = 0.0,
        tied: bool = False,
        context: int = 0,
    ) -> None:
        try:
            network = Recurrent(width, layers, dropout=dropout)
        except ValueError as error:
            raise InputError(f"lstm: {error}") from None
        super().__init__(event, network, width, tied, context)

    @property
    def work(self) -> int:
        """The network's matrices at each place."""
        return self.event.dims * (sum(p.numel() for p in self.network.parameters()) + self.token.numel())

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals one by one, with the memories kept."""
        return _LSTMWalk(self, n, context)


class _LSTMWalk:
    """One place a column, through the network with its memories kept. There are no gradients."""

    @torch.no_grad()
    def __init__(self, model: LSTM, n: int, context: Tensor | None) -> None:
        self.model, self.known = model, 0
        self.state = model.network.begin(n)
        self.next = model.start(n, context)

    @torch.no_grad()
    def outputs(self) -> Tensor:
        h, self.state = self.model.network.step(self.next, self.state)
        return self.model.outputs(h[:, None], slice(self.known, self.known + 1))[:, 0]

    @torch.no_grad()
    def push(self, x: Tensor) -> None:
        self.known += 1
        if self.known < self.model.event.dims:
            self.next = self.model.follow(x, slice(self.known, self.known + 1))[:, 0]

    def reorder(self, rows: Tensor) -> None:
        self.next = self.next[rows]
        self.state = (self.state[0][:, rows], self.state[1][:, rows])
