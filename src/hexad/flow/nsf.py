"""Neural spline flow, coupling form (Neural Spline Flows; Durkan, Bekasov, Murray, Papamakarios, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from hexad.event import Event
from hexad.flow.base import Flow
from hexad.flow.couplings import coupling_networks
from hexad.model import Density
from hexad.transforms import ActNorm, Compose, LULinear, SplineCoupling, Transform, coupling_masks

__all__ = ["NSF"]


class NSF(Flow):
    """Activation normalisation, a linear map and a spline coupling, ``transforms`` times.

    The masks are those of :class:`~hexad.flow.RealNVP`: complementary pairs, even columns first, then random halves,
    which permute the columns where no linear map mixes them.

    Args:
        event: a real event without cells, of at least 2 columns.
        transforms: number of couplings.
        hidden: widths of the hidden layers of each coupling's network.
        bins: bins of each spline.
        bound: the splines move what lies in [-bound, bound], in units of standard deviations.
        linear: whether a learned linear map, as LU factors, goes before each coupling; it has D^2 parameters.
        context: number of context features.
        base: the density of the noise; None: standard normal.
        dropout: part of each hidden layer that is left out in training: few records are else learned by heart.
    """

    def __init__(
        self,
        event: Event,
        transforms: int = 6,
        hidden: Sequence[int] = (128, 128),
        bins: int = 8,
        bound: float = 3.0,
        linear: bool = True,
        context: int = 0,
        base: Density | None = None,
        dropout: float = 0.0,
    ) -> None:
        network = coupling_networks(event, hidden, context, dropout)
        layers: list[Transform] = []
        for mask in coupling_masks(event.dims, transforms):
            layers.append(ActNorm(event.dims))
            if linear:
                layers.append(LULinear(event.dims))
            layers.append(SplineCoupling(mask, network, bins, bound))
        super().__init__(event, Compose(layers), context, base)
