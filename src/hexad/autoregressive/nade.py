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

from hexad.autoregressive.heads import Bernoulli
from hexad.autoregressive.running import RunningActivation
from hexad.event import Event

__all__ = ["NADE"]


class NADE(RunningActivation):
    r"""NADE on binary records, with the columns in one order.

    Args:
        event: a binary event.
        hidden: number of hidden units, H.
        order: ``natural``, ``random`` (drawn at construction) or a permutation of the columns.
        context: number of context features; they add to c and b linearly.

    Raises:
        ValueError: the event is not binary.
    """

    def __init__(
        self, event: Event, hidden: int = 500, order: str | Sequence[int] = "natural", context: int = 0
    ) -> None:
        if event.kind != "binary":
            raise ValueError(f"NADE takes binary columns, got {event}")
        super().__init__(event, Bernoulli(), hidden, order, context)
        self.leave = nn.Parameter(torch.zeros(event.dims, hidden))

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the logits, (batch, D, 1)."""
        hidden, visible = self.biases(len(x), context)
        order = self.columns
        columns = x.flatten(1).T[order]
        logits = _Logits.apply(columns, self.enter[order], self.leave[order], hidden)
        return visible.index_add(1, order, logits.T[..., None])

    def outputs_of(self, k: int, activation: Tensor) -> Tensor:
        """Return V_k h_k, (n, 1)."""
        return torch.sigmoid(activation) @ self.leave[k, :, None]


class _Logits(torch.autograd.Function):
    r"""All :math:`V_k\,\sigma(a_k)`, in chunks of columns, with the hidden units computed again in the backward pass.

    The units of a chunk, (chunk, batch, H), stay in the cache while all is done with them, and what is kept for the
    backward pass is a at the start of each chunk instead of D layers of units. With :math:`\delta_k = g_k V_k h_k (1 -
    h_k)` for the gradients g of the outputs, the running sum from behind :math:`s_j = \sum_{k>j} \delta_k` gives

    .. math:: \nabla V_k = \sum g_k h_k, \quad \nabla W_j = \sum x_j s_j, \quad \nabla x_j = W_j s_j, \quad
        \nabla c = s_0 + \delta_0 .

    A processor adds column by column, within its cache; for another device that would be a call a column, and it takes
    long chunks, of at most 128 MB, and its own running sum.
    """

    @staticmethod
    def _by_column(x: Tensor) -> bool:
        return x.device.type == "cpu"

    @staticmethod
    def _chunk(start: Tensor) -> int:
        """Return how many columns are taken at once, given a at their first one, (batch, H)."""
        return 16 if _Logits._by_column(start) else max(8, min(128, 2**25 // start.numel()))

    @staticmethod
    def _activations(x: Tensor, enter: Tensor, start: Tensor) -> Tensor:
        """Return a_k of a chunk and the next column, (K + 1, batch, H), from x (K, batch), W (K, H) and the first."""
        running = start.new_empty(len(x) + 1, *start.shape)
        running[0] = start
        if not _Logits._by_column(x):
            torch.mul(x[..., None], enter[:, None], out=running[1:])
            return running.cumsum_(0)
        for k in range(len(x)):
            torch.addcmul(running[k], x[k, :, None], enter[k], out=running[k + 1])
        return running

    @staticmethod
    def _behind(delta: Tensor, behind: Tensor, sums: Tensor) -> None:
        """Put s_j of a chunk into ``sums``, (K, batch, H) like the delta, given that of its last column."""
        sums[-1] = behind
        if not _Logits._by_column(delta):
            sums[:-1] = delta[1:]
            sums.copy_(sums.flip(0).cumsum_(0).flip(0))
            return
        for j in reversed(range(len(sums) - 1)):
            torch.add(sums[j + 1], delta[j + 1], out=sums[j])

    @staticmethod
    def forward(ctx: Any, x: Tensor, enter: Tensor, leave: Tensor, start: Tensor) -> Tensor:
        """Return (D, batch) from x (D, batch), W and V (D, H), c (batch, H), the columns in order."""
        starts, outputs = [], []
        chunk = _Logits._chunk(start)
        for first in range(0, len(x), chunk):
            k = slice(first, first + chunk)
            starts.append(start)
            running = _Logits._activations(x[k], enter[k], start)
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
        behind, chunk = torch.zeros_like(starts[0]), _Logits._chunk(starts[0])
        for index in reversed(range(len(starts))):
            k = slice(index * chunk, (index + 1) * chunk)
            hidden = _Logits._activations(x[k], enter[k], starts[index])[:-1].sigmoid_()
            grad_leave[k] = torch.bmm(grad[k, None], hidden)[:, 0]
            delta = torch.ops.aten.sigmoid_backward(leave[k, None].expand_as(hidden), hidden)
            delta.mul_(grad[k, :, None])
            # hidden is not needed any more: its place takes s_j
            sums = hidden
            _Logits._behind(delta, behind, sums)
            grad_enter[k] = torch.bmm(x[k, None], sums)[:, 0]
            if ctx.needs_input_grad[0]:
                grad_x[k] = torch.bmm(enter[k, None], sums.transpose(1, 2))[:, 0]
            behind = sums[0] + delta[0]
        return grad_x, grad_enter, grad_leave, behind
