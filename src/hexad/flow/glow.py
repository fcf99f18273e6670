"""Glow, a multi-scale flow of pictures (Glow: Generative Flow with Invertible 1x1 Convolutions; Kingma and Dhariwal,
2018).
"""

from __future__ import annotations

import torch

from hexad.event import Event
from hexad.flow.multiscale import MultiscaleFlow
from hexad.nn import ConvNet
from hexad.transforms import ActNorm, AffineMap, Coupling, Elementwise, InvertibleConv, Transform

__all__ = ["Glow"]


class Glow(MultiscaleFlow):
    """Levels of activation normalisation, 1 x 1 convolution and coupling of the channels that are still moved.

    Args:
        event: a real picture without cells, (C, H, W).
        transforms: number of steps a level.
        levels: number of levels, each of which halves the sides.
        hidden: channels inside each coupling's network.
        blocks: residual blocks of each network.
        elementwise: the couplings' map; None: affine.
        context: number of context features.

    Raises:
        ValueError: the event is no picture, or its sides cannot be halved so often.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 8,
        levels: int = 2,
        hidden: int = 64,
        blocks: int = 1,
        elementwise: Elementwise | None = None,
        context: int = 0,
    ) -> None:
        moves = AffineMap() if elementwise is None else elementwise

        def network(inputs: int, outputs: int) -> ConvNet:
            return ConvNet(inputs, outputs, hidden, blocks, context=context)

        def step(channels: int) -> list[Transform]:
            kept = torch.arange(channels) < channels // 2
            return [ActNorm(channels), InvertibleConv(channels), Coupling(kept, network, moves)]

        super().__init__(event, levels, lambda channels: [], lambda c: [step(c) for _ in range(transforms)], context)
