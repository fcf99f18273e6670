"""A fixed reordering of the columns."""

from __future__ import annotations

from torch import Tensor

from hexad.transforms.base import Transform

__all__ = ["Permutation"]


class Permutation(Transform):
    """z_i = x_{order[i]}; the log-determinant is 0.

    Args:
        order: a permutation of 0 to D - 1.
    """

    one_pass = True

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        if order.sort().values.tolist() != list(range(len(order))):
            raise ValueError(f"permutation: order must hold 0 to {len(order) - 1} once each, got {order.tolist()}")
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the reordered columns and 0."""
        return x[:, self.order], x.new_zeros(x.shape[0])

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Put the columns back."""
        return z[:, self.back], z.new_zeros(z.shape[0])
