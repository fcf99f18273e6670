"""Free parameters that a context may move, and the constraint that the maps of this folder share."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Conditioned", "positive"]

LEAST = 1e-3


class Conditioned(nn.Module):
    """Parameters of a map: free ones, to which a linear function of the context is added, zero at the start.

    Args:
        sizes: how many numbers each parameter has.
        context: number of context features; 0 for none.
    """

    def __init__(self, sizes: Sequence[int], context: int = 0) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.free = nn.Parameter(torch.zeros(sum(sizes)))
        self.linear = nn.Linear(context, sum(sizes), bias=False) if context else None
        if self.linear is not None:
            nn.init.zeros_(self.linear.weight)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"sizes={self.sizes}"

    def start(self, *values: Tensor | float) -> None:
        """Set where the free parameters start, one value a parameter."""
        with torch.no_grad():
            for part, value in zip(self.free.split(self.sizes), values, strict=True):
                part.copy_(torch.as_tensor(value).flatten())

    def forward(self, context: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the parameters, each (1, size), or (batch, size) with a context; none given counts as zeros."""
        parameters = self.free[None]
        if self.linear is not None and context is not None:
            parameters = parameters + self.linear(context)
        return parameters.split(self.sizes, -1)


def positive(raw: Tensor) -> Tensor:
    r"""Return :math:`\epsilon + \mathrm{softplus}(r + c)`, above 0.001 for every r and 1 at r = 0."""
    return LEAST + F.softplus(raw + math.log(math.expm1(1 - LEAST)))
