"""Planar flow (Variational Inference with Normalizing Flows; Rezende and Mohamed, 2015)."""

from __future__ import annotations

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.model import Density
from hexad.transforms import ActNorm, Compose, Planar, Transform

__all__ = ["PlanarFlow"]


class PlanarFlow(Flow):
    """Activation normalisation and a planar map, ``transforms`` times.

    Each map bends space along one direction only: it takes many of them, and they suit few columns. They are read from
    x to z, so that the density takes no equation to solve.

    Args:
        event: a real event without cells.
        transforms: number of planar maps.
        context: number of context features, which move the parameters of every map linearly.
        base: the density of the noise; None: standard normal.
    """

    def __init__(self, event: Event, transforms: int = 16, context: int = 0, base: Density | None = None) -> None:
        layers: list[Transform] = []
        for _ in range(transforms):
            layers += [ActNorm(event.dims), Planar(event.dims, context)]
        super().__init__(event, Compose(layers), context, base)
