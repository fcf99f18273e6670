"""The Row LSTM, a PixelRNN: a recurrent network that runs down the rows (van den Oord, Kalchbrenner and Kavukcuoglu,
2016).
"""

from __future__ import annotations

from hexad.autoregressive.made import head_for
from hexad.autoregressive.raster import RasterModel, check_pictures
from hexad.event import Event
from hexad.nn import RowLSTMNet

__all__ = ["RowLSTM"]


class RowLSTM(RasterModel):
    r"""A Row LSTM of binary or ordinal pictures.

    .. math:: p(x) = \prod_{i,j} \prod_c p(x_{c,i,j} \mid x_{\cdot, <(i,j)}, x_{<c,i,j})

    Rows come from above, pixels from the left, the channels of a pixel in turn: red, green, blue. Above, a pixel sees
    all rows, in a triangle whose sides the network's kernels give; what lies beside that triangle, a blind spot to the
    upper right, is not seen. Laws and output biases are those of :class:`~hexad.autoregressive.pixelcnn.PixelCNN`.

    Args:
        event: binary or ordinal pictures, (C, H, W).
        hidden: features a channel.
        layers: number of recurrent layers.
        kernel: side of the layers' kernel, odd.
        first: side of the window of the first convolution, odd.
        components: of each mixture; 0, for ordinal columns: a softmax over the levels.
        dropout: part of what a layer adds that is left out in training.
        context: number of context features, added to the first features.

    Raises:
        InputError: the event is no picture, its columns are neither all binary nor all ordinal, a side is even, or the
            dropout is out of [0, 1).
    """

    def __init__(
        self,
        event: Event,
        hidden: int = 32,
        layers: int = 2,
        kernel: int = 3,
        first: int = 7,
        components: int = 5,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        check_pictures(event, "RowLSTM", kernel, first, dropout)
        head = head_for(event, components, "logistic")
        sizes = head.outputs, hidden, layers, kernel, first
        super().__init__(event, head, RowLSTMNet(event.shape[0], *sizes, dropout=dropout, context=context), context)
