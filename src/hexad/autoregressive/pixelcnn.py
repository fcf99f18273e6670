"""The gated PixelCNN: pixels in raster order, by causal convolutions (van den Oord, Kalchbrenner and others, 2016)."""

from __future__ import annotations

from hexad.autoregressive.made import head_for
from hexad.autoregressive.raster import RasterModel, check_pictures
from hexad.event import Event
from hexad.nn import PixelNet

__all__ = ["PixelCNN"]


class PixelCNN(RasterModel):
    r"""A gated PixelCNN without a blind spot, of binary or ordinal pictures.

    .. math:: p(x) = \prod_{i,j} \prod_c p(x_{c,i,j} \mid x_{\cdot, <(i,j)}, x_{<c,i,j})

    Rows come from above, pixels from the left, the channels of a pixel in turn: red, green, blue. A pixel sees those
    before it within the network's reach. A bit is a Bernoulli variable; a level has the mass of its cell under a
    mixture of logistic laws, or a softmax. Every column has an output bias of its own, which starts at its marginal. A
    context enters as a bias in all gates.

    Args:
        event: binary or ordinal pictures, (C, H, W).
        hidden: features of each stack a channel.
        layers: number of gated layers.
        kernel: side of the window of a layer, odd.
        first: side of the window of the first layer, odd.
        components: of each mixture; 0, for ordinal columns: a softmax over the levels.
        dropout: part of what a layer adds that is left out in training.
        context: number of context features.

    Raises:
        InputError: the event is no picture, its columns are neither all binary nor all ordinal, a side is even, or the
            dropout is out of [0, 1).
    """

    def __init__(
        self,
        event: Event,
        hidden: int = 32,
        layers: int = 5,
        kernel: int = 3,
        first: int = 7,
        components: int = 5,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        check_pictures(event, "PixelCNN", kernel, first, dropout)
        head = head_for(event, components, "logistic")
        sizes = head.outputs, hidden, layers, kernel, first
        super().__init__(event, head, PixelNet(event.shape[0], *sizes, dropout=dropout, context=context), context)
