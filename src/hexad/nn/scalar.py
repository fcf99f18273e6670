"""A fully connected network with one output, and its gradient in the input in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["ScalarMLP"]

_THIN = 16  # columns below which a product with a matrix whose rows are short takes four times as long


class ScalarMLP(nn.Module):
    r"""Linear layers with SiLU between them, from (batch, features) to (batch,); it starts as the zero function, and
    without hidden layers it stays a linear one.

    :meth:`value_and_gradient` needs no autograd graph: Langevin chains evaluate it thousands of times, on batches so
    small that the graph's bookkeeping costs more than the arithmetic.

    Args:
        features: width of the input.
        hidden: widths of the hidden layers; none: :math:`w \cdot x`.
    """

    def __init__(self, features: int, hidden: Sequence[int]) -> None:
        super().__init__()
        widths = [features, *hidden]
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the value of each row, (batch,)."""
        for layer in self.inner:
            x = nn.functional.silu(layer(x))
        return self.last(x).squeeze(-1)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each row, (batch,), and its gradient in x, (batch, features), both without a graph."""
        inner = self._inner(x)
        last = nn.functional.silu(inner[-1]) if inner else x
        return self.last(last).squeeze(-1), self._back(inner, len(x))

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of each row's value in x, (batch, features), without a graph."""
        return self._back(self._inner(x), len(x))

    def _inner(self, x: Tensor) -> list[Tensor]:
        """Return what enters each SiLU."""
        inner: list[Tensor] = []
        for layer in self.inner:
            inner.append(layer(nn.functional.silu(inner[-1]) if inner else x))
        return inner

    def _back(self, inner: list[Tensor], rows: int) -> Tensor:
        """Return the gradient in the input from what enters each SiLU."""
        gradient = self.last.weight.expand(rows, -1)
        for layer, a in zip(reversed(self.inner), reversed(inner), strict=True):
            weight: Tensor = layer.weight  # type: ignore[assignment]
            if weight.shape[1] < _THIN:
                weight = weight.T.contiguous().T
            gradient = torch.ops.aten.silu_backward(gradient, a) @ weight
        return gradient
