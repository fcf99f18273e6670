"""Changes of a record's shape, which move its numbers and change none: vectors as pictures, pixels as channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from hexad.transforms.base import Transform

__all__ = ["Flatten", "Squeeze", "Unflatten"]


class Unflatten(Transform):
    """A vector record (batch, D) as one of another shape; the log-determinant is 0.

    Args:
        shape: of a record, with D numbers.
    """

    rearranges = one_pass = True

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def extra_repr(self) -> str:
        """Return the shape."""
        return str(self.shape)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x as (batch, *shape) and 0."""
        return x.reshape(len(x), *self.shape), x.new_zeros(len(x))

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return z as (batch, D) and 0."""
        return z.reshape(len(z), math.prod(self.shape)), z.new_zeros(len(z))


class Flatten(Unflatten):
    """A record of some shape as a vector (batch, D), the other way round.

    Args:
        shape: of a record.
    """

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return x as (batch, D) and 0."""
        return super().inverse_and_log_det(x)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return z as (batch, *shape) and 0."""
        return super().forward_and_log_det(z)


class Squeeze(Transform):
    r"""Squares of 2 x 2 pixels as channels: (C, H, W) to (4C, H/2, W/2) (Dinh, Sohl-Dickstein and Bengio, 2017).

    Channel c goes to the channels 4c to 4c + 3, so that the first k channels become the first 4k.
    """

    rearranges = one_pass = True

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (batch, 4C, H/2, W/2) and 0."""
        return pixel_unshuffle(x, 2), x.new_zeros(len(x))

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return (batch, C/4, 2H, 2W) and 0."""
        return pixel_shuffle(z, 2), z.new_zeros(len(z))
