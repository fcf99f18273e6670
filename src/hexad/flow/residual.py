"""Residual flow (Invertible Residual Networks; Behrmann et al., 2019. Residual Flows for Invertible Generative
Modeling; Chen et al., 2019), whose stated likelihood is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.model import Density
from hexad.transforms import ActNorm, Compose, Residual, Transform

__all__ = ["ResidualFlow"]


class ResidualFlow(Flow):
    """Activation normalisation and a residual map, ``transforms`` times, and a last normalisation.

    Training takes an unbiased estimate of the log-determinants where there are more columns than ``exact``; the
    likelihood takes exact ones at any number of columns, at a cost that grows with its cube.

    Args:
        event: a real event without cells.
        transforms: number of residual maps.
        hidden: widths of the hidden layers of each map's network.
        contraction: Lipschitz bound of each network, between 0 and 1.
        exact: most columns of which training takes exact log-determinants.
        context: number of context features.
        base: the density of the noise; None: standard normal.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 8,
        hidden: Sequence[int] = (64, 64),
        contraction: float = 0.9,
        exact: int = 32,
        context: int = 0,
        base: Density | None = None,
    ) -> None:
        layers: list[Transform] = []
        for _ in range(transforms):
            residual = Residual(event.dims, hidden, context, contraction=contraction, exact=exact)
            layers += [ActNorm(event.dims), residual]
        super().__init__(event, Compose([*layers, ActNorm(event.dims)]), context, base)
