"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["MLP", "ResidualMLP"]


class MLP(nn.Module):
    """Linear layers with an activation between them, on (batch, features), with an optional context beside the input.

    Args:
        features: width of the input.
        outputs: width of the output.
        hidden: widths of the hidden layers.
        context: width of the context, concatenated to the input; 0 for none.
        activation: class of the activation.
        zero_init: whether the last layer starts at zero.
        dropout: part of each hidden layer that is left out in training, from 0 to below 1.
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        hidden: Sequence[int] = (128, 128),
        *,
        context: int = 0,
        activation: type[nn.Module] = nn.SiLU,
        zero_init: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        widths = [features + context, *hidden]
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            layers += [nn.Linear(a, b), activation(), *([nn.Dropout(dropout)] if dropout else [])]
        last = nn.Linear(widths[-1], outputs)
        if zero_init:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)
        self.context = context

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (batch, outputs); a context that is left out counts as zeros."""
        if self.context:
            x = torch.cat([x, x.new_zeros(len(x), self.context) if context is None else context], -1)
        return self.layers(x)


class ResidualMLP(nn.Module):
    """A linear layer, residual blocks ``h + W2 act(W1 norm(h) + Wc c)``, a linear layer.

    Args:
        features, outputs: widths of input and output.
        hidden: the width of the stream, one entry a block; all are equal.
        context: width of the context that enters every block; 0 for none.
    """

    def __init__(self, features: int, outputs: int, hidden: Sequence[int] = (128, 128), *, context: int = 0) -> None:
        super().__init__()
        if len(set(hidden)) != 1:
            raise ValueError(f"residual network: hidden widths must be equal, got {list(hidden)}")
        width = hidden[0]
        self.features = context
        self.enter = nn.Linear(features, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in hidden)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in hidden)
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in hidden)
        self.context = nn.ModuleList(nn.Linear(context, width) for _ in hidden) if context else None
        self.leave = nn.Linear(width, outputs)
        for layer in self.outer:
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (batch, outputs); a context that is left out counts as zeros."""
        h = self.enter(x)
        for i, (norm, inner, outer) in enumerate(zip(self.norms, self.inner, self.outer, strict=True)):
            u = inner(norm(h))
            if self.context is not None:
                u = u + self.context[i](x.new_zeros(len(x), self.features) if context is None else context)
            h = h + outer(nn.functional.silu(u))
        return self.leave(h)
