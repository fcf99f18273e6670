"""A transform of some of the channels, which leaves the others as they are: the split of multi-scale flows."""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.transforms.base import Transform

__all__ = ["Part"]


class Part(Transform):
    r"""f on the first channels (or columns), the identity on the rest, which have become noise already.

    A multi-scale flow (Dinh, Sohl-Dickstein and Bengio, 2017) is a chain in which fewer and fewer channels go on. Here
    the others are carried along instead of being set aside, so that every state of the chain is a whole record.

    Args:
        transform: f.
        channels: how many it moves, counted along dimension 1.
    """

    def __init__(self, transform: Transform, channels: int) -> None:
        super().__init__()
        self.transform, self.channels, self.estimates = transform, channels, transform.estimates
        self.one_pass = transform.one_pass

    def extra_repr(self) -> str:
        """Return the number of channels."""
        return f"channels={self.channels}"

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the first channels."""
        z, log_det = self.transform.forward_and_log_det(x[:, : self.channels], context)
        return self._joined(z, x), log_det

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the first channels back."""
        x, log_det = self.transform.inverse_and_log_det(z[:, : self.channels], context)
        return self._joined(x, z), log_det

    def estimate_log_det(
        self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the estimate of f."""
        z, log_det = self.transform.estimate_log_det(x[:, : self.channels], context, generator=generator)
        return self._joined(z, x), log_det

    def prepare(self, x: Tensor) -> Tensor:
        """Fit f on the first channels."""
        return self._joined(self.transform.prepare(x[:, : self.channels]), x)

    def _joined(self, moved: Tensor, whole: Tensor) -> Tensor:
        return moved if self.channels == whole.shape[1] else torch.cat([moved, whole[:, self.channels :]], 1)
