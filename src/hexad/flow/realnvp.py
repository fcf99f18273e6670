r"""RealNVP: affine couplings with alternating masks (Density estimation using Real NVP; Dinh, Sohl-Dickstein, Bengio,
2017).
"""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.flow.couplings import coupling_networks
from hexad.model import Density
from hexad.transforms import ActNorm, AffineCoupling, Compose, Transform, coupling_masks

__all__ = ["RealNVP"]


class RealNVP(Flow):
    """Activation normalisation and affine coupling, ``transforms`` times.

    Successive masks come in complementary pairs, so that every column is moved as often as it is kept: even against odd
    columns first, then random halves.

    Args:
        event: a real event without cells, of at least 2 columns.
        transforms: number of couplings.
        hidden: widths of the hidden layers of each coupling's network.
        context: number of context features.
        base: the density of the noise; None: standard normal.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 8,
        hidden: Sequence[int] = (128, 128),
        context: int = 0,
        base: Density | None = None,
    ) -> None:
        network = coupling_networks(event, hidden, context)
        layers: list[Transform] = []
        for mask in coupling_masks(event.dims, transforms):
            layers += [ActNorm(event.dims), AffineCoupling(mask, network)]
        super().__init__(event, Compose(layers), context, base)
