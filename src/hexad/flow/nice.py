"""NICE: additive couplings (NICE: Non-linear Independent Components Estimation; Dinh, Krueger and Bengio, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.flow.couplings import coupling_networks
from hexad.transforms import ActNorm, AdditiveMap, Compose, Coupling, Transform, coupling_masks

__all__ = ["NICE"]


class NICE(Flow):
    """Additive couplings, which preserve volume, and a scale a column behind them.

    The only log-determinant is that of the final scales, the same for every record. They are an
    :class:`~hexad.transforms.ActNorm`, which the data set before training. The masks are those of
    :class:`~hexad.flow.RealNVP`.

    Args:
        event: a real event without cells, of at least 2 columns.
        transforms: number of couplings.
        hidden: widths of the hidden layers of each coupling's network.
        context: number of context features.
    """

    def __init__(self, event: Event, transforms: int = 4, hidden: Sequence[int] = (128, 128), context: int = 0) -> None:
        network = coupling_networks(event, hidden, context)
        masks = coupling_masks(event.dims, transforms)
        layers: list[Transform] = [Coupling(mask, network, AdditiveMap()) for mask in masks]
        super().__init__(event, Compose([*layers, ActNorm(event.dims)]), context)
