r"""Residual maps: the identity and a contraction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hexad.nn.lipschitz import LipschitzMLP, jacobian, times_jacobian, times_transpose
from hexad.randomness import fresh
from hexad.transforms.base import Transform

__all__ = ["Residual"]

NUMBERS = 2**22  # of a Jacobian's factor at once
SURE = 4  # terms of the series that are always summed
PATIENCE = 8  # iterations between two looks at whether all rows have arrived


class Residual(Transform):
    r"""The residual map (Invertible Residual Networks; Behrmann et al., 2019. Residual Flows; Chen et al., 2019).

    .. math:: z = x + g(x), \qquad \mathrm{Lip}(g) \le \kappa < 1, \qquad
              \log|\det| = \log\det(I + J) = \sum_{k \ge 1} \frac{(-1)^{k+1}}{k} \mathrm{tr}\, J^k

    J, the Jacobian of g, is at hand in closed form, and so is the exact log-determinant, at the cost of D products with
    the network. Where there are more than ``exact`` columns training takes an unbiased estimate instead: traces by a
    probe v of random signs (Hutchinson, 1990), and the series broken off after N terms, with weights that make up for
    it (Russian roulette),

    .. math:: \log\det \approx \sum_{k=1}^N \frac{(-1)^{k+1}}{k\,P(N \ge k)} v^\top J^k v, \qquad
              \nabla \log\det \approx \sum_{k=0}^N \frac{(-1)^k}{P(N \ge k)} v^\top J^k (\nabla J)\, v ,

    the gradient from the series of the inverse (Neumann), which keeps one pass in memory, not N. N is drawn once a
    batch; beyond the first terms the chance to go on is kappa, with which the variance is finite for any g.

    The inverse is the fixed point of :math:`x = z - g(x)`, each row until it stands still, with the gradients of the
    implicit function theorem: those of one step of Newton's from a root held constant. It starts as the identity.

    Args:
        features: D, columns of a vector record.
        hidden: widths of the hidden layers of g, see :class:`~hexad.nn.LipschitzMLP`.
        context: number of context features; g is a contraction in x, whatever it does in them.
        contraction: kappa, between 0 and 1.
        exact: most columns of which training takes the exact log-determinant.

    Raises:
        ValueError: a kappa outside (0, 1), or no hidden layer.
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (64, 64),
        context: int = 0,
        *,
        contraction: float = 0.9,
        exact: int = 32,
    ) -> None:
        super().__init__()
        if not 0 < contraction < 1:
            raise ValueError(f"residual map: contraction must be between 0 and 1, got {contraction}")
        if not hidden:
            raise ValueError("residual map: hidden has no widths; give one or more")
        self.contraction = contraction
        self.estimates = features > exact
        self.rows = max(1, NUMBERS // (features * max(features, *hidden)))
        self.network = LipschitzMLP(features, hidden, context=context, bound=contraction)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x + g(x) and the exact log-determinant."""
        weights = self.network.weights()
        moved, log_dets = [], []
        for rows in self._pieces(len(x)):
            g, slopes = self.network.with_slopes(x[rows], _part(context, rows), weights)
            moved.append(x[rows] + g)
            log_dets.append(torch.linalg.slogdet(_plus_identity(jacobian(weights, slopes))).logabsdet)
        return torch.cat(moved), torch.cat(log_dets)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return x + g(x)."""
        return x + self.network(x, context)

    def prepare(self, x: Tensor) -> Tensor:
        """Return f(x); nothing is fitted."""
        with torch.no_grad():
            return self.forward(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the fixed point."""
        weights = self.network.weights()
        with torch.no_grad():
            x = self._fixed_point(z, context, weights)
        if not torch.is_grad_enabled():
            return x
        steps = []
        for rows in self._pieces(len(x)):
            g, slopes = self.network.with_slopes(x[rows], _part(context, rows), weights)
            with torch.no_grad():
                slope = _plus_identity(jacobian(weights, slopes))
            step = torch.linalg.solve(slope, z[rows] - x[rows] - g)
            steps.append(x[rows] + (step - step.detach()))  # the same number with gradients as without
        return torch.cat(steps)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the fixed point and the exact log-determinant there."""
        x = self.inverse(z, context)
        return x, -self.forward_and_log_det(x, context)[1]

    def estimate_log_det(
        self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return z and the log-determinant: exact up to ``exact`` columns, and estimated where there are more."""
        if not self.estimates:
            return self.forward_and_log_det(x, context)
        generator = fresh(generator, x.device)
        terms, probe = self._drawn(x, generator)
        weights = self.network.weights()
        g, slopes = self.network.with_slopes(x, context, weights)
        with torch.no_grad():
            value, product, adjoint = x.new_zeros(len(x)), probe, probe
            for k in range(1, terms + 1):
                product = -times_transpose(weights, slopes, product)
                weight = self.contraction ** -max(0, k - SURE)  # 1 / P(N >= k)
                value = value - weight / k * (product * probe).sum(1)
                adjoint = adjoint + weight * product
        along = (adjoint * times_jacobian(weights, slopes, probe)).sum(1)  # its gradient is the log-determinant's
        return x + g, value + (along - along.detach())

    def _drawn(self, x: Tensor, generator: torch.Generator) -> tuple[int, Tensor]:
        """Return N and the probe."""
        uniform = 1 - float(torch.rand((), generator=generator, device=x.device, dtype=torch.float64))
        signs = torch.randint(2, x.shape, generator=generator, device=x.device).to(x.dtype)
        return SURE + int(math.log(uniform) / math.log(self.contraction)), 2 * signs - 1

    def _fixed_point(self, z: Tensor, context: Tensor | None, weights: list[Tensor]) -> Tensor:
        eps = torch.finfo(z.dtype).eps
        x = z
        # an iteration takes the error down by kappa at least: there are as many as take it below rounding
        for k in range(math.ceil(math.log(eps / 4) / math.log(self.contraction))):
            new = z - self.network.with_slopes(x, context, weights)[0]
            moving = ((new - x).abs() > 4 * eps * (1 + x.abs())).any(1, keepdim=True)
            if k % PATIENCE == 0 and not moving.any():
                break
            x = torch.where(moving, new, x)  # a row that stands still stays, so that no row depends on another
        return x

    def _pieces(self, n: int) -> Iterator[slice]:
        """Yield so many of n rows at once that their Jacobians fit in memory."""
        return (slice(start, start + self.rows) for start in range(0, max(1, n), self.rows))


def _part(context: Tensor | None, rows: slice) -> Tensor | None:
    return None if context is None else context[rows]


def _plus_identity(matrix: Tensor) -> Tensor:
    return matrix + torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
