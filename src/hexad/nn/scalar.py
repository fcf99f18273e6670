"""A fully connected network with one output, and its gradient in the input in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["ScalarMLP"]


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
        slopes = []
        for layer in self.inner:
            a = layer(x)
            s = torch.sigmoid(a)
            x = a * s
            # d silu(a) / da = s + silu(a) (1 - s)
            slopes.append(torch.addcmul(s, x, 1 - s))
        gradient = self.last.weight.expand(len(x), -1)
        for layer, slope in zip(reversed(self.inner), reversed(slopes), strict=True):
            gradient = (gradient * slope) @ layer.weight  # type: ignore[operator]
        return self.last(x).squeeze(-1), gradient
