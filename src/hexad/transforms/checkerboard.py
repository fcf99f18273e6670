r"""Coupling of a picture's pixels: the black squares of a checkerboard say how the white ones move."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hexad.transforms.base import Transform
from hexad.transforms.elementwise import Elementwise

__all__ = ["CheckerboardCoupling"]


class CheckerboardCoupling(Transform):
    r"""Coupling under a checkerboard mask b (Dinh, Sohl-Dickstein and Bengio, 2017).

    .. math:: z = b \odot x + (1 - b) \odot f(x; \theta(b \odot x)), \qquad
              \log|\det| = \textstyle\sum (1 - b) \odot \log f'(x; \theta)

    Args:
        channels: of the pictures.
        even: whether the pixels (i, j) with i + j even are kept, or those with i + j odd.
        network: called with the numbers of inputs and outputs; gives a module of ``(x, context)`` that keeps height and
            width. Its last layer is to start at zero, so that the map starts as the identity.
        elementwise: f.
    """

    one_pass = True

    def __init__(
        self, channels: int, even: bool, network: Callable[[int, int], nn.Module], elementwise: Elementwise
    ) -> None:
        super().__init__()
        self.channels, self.even, self.elementwise = channels, even, elementwise
        self.network = network(channels, elementwise.count * channels)

    def extra_repr(self) -> str:
        """Return which pixels are kept."""
        return f"keeps {'even' if self.even else 'odd'} pixels"

    def _kept(self, x: Tensor) -> Tensor:
        rows, columns = (torch.arange(side, device=x.device) for side in x.shape[2:])
        return (rows[:, None] + columns) % 2 == (0 if self.even else 1)

    def _parameters_by(self, x: Tensor, kept: Tensor, context: Tensor | None) -> Tensor:
        parameters = self.network(x * kept, context).unflatten(1, (self.elementwise.count, self.channels))
        return parameters.movedim(1, -1)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the white pixels by what the black ones say."""
        kept = self._kept(x)
        moved, log_slope = self.elementwise.forward_and_log_slope(x, self._parameters_by(x, kept, context))
        return torch.where(kept, x, moved), (log_slope * ~kept).flatten(1).sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move the white pixels back: the black ones are as they were."""
        kept = self._kept(z)
        moved, log_slope = self.elementwise.inverse_and_log_slope(z, self._parameters_by(z, kept, context))
        return torch.where(kept, z, moved), (log_slope * ~kept).flatten(1).sum(1)
