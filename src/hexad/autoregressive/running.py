r"""What NADE and RNADE share: one activation of the hidden units that runs along the columns.

.. math:: a_1 = c, \quad a_{k+1} = a_k + x_k W_k

so that all D conditionals cost O(D H) in place of the O(D^2 H) of a network a column.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk, column_order
from hexad.autoregressive.heads import Head
from hexad.event import Event

__all__ = ["RunningActivation"]


class RunningActivation(Autoregressive):
    """A model of the form above. To implement one, give :meth:`conditionals` and :meth:`outputs_of`.

    Args:
        event: what one record is.
        head: the law of one column; it shows the network one number a column.
        hidden: number of hidden units, H.
        order: ``natural``, ``random`` (drawn at construction) or a permutation of the columns.
        context: number of context features; they add to c and to the output biases linearly.
    """

    columns: Tensor

    def __init__(self, event: Event, head: Head, hidden: int, order: str | Sequence[int], context: int) -> None:
        super().__init__(event, head, context)
        self.hidden = hidden
        self.register_buffer("columns", torch.tensor(column_order(order, event.dims)))
        self.enter = nn.Parameter(torch.randn(event.dims, hidden) * event.dims**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.bias = nn.Parameter(torch.zeros(event.dims * head.outputs))
        self.from_context = nn.Linear(context, hidden + len(self.bias), bias=False) if context else None

    @property
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,)."""
        return self.columns

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the columns' marginals."""
        with torch.no_grad():
            self.bias.copy_(self.head.prepare(x.flatten(1)).flatten())

    def biases(self, n: int, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return c, (n, H), and the output biases, (n, D, outputs)."""
        hidden, visible = self.hidden_bias.expand(n, -1), self.bias.expand(n, -1)
        if self.from_context is not None and context is not None:
            more = self.from_context(context)
            hidden, visible = hidden + more[:, : self.hidden], visible + more[:, self.hidden :]
        return hidden, visible.unflatten(1, (self.event.dims, self.head.outputs))

    @abstractmethod
    def outputs_of(self, k: int, activation: Tensor) -> Tensor:
        """Return what the hidden units add to the biases of column k, (n, outputs), from its activation (n, H)."""

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals one by one, with the running activation kept."""
        return _Walk(self, *self.biases(n, context))


class _Walk:
    """a, moved on by x_k W_k in each step."""

    def __init__(self, model: RunningActivation, hidden: Tensor, visible: Tensor) -> None:
        self.model, self.activation, self.visible = model, hidden.clone(), visible
        self.order: list[int] = model.order.tolist()
        self.known = 0

    def outputs(self) -> Tensor:
        k = self.order[self.known]
        return self.visible[:, k] + self.model.outputs_of(k, self.activation)

    def push(self, x: Tensor) -> None:
        self.activation.addmm_(x, self.model.enter[self.order[self.known], None])
        self.known += 1

    def reorder(self, rows: Tensor) -> None:
        self.activation, self.visible = self.activation[rows], self.visible[rows]
