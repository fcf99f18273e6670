"""A transform the other way round."""

from __future__ import annotations

from torch import Tensor

from hexad.transforms.base import Transform

__all__ = ["Inverse"]


class Inverse(Transform):
    """The inverse of a transform as a transform: what was cheap in one direction is cheap in the other.

    It does not prepare the transform, which would have to be fitted on what it makes, and not on what it is given.

    Args:
        transform: the transform that is read backwards.
    """

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform
        self.rearranges = transform.rearranges

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the transform's inverse and its log-determinant."""
        return self.transform.inverse_and_log_det(x, context)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the transform and its log-determinant."""
        return self.transform.forward_and_log_det(z, context)
