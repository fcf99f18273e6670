r"""Sylvester maps: planar ones in several orthogonal directions at once."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.transforms.base import Transform
from hexad.transforms.conditioned import Conditioned, positive
from hexad.transforms.root import increasing_root

__all__ = ["Sylvester"]


class Sylvester(Transform):
    r"""The Sylvester map (Sylvester Normalizing Flows for Variational Inference; van den Berg, Hasenclever, Tomczak and
    Welling, 2018), here from x to z.

    .. math:: z = x + Q R \tanh(\tilde R Q^\top x + b), \qquad
              \log|\det| = \sum_i \log\bigl(1 + R_{ii}\tilde R_{ii} \tanh'(\cdot)_i\bigr)

    Q, (D, M), has orthonormal columns: the first M of a product of M Householder reflections. R and :math:`\tilde R`
    are upper triangular, and the map is invertible where :math:`R_{ii}\tilde R_{ii} > -1`. Here :math:`\tilde R_{ii} >
    0`, which is no loss since tanh is odd, and :math:`R_{ii} = (s_i - 1) / \tilde R_{ii}` with a positive :math:`s_i`.

    For the inverse, :math:`v = \tilde R Q^\top x` solves :math:`v + \tilde R R \tanh(v + b) = \tilde R Q^\top z`: M
    increasing equations of one unknown each, from the last to the first. It starts as the identity: R = 0, Q random.

    Args:
        features: D, number of columns of a vector record.
        directions: M, from 1 to D.
        context: number of context features, which move all of Q, R, R-tilde and b.

    Raises:
        ValueError: more directions than columns, or none.
    """

    above: Tensor

    def __init__(self, features: int, directions: int, context: int = 0) -> None:
        super().__init__()
        if not 1 <= directions <= features:
            raise ValueError(f"Sylvester map: directions must be from 1 to the {features} columns, got {directions}")
        self.features, self.directions = features, directions
        m = directions
        self.register_buffer("above", torch.triu_indices(m, m, 1), persistent=False)
        triangle = m * (m - 1) // 2
        self.parts = Conditioned((m * features, triangle, triangle, m, m, m), context)
        self.parts.start(torch.randn(m, features), *(torch.zeros(k) for k in (triangle, triangle, m, m, m)))

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"features={self.features}, directions={self.directions}"

    def _constrained(self, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return unit normals of the reflections (., M, D), R and R-tilde (., M, M), b and s (., M)."""
        normals, above, above_tilde, s, diagonal, b = self.parts(context)
        normals = normals.unflatten(-1, (self.directions, self.features))
        normals = normals / normals.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        s, diagonal = positive(s), positive(diagonal)
        right = self._triangular(above_tilde, diagonal)
        return normals, self._triangular(above, (s - 1) / diagonal), right, b, s

    def _triangular(self, above: Tensor, diagonal: Tensor) -> Tensor:
        full = torch.diag_embed(diagonal)
        rows, columns = self.above
        return full.index_put((torch.arange(len(full), device=rows.device)[:, None], rows, columns), above)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move x in the space that Q spans."""
        normals, left, right, b, s = self._constrained(context)
        bend = torch.tanh(_times(right, self._project(x, normals)) + b)
        return x + self._lift(_times(left, bend), normals), _slope(bend, s).log().sum(-1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find v, then move z back."""
        normals, left, right, b, s = self._constrained(context)
        bend = _bends(right @ left, _times(right, self._project(z, normals)), b, s)
        return z - self._lift(_times(left, bend), normals), -_slope(bend, s).log().sum(-1)

    def _project(self, x: Tensor, normals: Tensor) -> Tensor:
        """Return Q'x, (batch, M)."""
        for k in range(self.directions):
            x = _reflect(x, normals[:, k])
        return x[:, : self.directions]

    def _lift(self, y: Tensor, normals: Tensor) -> Tensor:
        """Return Q y, (batch, D)."""
        x = torch.nn.functional.pad(y, (0, self.features - self.directions))
        for k in reversed(range(self.directions)):
            x = _reflect(x, normals[:, k])
        return x


def _reflect(x: Tensor, normal: Tensor) -> Tensor:
    return x - 2 * (x * normal).sum(-1, keepdim=True) * normal


def _times(matrix: Tensor, y: Tensor) -> Tensor:
    """Return the product of one matrix, or of one a row, with each row of y."""
    return y @ matrix[0].T if len(matrix) == 1 else (matrix @ y[..., None])[..., 0]


def _slope(bend: Tensor, s: Tensor) -> Tensor:
    # 1 + (s - 1)(1 - tanh^2), as a sum of positive terms
    return s * (1 - bend.square()) + bend.square()


def _bends(product: Tensor, target: Tensor, b: Tensor, s: Tensor) -> Tensor:
    """Return tanh(v + b) where v + T tanh(v + b) is the target, T = ``product`` with diagonal s - 1."""
    found: list[Tensor] = []  # of the last directions
    for i in reversed(range(target.shape[1])):
        known = target[:, i]
        if found:
            known = known - (product[:, i, i + 1 :] * torch.stack(found, -1)).sum(-1)
        found.insert(0, _bend(known, b[:, i], s[:, i]))
    return torch.stack(found, -1)


def _bend(target: Tensor, b: Tensor, s: Tensor) -> Tensor:
    def along(v: Tensor) -> tuple[Tensor, Tensor]:
        bend = torch.tanh(v + b)
        return v + (s - 1) * bend, _slope(bend, s)

    reach = (s - 1).abs()
    return torch.tanh(increasing_root(along, target, target - reach, target + reach) + b)
