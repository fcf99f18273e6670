"""Gaussianization flow (Gaussianization Flows; Meng, Song, Song, Ermon, 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.transforms import Compose, Gaussianization, Householder, Transform

__all__ = ["GaussianizationFlow"]


class GaussianizationFlow(Flow):
    """Each column made normal by its own cdf, ``transforms`` times, with a rotation between any two.

    Before training it is fitted layer by layer to the data, the rotations to their principal axes: iterative
    Gaussianization (Chen and Gopinath, 2000; Laparra, Camps-Valls and Malo, 2011), from which training by the
    likelihood goes on. Columns that are each a map of jointly normal ones need but two layers.

    Args:
        event: a real event without cells.
        transforms: number of layers of marginal maps.
        components: logistic distributions a column and layer.
        reflections: Householder reflections of each rotation; None: as many as columns, at most 64.
        hidden: widths of the hidden layers of each layer's network of the context.
        context: number of context features.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 6,
        components: int = 8,
        reflections: int | None = None,
        hidden: Sequence[int] = (64,),
        context: int = 0,
    ) -> None:
        dims = event.dims
        reflections = min(dims, 64) if reflections is None else reflections
        layers: list[Transform] = [Gaussianization(dims, components, context, hidden)]
        for _ in range(transforms - 1):
            if dims > 1:  # one column has no rotation
                layers.append(Householder(dims, reflections, principal=True))
            layers.append(Gaussianization(dims, components, context, hidden))
        super().__init__(event, Compose(layers), context)
