"""A fully connected network with one output, and its gradient in the input in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.nn.lipschitz import BoundedLinear

__all__ = ["ScalarMLP", "value_and_gradient"]

_THIN = 16  # columns below which a product with a matrix whose rows are short takes four times as long


class ScalarMLP(nn.Module):
    r"""Linear layers with SiLU between them, from (batch, features) to (batch,); it starts as the zero function, and
    without hidden layers it stays a linear one.

    :meth:`value_and_gradient` needs no autograd graph: Langevin chains evaluate it thousands of times, on batches so
    small that the graph's bookkeeping costs more than the arithmetic.

    Args:
        features: width of the input.
        hidden: widths of the hidden layers; none: :math:`w \cdot x`.
        spectral: whether the matrices of hidden layers are shrunk to a spectral norm of at most 1 (Miyato et al.,
            2018, by an upper bound of the norm), so that the slope in what the first layer sees is at
            most 1.1^L times the norm of w. It makes a pass several times slower.
        frequencies: how many random ones, F, give the first layer sin(x B) and cos(x B) beside x (Fourier features;
            Tancik et al., 2020): edges and narrow modes in few columns, which plain layers learn slowly.
        bandwidth: standard deviation of B.
    """

    waves: Tensor

    def __init__(
        self,
        features: int,
        hidden: Sequence[int],
        *,
        spectral: bool = False,
        frequencies: int = 0,
        bandwidth: float = 4.0,
    ) -> None:
        super().__init__()
        self.frequencies = frequencies
        if frequencies:
            self.register_buffer("waves", bandwidth * torch.randn(features, frequencies))
        widths = [features + 2 * frequencies, *hidden]
        linear = BoundedLinear if spectral else nn.Linear
        self.inner = nn.ModuleList(linear(a, b) for a, b in pairwise(widths))
        self.last = nn.Linear(widths[-1], 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the value of each row, (batch,)."""
        x = self._shown(x)[0]
        for layer in self.inner:
            x = F.silu(layer(x))
        return self.last(x).squeeze(-1)

    @torch.no_grad()
    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each row, (batch,), and its gradient in x, (batch, features), both without a graph."""
        shown, waves = self._shown(x)
        inner, weights = self._inner(shown)
        last = F.silu(inner[-1]) if inner else shown
        return self.last(last).squeeze(-1), self._back(inner, weights, waves, x)

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of each row's value in x, (batch, features), without a graph."""
        shown, waves = self._shown(x)
        return self._back(*self._inner(shown), waves, x)

    def _shown(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Return what the first layer sees, and the sines and cosines in it."""
        if not self.frequencies:
            return x, None
        phase = x @ self.waves
        waves = phase.sin(), phase.cos()
        return torch.cat([x, *waves], 1), waves

    def _inner(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what enters each SiLU, and the matrices that count."""
        inner: list[Tensor] = []
        weights: list[Tensor] = []
        for layer in self.inner:
            assert isinstance(layer, nn.Linear)
            weights.append(layer.matrix() if isinstance(layer, BoundedLinear) else layer.weight)
            inner.append(F.linear(F.silu(inner[-1]) if inner else x, weights[-1], layer.bias))
        return inner, weights

    def _back(
        self, inner: list[Tensor], weights: list[Tensor], waves: tuple[Tensor, Tensor] | None, x: Tensor
    ) -> Tensor:
        """Return the gradient in x from what enters each SiLU."""
        gradient = self.last.weight.expand(len(x), -1)
        for weight, a in zip(reversed(weights), reversed(inner), strict=True):
            if weight.shape[1] < _THIN:
                weight = weight.T.contiguous().T
            gradient = torch.ops.aten.silu_backward(gradient, a) @ weight
        if waves is None:
            return gradient
        sine, cosine = waves
        plain, by_sine, by_cosine = gradient.split([x.shape[1], self.frequencies, self.frequencies], 1)
        return plain + (by_sine * cosine - by_cosine * sine) @ self.waves.T


def value_and_gradient(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the value of each row, (batch,), of any scalar network and its gradient in x, both without a graph; in
    closed form where the network has one.
    """
    if hasattr(network, "value_and_gradient"):
        return network.value_and_gradient(x)  # type: ignore[operator]
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        value = network(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach(), gradient
