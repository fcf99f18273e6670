"""A fully connected classifier that is read as an energy, with its gradient in the input in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["ClassMLP"]


class ClassMLP(nn.Module):
    r"""Linear layers with SiLU between them and a logit a class, and the energies that they make.

    .. math:: E(x, y) = -f(x)_y,\qquad E(x) = -\log\sum_y e^{f(x)_y}

    Called as a function it is E(x); see :class:`~hexad.nn.scalar.ScalarMLP` for why the gradient is written out.

    Args:
        features: width of the input.
        hidden: widths of the hidden layers.
        classes: number of logits, all of which start at 0.
    """

    def __init__(self, features: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        widths = [features, *hidden]
        self.inner = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], classes)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def logits(self, x: Tensor) -> Tensor:
        """Return f(x), (batch, classes)."""
        for layer in self.inner:
            x = nn.functional.silu(layer(x))
        return self.last(x)

    def forward(self, x: Tensor) -> Tensor:
        """Return E(x), (batch,)."""
        return -torch.logsumexp(self.logits(x), 1)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return an energy, (batch,), and its gradient in x, (batch, features), both without a graph.

        Args:
            x: (batch, features).
            classes: y of each row, (batch,): the energy is E(x, y); None: E(x).
        """
        slopes = []
        for layer in self.inner:
            a = layer(x)
            s = torch.sigmoid(a)
            x = a * s
            slopes.append(torch.addcmul(s, x, 1 - s))
        logits = self.last(x)
        if classes is None:
            energy, gradient = -torch.logsumexp(logits, 1), -torch.softmax(logits, 1) @ self.last.weight
        else:
            energy, gradient = -logits.gather(1, classes[:, None])[:, 0], -self.last.weight[classes]
        for layer, slope in zip(reversed(self.inner), reversed(slopes), strict=True):
            gradient = (gradient * slope) @ layer.weight  # type: ignore[operator]
        return energy, gradient
