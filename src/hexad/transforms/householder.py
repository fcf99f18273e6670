"""A learned orthogonal map: a product of reflections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.transforms.base import Transform

__all__ = ["Householder"]


class Householder(Transform):
    r"""z = Q' x with Q a product of K Householder reflections (Improving Variational Auto-Encoders using Householder
    Flow; Tomczak and Welling, 2016).

    .. math:: Q = \prod_{k=1}^K (I - 2 u_k u_k'), \qquad u_k = v_k / |v_k|

    The log-determinant is 0. The product is taken at once, in the compact form of Joffrain et al. (Accumulating
    Householder transformations, revisited, 2006), with U the matrix of rows :math:`u_k'`:

    .. math:: Q = I - U' S^{-1} U, \qquad S = \tfrac12 I + \mathrm{striu}(U U') .

    Every rotation is a product of D reflections or one fewer. It starts as the identity: the vectors come in pairs of
    equal ones; where K is odd, the last stands alone and it starts as that one's reflection.

    Args:
        features: number of columns of a vector record, D.
        reflections: K; None: D, or one more where D is odd.
        principal: whether :meth:`prepare` turns the principal axes of the data, from the largest on, into the first
            columns, as many as there are reflections.

    Raises:
        ValueError: fewer than 1 reflection.
    """

    one_pass = True

    def __init__(self, features: int, reflections: int | None = None, *, principal: bool = False) -> None:
        super().__init__()
        reflections = features + features % 2 if reflections is None else reflections
        if reflections < 1:
            raise ValueError(f"Householder: reflections must be at least 1, got {reflections}")
        self.principal = principal
        self.vectors = nn.Parameter(torch.randn((reflections + 1) // 2, features).repeat_interleave(2, 0)[:reflections])

    def extra_repr(self) -> str:
        """Return features and reflections."""
        reflections, features = self.vectors.shape
        return f"features={features}, reflections={reflections}"

    def _factors(self) -> tuple[Tensor, Tensor]:
        r"""Return U and :math:`S^{-1} U`, each (K, D)."""
        unit = F.normalize(self.vectors, dim=1)
        inner = (unit @ unit.T).triu(1) + 0.5 * torch.eye(len(unit), dtype=unit.dtype, device=unit.device)
        return unit, torch.linalg.solve_triangular(inner, unit, upper=True)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return Q' x and 0."""
        unit, solved = self._factors()
        return x - (x @ unit.T) @ solved, x.new_zeros(len(x))

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return Q z and 0."""
        unit, solved = self._factors()
        return z - (z @ solved.T) @ unit, z.new_zeros(len(z))

    @torch.no_grad()
    def prepare(self, x: Tensor) -> Tensor:
        """Turn to the principal axes of x where that was asked for, up to their signs."""
        if self.principal:
            count, features = self.vectors.shape
            covariance = torch.cov(x.double().T, correction=0).reshape(features, features)
            axes = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :count]
            # the reflections of a QR decomposition of orthogonal columns, whose R is diagonal with entries of -1 and 1;
            # those left over turn the sign of the last column
            unit = torch.eye(features, count, dtype=axes.dtype, device=axes.device)
            vectors = F.pad(torch.geqrf(axes)[0].tril(-1), (0, count - axes.shape[1])) + unit
            vectors[-1, features:] = 1
            self.vectors.copy_(vectors.T)
        return self.forward(x)
