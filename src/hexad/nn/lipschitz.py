r"""A network g whose Lipschitz constant is bounded whatever its weights are, with its Jacobian in x.

.. math:: g(x, c) = W_L \phi(\dots \phi(W_1 x + V c + b_1) \dots) + b_L, \qquad
          \mathrm{Lip}(g) \le \prod_l \|W_l\|_2 \sup|\phi'| \le \kappa

Its Jacobian is :math:`W_L D_{L-1} W_{L-1} \dots D_1 W_1` with diagonal :math:`D_l`, so that products with it and with
its transpose are plain passes through the layers, which can be differentiated in turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["BoundedLinear", "LipschitzMLP", "spectral_bound"]

SQUARINGS = 6
START = 8.0  # of beta: sums of a bounded layer are small, and without a bend on their scale it is linear
STEEPEST = 1.1  # no less than the steepest slope of u sigmoid(beta u), which is 1.0998 for any beta > 0


def spectral_bound(weight: Tensor) -> Tensor:
    r"""Return the Schatten norm of order p = 256, an upper bound of the spectral norm.

    .. math:: \|W\|_2 \le \Big(\sum_i \sigma_i^p\Big)^{1/p} = \big(\mathrm{tr}\,(W W^\top)^{p/2}\big)^{1/p}
              \le \mathrm{rank}(W)^{1/p}\, \|W\|_2

    The power comes from repeated squaring (Gram iteration; Delattre et al., 2023). Power iteration is cheaper, but
    approaches the norm from below, and its vectors, which move with training, are those of no averaged weights.

    Args:
        weight: a matrix.
    """
    # scales cancel, so they are held constant: they keep the powers from under- and overflow
    tiny = torch.finfo(weight.dtype).tiny
    scale = weight.detach().abs().max().clamp(min=tiny)
    weight = weight / scale
    gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
    log_square = 2 * scale.log()
    for k in range(SQUARINGS):
        size = gram.detach().norm().clamp(min=tiny)
        log_square = log_square + size.log() / 2**k
        gram = gram / size
        gram = gram @ gram
    log_square = log_square + gram.square().sum().clamp(min=tiny).log() / 2 ** (SQUARINGS + 1)
    return torch.exp(log_square / 2)


class BoundedLinear(nn.Linear):
    """A linear layer whose matrix is shrunk to a spectral norm of at most 1 wherever it counts."""

    def matrix(self) -> Tensor:
        """Return the matrix that counts."""
        return self.weight / spectral_bound(self.weight).clamp(min=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's value."""
        return F.linear(x, self.matrix(), self.bias)


class LipschitzMLP(nn.Module):
    r"""See above. Weights count as they are until their bound is :math:`\kappa^{1/L}`, and shrunk to it from there.

    The activation is LipSwish, :math:`\phi(u) = u\,\sigma(\beta u) / 1.1` with a learned :math:`\beta > 0` a layer
    (Residual Flows; Chen et al., 2019): the likelihood has slopes of g in it, and its gradient the second derivative,
    which vanishes just where the slope of a tanh, an ELU or a ReLU is largest. It starts at zero.

    Args:
        features: D, width of x and of what comes out.
        hidden: widths of the hidden layers.
        context: width of a context, in which the network may be as steep as it likes; 0 for none.
        bound: kappa, positive.
    """

    def __init__(
        self, features: int, hidden: Sequence[int] = (64, 64), *, context: int = 0, bound: float = 0.9
    ) -> None:
        super().__init__()
        self.bound = bound
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise([features, *hidden, features]))
        self.context = nn.Linear(context, hidden[0], bias=False) if context else None
        self.steepness = nn.Parameter(torch.full((len(hidden),), math.log(math.expm1(START))))
        with torch.no_grad():  # biases shrink with the weights, or every unit's bend would lie outside the data
            for layer, weight in zip(self.layers, self.weights(), strict=True):
                layer.bias.mul_(weight.norm() / layer.weight.norm().clamp(min=1e-12))  # type: ignore[operator]
                layer.weight.copy_(weight)  # type: ignore[operator]
        for parameter in self.layers[-1].parameters():
            nn.init.zeros_(parameter)

    def extra_repr(self) -> str:
        """Return the bound."""
        return f"bound={self.bound:g}"

    def weights(self) -> list[Tensor]:
        """Return the layers' matrices, shrunk where they must be: once for all passes."""
        share = self.bound ** (1 / len(self.layers))
        matrices: list[Tensor] = [layer.weight for layer in self.layers]  # type: ignore[misc]
        return [matrix / (spectral_bound(matrix) / share).clamp(min=1) for matrix in matrices]

    def with_slopes(self, x: Tensor, context: Tensor | None, weights: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return g, (batch, D), and the slopes of the activations of each hidden layer, (batch, width).

        Args:
            x: (batch, D).
            context: (batch, context); one that is left out counts as zeros.
            weights: of :meth:`weights`.
        """
        h, slopes = x, []
        for k, (weight, beta) in enumerate(zip(weights[:-1], F.softplus(self.steepness), strict=True)):
            u = F.linear(h, weight, self.layers[k].bias)  # type: ignore[arg-type]
            if k == 0 and self.context is not None and context is not None:
                u = u + self.context(context)
            gate = torch.sigmoid(beta * u)
            h = u * gate / STEEPEST
            slopes.append(gate * (1 + beta * u * (1 - gate)) / STEEPEST)
        return F.linear(h, weights[-1], self.layers[-1].bias), slopes  # type: ignore[arg-type]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return g, (batch, D)."""
        return self.with_slopes(x, context, self.weights())[0]


def times_jacobian(weights: list[Tensor], slopes: list[Tensor], v: Tensor) -> Tensor:
    """Return J v for each row of v, (batch, D)."""
    for weight, slope in zip(weights[:-1], slopes, strict=True):
        v = F.linear(v, weight) * slope
    return F.linear(v, weights[-1])


def times_transpose(weights: list[Tensor], slopes: list[Tensor], v: Tensor) -> Tensor:
    """Return J' v for each row of v, (batch, D)."""
    for weight, slope in zip(reversed(weights[1:]), reversed(slopes), strict=True):
        v = (v @ weight) * slope
    return v @ weights[0]


def jacobian(weights: list[Tensor], slopes: list[Tensor]) -> Tensor:
    """Return J, (batch, D, D)."""
    product = weights[0].T * slopes[0][:, None]  # (batch, D, width): a row a column of J
    for weight, slope in zip(weights[1:-1], slopes[1:], strict=True):
        product = F.linear(product, weight) * slope[:, None]
    return F.linear(product, weights[-1]).mT
