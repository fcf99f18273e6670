"""Sylvester flow (Sylvester Normalizing Flows for Variational Inference; van den Berg, Hasenclever, Tomczak and
Welling, 2018), the orthogonal maps as products of Householder reflections.
"""

from __future__ import annotations

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.model import Density
from hexad.transforms import ActNorm, Compose, Sylvester, Transform

__all__ = ["SylvesterFlow"]


class SylvesterFlow(Flow):
    """Activation normalisation and a Sylvester map, ``transforms`` times.

    Args:
        event: a real event without cells.
        transforms: number of Sylvester maps.
        directions: M, orthogonal directions that each map bends; None: all columns, at most 16.
        context: number of context features, which move the parameters of every map linearly.
        base: the density of the noise; None: standard normal.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 8,
        directions: int | None = None,
        context: int = 0,
        base: Density | None = None,
    ) -> None:
        directions = min(event.dims, 16) if directions is None else directions
        layers: list[Transform] = []
        for _ in range(transforms):
            layers += [ActNorm(event.dims), Sylvester(event.dims, directions, context)]
        super().__init__(event, Compose(layers), context, base)
