r"""NADE: the neural autoregressive distribution estimator (Larochelle and Murray, 2011).

.. math:: p(x_k = 1 | x_{<k}) = \sigma(b_k + V_k h_k), \quad h_k = \sigma(a_k), \quad a_k = c + \sum_{j<k} x_j W_j

The activation a runs along: :math:`a_{k+1} = a_k + x_k W_k`, so that all D conditionals cost O(D H).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from hexad.autoregressive.base import Autoregressive, Walk, column_order
from hexad.autoregressive.heads import Bernoulli
from hexad.event import Event

__all__ = ["NADE"]


class NADE(Autoregressive):
    r"""NADE on binary records, with the columns in one order.

    Args:
        event: a binary event.
        hidden: number of hidden units, H.
        order: ``natural``, ``random`` (drawn at construction) or a permutation of the columns.
        context: number of context features; they add to c and b linearly.

    Raises:
        ValueError: the event is not binary.
    """

    columns: Tensor

    def __init__(
        self, event: Event, hidden: int = 500, order: str | Sequence[int] = "natural", context: int = 0
    ) -> None:
        if event.kind != "binary":
            raise ValueError(f"NADE takes binary columns, got {event}")
        super().__init__(event, Bernoulli(), context)
        self.hidden = hidden
        self.register_buffer("columns", torch.tensor(column_order(order, event.dims)))
        self.enter = nn.Parameter(torch.randn(event.dims, hidden) * event.dims**-0.5)
        self.leave = nn.Parameter(torch.zeros(event.dims, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.bias = nn.Parameter(torch.zeros(event.dims))
        self.from_context = nn.Linear(context, hidden + event.dims, bias=False) if context else None

    @property
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,)."""
        return self.columns

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set b to the logits of the columns' frequencies."""
        with torch.no_grad():
            self.bias.copy_(self.head.prepare(x.flatten(1))[:, 0])

    def _biases(self, n: int, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return c (n, H) and b (n, D)."""
        hidden, visible = self.hidden_bias.expand(n, -1), self.bias.expand(n, -1)
        if self.from_context is None or context is None:
            return hidden, visible
        more = self.from_context(context)
        return hidden + more[:, : self.hidden], visible + more[:, self.hidden :]

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the logits, (batch, D, 1)."""
        hidden, visible = self._biases(len(x), context)
        order = self.columns
        columns = x.flatten(1).T[order]
        logits = _RunningActivation.apply(columns, self.enter[order], self.leave[order], hidden)
        return visible.index_add(1, order, logits.T)[..., None]

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the conditionals one by one, with the running activation kept."""
        return _NADEWalk(self, *self._biases(n, context))


class _NADEWalk:
    """a, moved on by x_k W_k in each step."""

    def __init__(self, model: NADE, hidden: Tensor, visible: Tensor) -> None:
        self.model, self.activation, self.visible = model, hidden.clone(), visible
        self.order: list[int] = model.order.tolist()
        self.known = 0

    def outputs(self) -> Tensor:
        k = self.order[self.known]
        return self.visible[:, k, None] + torch.sigmoid(self.activation) @ self.model.leave[k, :, None]

    def push(self, x: Tensor) -> None:
        self.activation.addmm_(x, self.model.enter[self.order[self.known], None])
        self.known += 1

    def reorder(self, rows: Tensor) -> None:
        self.activation, self.visible = self.activation[rows], self.visible[rows]


class _RunningActivation(torch.autograd.Function):
    r"""All :math:`V_k\,\sigma(a_k)`, in chunks of columns, with the hidden units computed again in the backward pass.

    The units of a chunk, (chunk, batch, H), stay in the cache while all is done with them, and what is kept for the
    backward pass is a at the start of each chunk instead of D layers of units. With :math:`\delta_k = g_k V_k h_k (1 -
    h_k)` for the gradients g of the outputs, the running sum from behind :math:`s_j = \sum_{k>j} \delta_k` gives

    .. math:: \nabla V_k = \sum g_k h_k, \quad \nabla W_j = \sum x_j s_j, \quad \nabla x_j = W_j s_j, \quad
        \nabla c = s_0 + \delta_0 .
    """

    chunk = 8

    @staticmethod
    def _activations(x: Tensor, enter: Tensor, start: Tensor) -> Tensor:
        """Return a_k of a chunk and the next column, (K + 1, batch, H), from x (K, batch), W (K, H) and the first."""
        running = start.new_empty(len(x) + 1, *start.shape)
        running[0] = start
        for k in range(len(x)):
            torch.addcmul(running[k], x[k, :, None], enter[k], out=running[k + 1])
        return running

    @staticmethod
    def forward(ctx: Any, x: Tensor, enter: Tensor, leave: Tensor, start: Tensor) -> Tensor:
        """Return (D, batch) from x (D, batch), W and V (D, H), c (batch, H), the columns in order."""
        starts, outputs = [], []
        for first in range(0, len(x), _RunningActivation.chunk):
            k = slice(first, first + _RunningActivation.chunk)
            starts.append(start)
            running = _RunningActivation._activations(x[k], enter[k], start)
            start = running[-1].clone()
            hidden = running[:-1].sigmoid_()
            # a row times a matrix: written as a matrix times a column, the product is seven times slower on a CPU
            outputs.append(torch.bmm(leave[k, None], hidden.transpose(1, 2))[:, 0])
        ctx.save_for_backward(x, enter, leave, torch.stack(starts))
        return torch.cat(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the gradients for x, W, V, c."""
        x, enter, leave, starts = ctx.saved_tensors
        grad_x, grad_enter, grad_leave = torch.empty_like(x), torch.empty_like(enter), torch.empty_like(leave)
        behind = torch.zeros_like(starts[0])
        for index in reversed(range(len(starts))):
            k = slice(index * _RunningActivation.chunk, (index + 1) * _RunningActivation.chunk)
            hidden = _RunningActivation._activations(x[k], enter[k], starts[index])[:-1].sigmoid_()
            grad_leave[k] = torch.bmm(grad[k, None], hidden)[:, 0]
            delta = torch.ops.aten.sigmoid_backward(leave[k, None].expand_as(hidden), hidden)
            delta.mul_(grad[k, :, None])
            # hidden is not needed any more: its place takes s_j
            sums = hidden
            sums[-1] = behind
            for j in reversed(range(len(sums) - 1)):
                torch.add(sums[j + 1], delta[j + 1], out=sums[j])
            grad_enter[k] = torch.bmm(x[k, None], sums)[:, 0]
            if ctx.needs_input_grad[0]:
                grad_x[k] = torch.bmm(enter[k, None], sums.transpose(1, 2))[:, 0]
            behind = sums[0] + delta[0]
        return grad_x, grad_enter, grad_leave, behind
