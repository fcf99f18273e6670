"""Inverse autoregressive flow (Improved Variational Inference with Inverse Autoregressive Flow; Kingma et al.,
2016).
"""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.transforms import ActNorm, AffineMap, Autoregressive, Compose, Inverse, Transform

__all__ = ["IAF"]


class IAF(Flow):
    """Activation normalisation and the inverse of a masked autoregressive map, ``transforms`` times, the columns forth
    and back in turn: :class:`~hexad.flow.MAF` the other way round.

    A sample takes one pass of each network; a density takes one in all without gradients, and as many as there are
    columns with them. So it is trained slowly, and it is the one to take where columns are few and samples are what
    counts, or where only densities of its own samples are asked for, as of the posterior in a VAE.

    Args:
        event: a real event without cells.
        transforms: number of autoregressive maps.
        hidden: widths of the hidden layers of each one's network.
        context: number of context features.
    """

    def __init__(self, event: Event, transforms: int = 4, hidden: Sequence[int] = (128, 128), context: int = 0) -> None:
        layers: list[Transform] = []
        for k in range(transforms):
            order = list(range(event.dims))[:: -1 if k % 2 else 1]
            autoregressive = Autoregressive(event.dims, AffineMap(), hidden, order=order, context=context)
            layers += [ActNorm(event.dims), Inverse(autoregressive)]
        super().__init__(event, Compose(layers), context)
