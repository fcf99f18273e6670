r"""Discrete records through a causal network that looks the embeddings of their levels up.

.. math:: p(x) = \prod_{k=1}^{D} \mathrm{softmax}(W h_k + b_k)_{x_k}, \qquad h_{1..D} = f(e_{1..D})

f is causal, and the input :math:`e_k` at place k is the embedding of the level before, :math:`x_{k-1}`, a begin token
for k = 1. Columns of tables and pictures differ in meaning: there :math:`e_k` has an embedding of column k added, and b
is of the column. In sequences places differ by what stands before them alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive
from hexad.autoregressive.heads import Categorical
from hexad.event import Event

__all__ = ["Token", "TokenModel"]


class Token(Categorical):
    """A level by a softmax over those of its column. The network sees the level itself, to look its embedding up."""

    def embed(self, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the levels as they are."""
        return x


class TokenModel(Autoregressive):
    r"""A model of the form above, in the natural order of the columns; to implement one, give :meth:`walk`.

    The output biases start at the marginals: of each column, or in sequences of all columns together. Unless it is
    tied, W starts at zero. A context is added, linearly, to the begin token.

    Args:
        event: what one record is; all columns binary or ordinal, with as many levels as each has.
        network: f, from (batch, T, width) to the same shape, for any T up to the number of columns.
        width: of the embeddings.
        tied: whether W is the matrix of the embeddings (Press and Wolf, 2017).
        context: number of context features; left out they count as zeros.

    Raises:
        ValueError: the event has real columns.
    """

    natural: Tensor

    def __init__(self, event: Event, network: nn.Module, width: int, tied: bool = False, context: int = 0) -> None:
        if any(support.levels == 0 for support in event.supports):
            raise ValueError(f"{type(self).__name__} takes binary and ordinal columns, got {event}")
        super().__init__(event, Token(event), context)
        self.tied = tied
        self.network = network
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
        matrix = self.token if self.leave is None else self.leave
        if self.column is None:
            return nn.functional.linear(h, matrix, self.bias[0])
        return nn.functional.linear(h, matrix) + self.bias[columns]

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the logits of all columns, (batch, D, levels)."""
        return self.outputs(self.network(self.inputs(x.flatten(1)[:, :-1], context)))
