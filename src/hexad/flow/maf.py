"""Masked autoregressive flow (Masked Autoregressive Flow for Density Estimation; Papamakarios, Pavlakou and Murray,
2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.model import Density
from hexad.transforms import ActNorm, AffineMap, Autoregressive, Compose, Elementwise, Transform

__all__ = ["MAF"]


class MAF(Flow):
    """Activation normalisation and masked autoregressive map, ``transforms`` times, the columns forth and back in turn.

    With :class:`~hexad.transforms.Spline` as the elementwise map it is the autoregressive neural spline flow (Durkan et
    al., 2019), with :class:`~hexad.transforms.Sigmoidal` the neural autoregressive flow (Huang et al., 2018).

    Args:
        event: a real event without cells.
        transforms: number of autoregressive maps.
        hidden: widths of the hidden layers of each one's network.
        elementwise: the map of a column; None: affine.
        context: number of context features.
        base: the density of the noise; None: standard normal.
        dropout: part of each hidden layer that is left out in training: few records are else learned by heart.
        inverse: of each map, ``incremental`` or ``jacobi``; see :class:`~hexad.transforms.Autoregressive`.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 5,
        hidden: Sequence[int] = (128, 128),
        elementwise: Elementwise | None = None,
        context: int = 0,
        base: Density | None = None,
        dropout: float = 0.0,
        inverse: Literal["incremental", "jacobi"] = "incremental",
    ) -> None:
        elementwise = AffineMap() if elementwise is None else elementwise
        layers: list[Transform] = []
        for k in range(transforms):
            order = list(range(event.dims))[:: -1 if k % 2 else 1]
            move = Autoregressive(
                event.dims, elementwise, hidden, order=order, context=context, dropout=dropout, inverse=inverse
            )
            layers += [ActNorm(event.dims), move]
        super().__init__(event, Compose(layers), context, base)
