"""The gated PixelCNN: pixels in raster order, by causal convolutions (van den Oord, Kalchbrenner and others, 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.made import head_for
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import IncrementalPixelPass, PixelNet

__all__ = ["PixelCNN", "check_pictures", "raster"]


class PixelCNN(Autoregressive):
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

    columns: Tensor

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
        super().__init__(event, head_for(event, components, "logistic"), context)
        sizes = self.head.outputs, hidden, layers, kernel, first
        self.net = PixelNet(event.shape[0], *sizes, dropout=dropout, context=context)
        self.bias = nn.Parameter(torch.zeros(event.dims, self.head.outputs))
        self.register_buffer("columns", raster(event), persistent=False)

    @property
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,): pixel after pixel, its channels in turn."""
        return self.columns

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the columns' marginals."""
        with torch.no_grad():
            self.bias.copy_(self.head.prepare(x.flatten(1)))

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the outputs of all columns, (batch, D, outputs), of x (batch, D) or (batch, C, H, W): one pass."""
        shown = self.head.embed(x.flatten(1)).unflatten(1, self.event.shape)
        return self.net(shown, context).movedim(2, -1).flatten(1, 3) + self.bias

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the network's incremental pass."""
        return IncrementalPixelPass(self.net, self.bias.detach().unflatten(0, self.event.shape), n, context)


def check_pictures(event: Event, name: str, kernel: int, first: int, dropout: float) -> None:
    """Check what the models of pixels in raster order take.

    Raises:
        InputError: the event is no picture of bits or levels, a side is even or too small, or the dropout no share.
    """
    if len(event.shape) != 3 or event.kind not in ("binary", "ordinal"):
        raise InputError(f"{name} takes binary or ordinal pictures of shape (C, H, W), got {event}")
    if kernel % 2 == 0 or first % 2 == 0 or min(kernel, first) < 3:
        raise InputError(f"kernel {kernel}, first {first}: expected odd sides of at least 3")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout {dropout}: expected a number of at least 0 and below 1")


def raster(event: Event) -> Tensor:
    """Return the columns of a picture pixel after pixel, its channels in turn, (D,)."""
    return torch.arange(event.dims).view(event.shape[0], -1).T.flatten()
