"""PixelCNN++: the channels of a pixel by one mixture together (Salimans, Karpathy, Chen and Kingma, 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.coupled import CoupledMixture, PixelLaw
from hexad.autoregressive.heads import Mixture
from hexad.autoregressive.raster import check_pictures, raster
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import PixelNet, RasterPass

__all__ = ["PixelCNNPP"]


class PixelCNNPP(Autoregressive):
    r"""A PixelCNN whose network sees whole pixels, and whose channels are coupled by the law of a pixel.

    .. math:: p(x) = \prod_{i,j} p(x_{\cdot,i,j} \mid x_{\cdot,<(i,j)})

    The law of a pixel is a :class:`~hexad.autoregressive.coupled.CoupledMixture`. Features need not be kept apart by
    channel, so that all of them serve all channels. The network is that of
    :class:`~hexad.autoregressive.pixelcnn.PixelCNN`, two stacks of gated layers of one resolution; the original has
    residual blocks on three. Every pixel has output biases of its own, which start at the marginals. A context enters
    as a bias in all gates.

    Args:
        event: binary or ordinal pictures, (C, H, W).
        hidden: features of each stack.
        layers: number of gated layers.
        kernel: side of the window of a layer, odd.
        first: side of the window of the first layer, odd.
        components: of the mixture, K.
        dropout: part of what a layer adds that is left out in training.
        context: number of context features.

    Raises:
        InputError: the event is no picture, its columns are neither all binary nor all ordinal, a side is even, there
            is no component, or the dropout is out of [0, 1).
    """

    columns: Tensor

    def __init__(
        self,
        event: Event,
        hidden: int = 64,
        layers: int = 5,
        kernel: int = 3,
        first: int = 7,
        components: int = 5,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        check_pictures(event, "PixelCNNPP", kernel, first, dropout)
        if components < 1:
            raise InputError(f"PixelCNNPP: components must be at least 1, got {components}")
        column = Mixture(event, components)
        super().__init__(event, column, context)
        self.law = CoupledMixture(event, column)
        self.net = PixelNet(
            1, self.law.outputs, hidden, layers, kernel, first, inputs=event.shape[0], dropout=dropout, context=context
        )
        self.bias = nn.Parameter(torch.zeros(self.law.pixels, self.law.outputs))
        self.register_buffer("columns", raster(event), persistent=False)

    @property
    def order(self) -> Tensor:
        """The columns in the order in which they come, (D,): pixel after pixel, its channels in turn."""
        return self.columns

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the output biases to the columns' marginals."""
        with torch.no_grad():
            self.bias.copy_(self.law.prepare(x.flatten(1)))

    def pixels(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return what sets the law of each pixel given those before it, (batch, P, outputs), of x (batch, D)."""
        shown = self.head.embed(x).unflatten(1, self.event.shape)
        return self.net(shown, context)[:, 0].flatten(2).transpose(1, 2) + self.bias

    def conditionals(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the outputs of all columns, (batch, D, 3 K): the indicator's weights are its posterior ones."""
        x = x.flatten(1)
        return self.law.conditionals(self.pixels(x, context=context), x)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the sum of the pixels' log-probabilities, which is that of the columns' conditionals."""
        x = x.flatten(1)
        return self.law.log_prob(self.pixels(x, context=context), x).sum(1)

    def walk(self, n: int, *, context: Tensor | None = None) -> Walk:
        """Return the network's incremental pass, and within a pixel the law of the channels one by one."""
        bias = self.bias.detach().view(1, *self.event.shape[1:], -1)
        return _PixelWalk(self.law, self.net.incremental(bias, n, context))


class _PixelWalk:
    """The network a pixel, the law a channel. There are no gradients."""

    def __init__(self, law: CoupledMixture, network: RasterPass) -> None:
        self.law, self.network, self.known = law, network, 0
        self._begin_pixel()

    def _begin_pixel(self) -> None:
        self.pixel = PixelLaw(self.law, self.network.outputs(), self.known // self.law.channels)

    @torch.no_grad()
    def outputs(self) -> Tensor:
        return self.pixel.outputs()

    @torch.no_grad()
    def push(self, x: Tensor) -> None:
        self.pixel.push(x)
        self.network.push(x)
        self.known += 1
        if self.known % self.law.channels == 0 and self.known < self.law.channels * self.law.pixels:
            self._begin_pixel()

    def reorder(self, rows: Tensor) -> None:
        self.pixel.reorder(rows)
        self.network.reorder(rows)
