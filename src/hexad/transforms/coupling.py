r"""Coupling: half of the columns are moved by a map whose parameters the other half sets."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hexad.transforms.base import Transform
from hexad.transforms.elementwise import AffineMap, Elementwise
from hexad.transforms.spline import Spline

__all__ = ["AffineCoupling", "Coupling", "SplineCoupling", "coupling_masks"]


class Coupling(Transform):
    r"""Coupling with any elementwise map (Dinh, Krueger and Bengio, 2015), of columns or of a picture's channels.

    .. math:: z_A = x_A, \qquad z_B = f(x_B; \theta(x_A)), \qquad \log|\det| = \textstyle\sum \log f'(x_B; \theta(x_A))

    Args:
        mask: bool (D,), True for the columns (channels) of A, which are kept.
        network: called with the numbers of inputs and outputs; gives a module of ``(x_A, context)`` that keeps height
            and width. Its last layer is to start at zero, so that the map starts as the identity.
        elementwise: f.
    """

    kept: Tensor
    moved: Tensor
    one_pass = True

    def __init__(self, mask: Tensor, network: Callable[[int, int], nn.Module], elementwise: Elementwise) -> None:
        super().__init__()
        self.register_buffer("kept", mask.nonzero()[:, 0])
        self.register_buffer("moved", (~mask).nonzero()[:, 0])
        self.elementwise = elementwise
        self.network = network(len(self.kept), elementwise.count * len(self.moved))

    def _parameters_by(self, kept: Tensor, context: Tensor | None) -> Tensor:
        parameters = self.network(kept, context).unflatten(1, (self.elementwise.count, len(self.moved)))
        return parameters.movedim(1, -1)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move B by what A says."""
        # index_select: the gradient of x[:, columns] costs several times as much
        parameters = self._parameters_by(x.index_select(1, self.kept), context)
        moved, log_slope = self.elementwise.forward_and_log_slope(x.index_select(1, self.moved), parameters)
        return x.index_copy(1, self.moved, moved), log_slope.flatten(1).sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Move B back: A is as it was."""
        parameters = self._parameters_by(z.index_select(1, self.kept), context)
        moved, log_slope = self.elementwise.inverse_and_log_slope(z.index_select(1, self.moved), parameters)
        return z.index_copy(1, self.moved, moved), log_slope.flatten(1).sum(1)


class AffineCoupling(Coupling):
    """Coupling with an affine map (Dinh, Sohl-Dickstein and Bengio, 2017; with log-scale 0 the additive one of 2015).

    Args:
        mask, network: see :class:`Coupling`.
        bound: the largest absolute log-scale.
    """

    def __init__(self, mask: Tensor, network: Callable[[int, int], nn.Module], bound: float = 3.0) -> None:
        super().__init__(mask, network, AffineMap(bound))


class SplineCoupling(Coupling):
    """Coupling with a rational-quadratic spline (Durkan et al., 2019).

    Args:
        mask, network: see :class:`Coupling`.
        bins, bound: see :class:`~hexad.transforms.Spline`.
    """

    def __init__(
        self, mask: Tensor, network: Callable[[int, int], nn.Module], bins: int = 8, bound: float = 3.0
    ) -> None:
        super().__init__(mask, network, Spline(bins, bound))


def coupling_masks(features: int, count: int) -> list[Tensor]:
    """Return ``count`` masks, bool (features,), in complementary pairs: even columns first, then random halves.

    The halves come from torch's global stream, as initialisation does: equal seeds are equal models.
    """
    masks: list[Tensor] = []
    for pair in range((count + 1) // 2):
        order = torch.arange(features) if pair == 0 else torch.randperm(features)
        mask = order % 2 == 0
        masks += [mask, ~mask]
    return masks[:count]
