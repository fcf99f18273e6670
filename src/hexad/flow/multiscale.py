"""Flows of pictures in levels (Density estimation using Real NVP; Dinh, Sohl-Dickstein and Bengio, 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.transforms import Compose, Flatten, Part, Squeeze, Transform, Unflatten

__all__ = ["MultiscaleFlow", "Step"]

Steps = Callable[[int], Sequence[Sequence[Transform]]]


class Step(Part):
    """Transforms, one after the other, of the channels that are still moved.

    Args:
        transforms: in order.
        channels: how many these are.
    """

    def __init__(self, transforms: Sequence[Transform], channels: int) -> None:
        super().__init__(Compose(transforms), channels)


class MultiscaleFlow(Flow):
    """Levels of steps: a level makes squares of 2 x 2 pixels to channels and leaves half of all channels as noise.

    Args:
        event: a real picture without cells, (C, H, W).
        levels: number of levels, each of which halves the sides.
        pixel_steps: called with the number of channels; gives the steps of a level, each a list of transforms, before
            its squares become channels.
        channel_steps: the same, after its squares have become channels.
        context: number of context features.

    Raises:
        ValueError: the event is no picture, or its sides cannot be halved so often.
    """

    def __init__(self, event: Event, levels: int, pixel_steps: Steps, channel_steps: Steps, context: int = 0) -> None:
        name = type(self).__name__
        if len(event.shape) != 3:
            raise ValueError(f"{name} takes pictures (C, H, W), got records of shape {event.shape}")
        channels, height, width = event.shape
        moved = channels
        layers: list[Transform] = [Unflatten(event.shape)]
        for level in range(levels):
            if height % 2 or width % 2:
                raise ValueError(f"{name}: a picture of {event.shape[1:]} pixels has no {levels} levels; take {level}")
            moved = moved // 2 if level else moved
            layers += [Step(step, moved) for step in pixel_steps(moved)]
            channels, height, width, moved = 4 * channels, height // 2, width // 2, 4 * moved
            layers.append(Squeeze())
            layers += [Step(step, moved) for step in channel_steps(moved)]
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
