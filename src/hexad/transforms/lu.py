r"""A learned linear map with a cheap determinant and inverse: the product of two triangular ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.transforms.base import Transform

__all__ = ["LULinear"]


class LULinear(Transform):
    r"""z = L U x with L unit lower and U upper triangular with a positive diagonal (Glow; Kingma and Dhariwal, 2018).

    Its log-determinant is :math:`\sum_i \log U_{ii}`. It starts as the identity.

    Args:
        features: number of columns of a vector record.
    """

    one_pass = True

    def __init__(self, features: int) -> None:
        super().__init__()
        # L below the diagonal, U above it, the logarithm of U's diagonal on it
        self.factors = nn.Parameter(torch.zeros(features, features))

    def _lower_and_upper(self) -> tuple[Tensor, Tensor]:
        log_diagonal = self.factors.diagonal()
        lower = self.factors.tril(-1) + torch.diag(torch.ones_like(log_diagonal))
        return lower, self.factors.triu(1) + torch.diag(log_diagonal.exp())

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return L U x and the sum of the log-diagonal."""
        lower, upper = self._lower_and_upper()
        return x @ (lower @ upper).T, self.factors.diagonal().sum().expand(x.shape[0])

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Solve for x, one triangle after the other."""
        lower, upper = self._lower_and_upper()
        y = torch.linalg.solve_triangular(lower, z.T, upper=False, unitriangular=True)
        x = torch.linalg.solve_triangular(upper, y, upper=True).T
        return x, -self.factors.diagonal().sum().expand(z.shape[0])
