r"""What models of pictures share whose pixels come in raster order, the channels of a pixel in turn.

.. math:: p(x) = \prod_{i,j} \prod_c p(x_{c,i,j} \mid x_{\cdot, <(i,j)}, x_{<c,i,j})

Rows come from above, pixels from the left.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hexad.autoregressive.base import Autoregressive, Walk
from hexad.autoregressive.heads import Head
from hexad.checks import InputError
from hexad.event import Event
from hexad.nn import PixelNet, RowLSTMNet

__all__ = ["RasterModel", "check_pictures", "raster"]


class RasterModel(Autoregressive):
    """A model of the form above whose network tells the channels of a pixel apart.

    Every column has an output bias of its own, which starts at its marginal.

    Args:
        event: pictures, (C, H, W).
        head: the law of one column.
        net: gives a column's outputs from the columns before it.
        context: number of context features.
    """

    columns: Tensor

    def __init__(self, event: Event, head: Head, net: PixelNet | RowLSTMNet, context: int) -> None:
        super().__init__(event, head, context)
        self.net = net
        self.bias = nn.Parameter(torch.zeros(event.dims, head.outputs))
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
        return self.net.incremental(self.bias.detach().unflatten(0, self.event.shape), n, context)


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
