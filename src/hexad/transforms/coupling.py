r"""Coupling: half of the columns are moved by a map whose parameters the other half sets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hexad.transforms.base import Transform

__all__ = ["AffineCoupling"]


class AffineCoupling(Transform):
    r"""Affine coupling (Dinh, Sohl-Dickstein and Bengio, 2017; with s = 0 the additive one of Dinh, Krueger and
    Bengio, 2015).

    .. math:: z_A = x_A, \qquad z_B = (x_B - t(x_A)) \exp(-s(x_A)), \qquad \log|\det| = -\textstyle\sum s(x_A)

    The log-scale is bounded softly, :math:`s = b \tanh(a / b)` of the network's output a, so that no step of training
    can overflow.

    Args:
        mask: bool (D,), True for the columns of A, which are kept.
        network: called with the numbers of inputs and outputs; gives a module of ``(x_A, context)``. Its last layer
            is to start at zero, so that the map starts as the identity.
        bound: b, the largest absolute log-scale.
    """

    kept: Tensor
    moved: Tensor

    def __init__(self, mask: Tensor, network: Callable[[int, int], nn.Module], bound: float = 3.0) -> None:
        super().__init__()
        self.register_buffer("kept", mask.nonzero()[:, 0])
        self.register_buffer("moved", (~mask).nonzero()[:, 0])
        self.bound = bound
        self.network = network(len(self.kept), 2 * len(self.moved))

    def _shift_and_log_scale(self, kept: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        shift, raw = self.network(kept, context).chunk(2, -1)
        return shift, self.bound * torch.tanh(raw / self.bound)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move B by what A says."""
        # index_select: the gradient of x[:, columns] costs several times as much
        shift, log_scale = self._shift_and_log_scale(x.index_select(1, self.kept), context)
        moved = (x.index_select(1, self.moved) - shift) * torch.exp(-log_scale)
        return x.index_copy(1, self.moved, moved), -log_scale.sum(-1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move B back: A is as it was."""
        shift, log_scale = self._shift_and_log_scale(z.index_select(1, self.kept), context)
        moved = z.index_select(1, self.moved) * torch.exp(log_scale) + shift
        return z.index_copy(1, self.moved, moved), log_scale.sum(-1)
