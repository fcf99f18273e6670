r"""A decoder-only Transformer of discrete records (Vaswani et al., 2017; Radford et al., 2019).

.. math:: p(x) = \prod_{k=1}^{D} \mathrm{softmax}(W h_k + b_k)_{x_k}, \qquad h_{1..D} = f(e_{1..D})

f is causal, and the input :math:`e_k` at place k is the embedding of the level before, :math:`x_{k-1}`, a begin token
for k = 1. Columns of tables and pictures differ in meaning: there :math:`e_k` has an embedding of column k added, and b
is of the column. In sequences places differ by their distances alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.heads import Categorical
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import KeyValueCache
from hexad.nn import Transformer as Network

__all__ = ["Token", "Transformer"]


class Token(Categorical):
    """A level by a softmax over those of its column. The network sees the level itself, to look its embedding up."""

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the levels as they are."""
        return x


class Transformer(Autoregressive):
    r"""A Transformer on binary or ordinal records, in the natural order of their columns.

    The output biases start at the marginals: of each column, or in sequences of all columns together. Unless it is
    tied, W starts at zero. A context is added, linearly, to the begin token.

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

    natural: Tensor

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
        if any(support.levels == 0 for support in event.supports):
            raise ValueError(f"Transformer takes binary and ordinal columns, got {event}")
        super().__init__(event, Token(event), context)
        self.tied = tied
        try:
            self.network = Network(event.dims, width, layers, heads, dropout=dropout, gated=gated)
        except ValueError as error:
            raise InputError(f"transformer: {error}") from None
        self.register_buffer("natural", torch.arange(event.dims), persistent=False)
        in_sequence = event.layout == "sequence"
        self.token = nn.Parameter(torch.randn(event.levels, width) * width**-0.5)
        self.begin = nn.Parameter(torch.randn(width) * width**-0.5)
        self.column = None if in_sequence else nn.Parameter(torch.randn(event.dims, width) * width**-0.5)
        self.leave = None if tied else nn.Parameter(torch.zeros(event.levels, width))
        self.bias = nn.Parameter(torch.zeros(1 if in_sequence else event.dims, event.levels))
        self.from_context = nn.Linear(context, width, bias=False) if context else None

    @property
    def order(self) -> Tensor:
        """The columns in their natural order, (D,)."""
        return self.natural

    @property
    def work(self) -> int:
        """The network's matrices at each place, and the scores of pairs of places."""
        dims, blocks = self.event.dims, len(self.network.blocks)
        place = sum(p.numel() for p in self.network.parameters()) + self.token.numel()
        return dims * place + blocks * dims**2 * self.network.width

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the marginals."""
        flat = x.flatten(1)
        with torch.no_grad():
            self.bias.copy_(self.head.prepare(flat if self.column is not None else flat.reshape(-1, 1)))

    def start(self, n: int, context: Tensor | None = None) -> Tensor:
        """Return the input at the first place, (n, width)."""
        first = self.begin.expand(n, -1)
        if self.column is not None:
            first = first + self.column[0]
        return first if self.from_context is None or context is None else first + self.from_context(context)

    def follow(self, x: Tensor, columns: slice) -> Tensor:
        """Return the inputs at the places ``columns``, (n, k, width), of the levels before them, x (n, k)."""
        level = nn.functional.embedding(x.long(), self.token)
        return level if self.column is None else level + self.column[columns]

    def inputs(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the inputs at the first k + 1 places, (n, k + 1, width), of the first k levels, x (n, k)."""
        return torch.cat([self.start(len(x), context)[:, None], self.follow(x, slice(1, x.shape[1] + 1))], 1)

    def outputs(self, h: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the logits at the places ``columns``, (n, k, levels), of what the network gives there."""
        bias = self.bias if self.column is None else self.bias[columns]
        return h @ (self.token if self.leave is None else self.leave).T + bias

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the logits of all columns, (batch, D, levels)."""
        return self.outputs(self.network(self.inputs(x.flatten(1)[:, :-1], context)))

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
