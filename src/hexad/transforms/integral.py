"""Maps of the reals that are integrals of a positive function (Unconstrained Monotonic Neural Networks; Wehenkel and
Louppe, 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hexad.transforms.elementwise import Elementwise
from hexad.transforms.root import increasing_root

__all__ = ["Integral"]

NODES = 40
REACH = 3.0  # of all weights together, see below


class Integral(Elementwise):
    r"""z = t + the integral of g from 0 to x, where g > 0 is a small network of one hidden layer.

    .. math:: \log g(u) = B \tanh\Big(\frac1B \Big(l + \sum_{k=1}^K w_k \tanh(a_k (u - c_k))\Big)\Big), \qquad
              a_k = 2 \sigma(\cdot) \in (0, 2), \qquad \sum_k |w_k| < 3

    The parameters are t, l and K weights, slopes and centres; the weights are bounded softly, as
    :math:`3 \tanh(s/3) / s` of what they are given as, with s the sum of its sizes. Beyond [-b, b] the map is a line of
    slope g(b) or g(-b). The log-slope is log g itself; the integral is taken by Gauss and Legendre's rule at 40 points,
    whose slope has the same logarithm within 1e-4 whatever the parameters, and as a rule within 1e-7. The inverse takes
    a fixed number of bisections and Newton steps.

    Args:
        terms: K, at least 1.
        bound: b.
        steepest: B, the most by which a log-slope differs from 0.

    Raises:
        ValueError: fewer than 1 term, or a bound or B that is not positive.
    """

    start: Tensor

    def __init__(self, terms: int = 8, bound: float = 4.0, steepest: float = 3.0) -> None:
        super().__init__()
        if terms < 1:
            raise ValueError(f"integral map: terms must be at least 1, got {terms}")
        if not (bound > 0 and steepest > 0):
            raise ValueError(f"integral map: bound and steepest must be positive, got {bound} and {steepest}")
        self.terms, self.bound, self.steepest = terms, bound, steepest
        self.count = 2 + 3 * terms
        # terms that stood at one place would be moved as one
        self.register_buffer("start", torch.linspace(-2, 2, terms) if terms > 1 else torch.zeros(1), persistent=False)
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        self.nodes_and_weights = tuple(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))

    def extra_repr(self) -> str:
        """Return terms and bounds."""
        return f"terms={self.terms}, bound={self.bound}, steepest={self.steepest}"

    def _read(self, parameters: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        shift, level = parameters[..., 0], parameters[..., 1]
        weights, slopes, centres = parameters[..., 2:].unflatten(-1, (3, self.terms)).unbind(-2)
        size = weights.abs().sum(-1, keepdim=True) + 1e-9
        weights = weights * (REACH * torch.tanh(size / REACH) / size)
        return shift, (level, weights, 2 * torch.sigmoid(slopes), self.start + centres)

    def _log_g(self, u: Tensor, shape: tuple[Tensor, ...]) -> Tensor:
        level, weights, slopes, centres = shape
        raw = level + (weights * torch.tanh(slopes * (u[..., None] - centres))).sum(-1)
        return self.steepest * torch.tanh(raw / self.steepest)

    def _value(self, x: Tensor, shape: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the integral from 0 to x and its log-slope."""
        inside = x.clamp(-self.bound, self.bound)
        mean = sum(weight * self._log_g(node * inside, shape).exp() for node, weight in self.nodes_and_weights)
        log_slope = self._log_g(inside, shape)
        return inside * mean + (x - inside) * log_slope.exp(), log_slope

    def forward_and_log_slope(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return the integral and its log-slope."""
        shift, shape = self._read(parameters)
        value, log_slope = self._value(x, shape)
        return shift + value, log_slope

    def inverse_and_log_slope(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Search x, and return it with the log-slope of the inverse."""
        shift, shape = self._read(parameters)
        target = z - shift
        with torch.no_grad():  # no slope is below exp(-B)
            far = 1 + target.abs() * torch.exp(torch.tensor(self.steepest).to(target))

        def function(x: Tensor) -> tuple[Tensor, Tensor]:
            value, log_slope = self._value(x, shape)
            return value, log_slope.exp()

        x = increasing_root(function, target, -far, far)
        return x, -self._value(x, shape)[1]
