r"""RealNVP: affine couplings with alternating masks (Density estimation using Real NVP; Dinh, Sohl-Dickstein, Bengio,
2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.flow.couplings import coupling_networks
from hexad.flow.multiscale import MultiscaleFlow
from hexad.model import Density
from hexad.nn import ConvNet
from hexad.transforms import (
    ActNorm,
    AffineCoupling,
    AffineMap,
    CheckerboardCoupling,
    Compose,
    Coupling,
    Transform,
    coupling_masks,
)

__all__ = ["MultiscaleRealNVP", "RealNVP"]


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


class MultiscaleRealNVP(MultiscaleFlow):
    """Levels of couplings of a picture: under checkerboard masks, then, once squares are channels, of halves of these.

    Masks alternate, so that what is kept by one coupling is moved by the next; activation normalisation stands in for
    the paper's batch normalisation.

    Args:
        event: a real picture without cells, (C, H, W).
        transforms: number of couplings of each of the two kinds a level.
        levels: number of levels, each of which halves the sides.
        hidden: channels inside each coupling's network.
        blocks: residual blocks of each network.
        context: number of context features.

    Raises:
        ValueError: the event is no picture, or its sides cannot be halved so often.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 4,
        levels: int = 2,
        hidden: int = 32,
        blocks: int = 1,
        context: int = 0,
    ) -> None:
        def network(inputs: int, outputs: int) -> ConvNet:
            return ConvNet(inputs, outputs, hidden, blocks, context=context)

        def pixels(channels: int) -> list[list[Transform]]:
            return [
                [ActNorm(channels), CheckerboardCoupling(channels, i % 2 == 0, network, AffineMap())]
                for i in range(transforms)
            ]

        def halves(channels: int) -> list[list[Transform]]:
            first = torch.arange(channels) < channels // 2
            return [
                [ActNorm(channels), Coupling(first if i % 2 == 0 else ~first, network, AffineMap())]
                for i in range(transforms)
            ]

        super().__init__(event, levels, pixels, halves, context)
