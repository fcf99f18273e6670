"""Glow, a multi-scale flow of pictures (Glow: Generative Flow with Invertible 1x1 Convolutions; Kingma and Dhariwal,
2018).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.nn import ConvNet
from hexad.transforms import (
    ActNorm,
    AffineMap,
    Compose,
    Coupling,
    Elementwise,
    Flatten,
    InvertibleConv,
    Part,
    Squeeze,
    Transform,
    Unflatten,
)

__all__ = ["Glow", "Step"]


class Step(Part):
    """Activation normalisation, 1 x 1 convolution and coupling of the channels that are still moved.

    Args:
        channels: how many these are.
        network: of the coupling.
        elementwise: the coupling's map.
    """

    def __init__(self, channels: int, network: Callable[[int, int], nn.Module], elementwise: Elementwise) -> None:
        coupling = Coupling(torch.arange(channels) < channels // 2, network, elementwise)
        super().__init__(Compose([ActNorm(channels), InvertibleConv(channels), coupling]), channels)


class Glow(Flow):
    """Levels of steps: a level makes squares of pixels to channels, moves them, and leaves half of them as noise.

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
        if len(event.shape) != 3:
            raise ValueError(f"glow takes pictures (C, H, W), got records of shape {event.shape}")
        elementwise = AffineMap() if elementwise is None else elementwise

        def network(inputs: int, outputs: int) -> ConvNet:
            return ConvNet(inputs, outputs, hidden, blocks, context=context)

        channels, height, width = event.shape
        moved = channels
        layers: list[Transform] = [Unflatten(event.shape)]
        for level in range(levels):
            if height % 2 or width % 2:
                raise ValueError(f"glow: a picture of {event.shape[1:]} pixels has no {levels} levels; take {level}")
            channels, height, width = 4 * channels, height // 2, width // 2
            moved = 4 * (moved // 2 if level else moved)
            layers.append(Squeeze())
            layers += [Step(moved, network, elementwise) for _ in range(transforms)]
        layers.append(Flatten((channels, height, width)))
        super().__init__(event, Compose(layers), context)

    @property
    def work(self) -> int:
        """Multiplications that one record takes: each step's parameters are used at every pixel of its level."""
        total, pixels = 0, self.event.dims // self.event.shape[0]
        for layer in self.transform.transforms:
            pixels = pixels // 4 if isinstance(layer, Squeeze) else pixels
            total += pixels * sum(p.numel() for p in layer.parameters())
        return total
