r"""The Row LSTM, a recurrent network of pictures whose time is the row (van den Oord, Kalchbrenner and Kavukcuoglu,
2016).

With :math:`x_i` the row i of what comes in, :math:`*` a convolution along the row, that of x causal:

.. math:: (o, f, j, g) = K * h_{i-1} + M * x_i, \quad c_i = \sigma(f) c_{i-1} + \sigma(j) \tanh g, \quad
    h_i = \sigma(o) \tanh c_i, \quad y_i = x_i + R\, h_i

A pixel sees its own row to the left, and above a triangle that widens by half a kernel on either side a row, with what
the first convolution adds. Features stand in one group a channel of the picture, as in :mod:`hexad.nn.pixel`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.nn.raster import PixelConv2d, RasterPass, group_weights

__all__ = ["IncrementalRowPass", "RowLSTMLayer", "RowLSTMNet"]


class RowLSTMLayer(nn.Module):
    """One layer; see above. The forget gate's bias starts at 1.

    Args:
        width: features that come in and go out.
        reach: half of the kernel: pixels seen to the left in the row, and to either side in the row above.
        groups: channels of the picture.
        dropout: part of h that is left out of y in training.
    """

    def __init__(self, width: int, reach: int, groups: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.width, self.reach = width, reach
        self.enter = PixelConv2d(width, 4 * width, reach, groups, halves=4)
        self.above = nn.Conv1d(width, 4 * width, 2 * reach + 1, padding=reach, bias=False)
        self.mix = PixelConv2d(width, width, 0, groups)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            assert self.enter.bias is not None
            self.enter.bias[width : 2 * width] = 1

    def forward(self, x: Tensor) -> Tensor:
        """Return y of x, (batch, width, H, W)."""
        h = c = x.new_zeros(len(x), self.width, x.shape[3])
        rows = []
        for gates in self.enter(x).unbind(2):
            h, c = cell(gates + self.above(h), c)
            rows.append(h)
        return x + self.mix(self.dropout(torch.stack(rows, 2)))


class RowLSTMNet(nn.Module):
    """Outputs of each channel of each pixel that depend on the pixels before it, row by row, on the channels before it
    at its own pixel, and on the context, which is added to the first features. The last layer starts at zero.

    Args:
        channels: of the picture, C.
        outputs: number of outputs a channel.
        width: features a channel.
        layers: number of recurrent layers.
        kernel, first: sides of the layers' kernel, and of the first convolution's window, odd.
        dropout: part of what a layer adds that is left out in training.
        context: width of the context; 0 for none.

    Raises:
        ValueError: a side is not odd, there is no layer, or the dropout is out of [0, 1).
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int = 32,
        layers: int = 2,
        kernel: int = 3,
        first: int = 7,
        *,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        super().__init__()
        if layers < 1 or kernel % 2 == 0 or first % 2 == 0 or min(kernel, first) < 3 or not 0 <= dropout < 1:
            raise ValueError(
                "expected a layer or more, odd sides of at least 3 and a dropout of at least 0 and below 1, got "
                f"layers {layers}, kernel {kernel}, first {first}, dropout {dropout}"
            )
        self.channels, self.outputs, self.width, self.reach = channels, outputs, channels * width, first // 2
        self.above = nn.Conv2d(channels, self.width, (self.reach, first))
        self.along = PixelConv2d(channels, self.width, self.reach, channels, strict=True, bias=False)
        self.context = nn.Linear(context, self.width, bias=False) if context else None
        self.layers = nn.ModuleList(
            RowLSTMLayer(self.width, kernel // 2, channels, dropout=dropout) for _ in range(layers)
        )
        self.inner = PixelConv2d(self.width, self.width, 0, channels)
        self.leave = PixelConv2d(self.width, channels * outputs, 0, channels, bias=False)
        nn.init.zeros_(self.leave.weight)

    def from_above(self, rows: Tensor, context: Tensor | None) -> Tensor:
        """Return what first features have of the rows above, of so many rows more, and of the context."""
        seen = self.above(F.pad(rows, (self.reach, self.reach)))
        return seen if self.context is None or context is None else seen + self.context(context)[:, :, None, None]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (batch, C, outputs, H, W) of x (batch, C, H, W); a context that is left out counts as zeros."""
        h = self.from_above(F.pad(x[:, :, :-1], (0, 0, self.reach, 0)), context) + self.along(x)
        for layer in self.layers:
            h = layer(h)
        return self.leave(torch.relu(self.inner(torch.relu(h)))).unflatten(1, (self.channels, self.outputs))

    def incremental(self, bias: Tensor, n: int, context: Tensor | None = None) -> RasterPass:
        """Return the pass that takes one column after another."""
        return IncrementalRowPass(self, bias, n, context)


class IncrementalRowPass(RasterPass):
    """The network column by column, each unit computed once: of the row above the states are kept, of a row what its
    pixels have computed. No gradients and no dropout.

    Args:
        net: the network; its weights must not change meanwhile.
        bias: what is added to the outputs, (C, H, W, outputs).
        n: number of pictures.
        context: (n, context); left out it counts as zeros.
    """

    @torch.no_grad()
    def __init__(self, net: RowLSTMNet, bias: Tensor, n: int, context: Tensor | None = None) -> None:
        super().__init__(bias, n, 1, net.reach)
        self.net, self.context = net, context
        self.layers: list[RowLSTMLayer] = list(net.layers)  # type: ignore[arg-type]
        new, wide, width = bias.new_zeros, self.size[1], net.width
        self.rows = new(n, net.channels, net.reach, wide)
        # of each layer the states of the row above, over which those of this one are written from the left, and what
        # comes in along the row, behind as many zeros as it reaches; weights from what comes later are 0
        self.states = [new(n, wide, width) for _ in self.layers]
        self.cells = [new(n, wide, width) for _ in self.layers]
        self.lines = [new(n, wide + layer.reach, width) for layer in self.layers]
        self.last, self.inner = new(n, width), new(n, width)
        self.given: list[Tensor] = []
        self.starts, self.ends = self._groups(net.along), (self._groups(net.inner), self._groups(net.leave))
        self.enters = [self._groups(layer.enter) for layer in self.layers]
        self.mixes = [self._groups(layer.mix) for layer in self.layers]
        self._begin()

    def _groups(self, conv: PixelConv2d) -> list[tuple[Tensor, Tensor]]:
        return [group_weights(conv, c, self.net.channels) for c in range(self.net.channels)]

    def reorder(self, rows: Tensor) -> None:
        """Go on with these pictures, (n,), in place of those that were."""
        super().reorder(rows)
        for kept in (self.states, self.cells, self.lines, self.given):
            kept[:] = [state[rows] for state in kept]
        self.rows, self.last, self.inner = self.rows[rows], self.last[rows], self.inner[rows]
        self.context = None if self.context is None else self.context[rows]

    def _end_row(self) -> None:
        row = self.line[:, self.reach :].transpose(1, 2)
        self.rows = torch.cat([self.rows[:, :, 1:], row[:, :, None]], 2)

    def _begin_row(self) -> None:
        """Compute what the first features and each layer's gates have of the rows above, (n, W, features) each."""
        features = self.net.from_above(self.rows, self.context)[:, :, 0]
        gates = [layer.above(h.transpose(1, 2)) for layer, h in zip(self.layers, self.states, strict=True)]
        self.given = [v.transpose(1, 2).contiguous() for v in (features, *gates)]

    def _group_outputs(self) -> Tensor:
        """Compute the group of the channel at the pixel in all layers; return its outputs."""
        j, c, size = self.column, self.known, self.net.width // self.net.channels
        group, first = slice(c * size, (c + 1) * size), self.line[:, self.column : self.column + self.reach + 1]
        x = torch.addmm(self.given[0][:, j, group], first.flatten(1), self.starts[c][0])
        for k, layer in enumerate(self.layers):
            self.lines[k][:, j + layer.reach, group] = x
            seen = self.lines[k][:, j : j + layer.reach + 1].flatten(1)
            above = self.given[k + 1][:, j].unflatten(1, (4, -1))[:, :, group].flatten(1)
            weight, bias = self.enters[k][c]
            gates = torch.addmm(above + bias, seen, weight)
            h, self.cells[k][:, j, group] = cell(gates, self.cells[k][:, j, group])
            self.states[k][:, j, group] = h
            x = x + torch.addmm(self.mixes[k][c][1], self.states[k][:, j], self.mixes[k][c][0])
        self.last[:, group] = x
        inner, leave = self.ends[0][c], self.ends[1][c]
        self.inner[:, group] = torch.addmm(inner[1], torch.relu(self.last), inner[0])
        return torch.addmm(self.bias[c, self.row, j], torch.relu(self.inner), leave[0])


def cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Return h and the new c, of the four blocks of gates, (batch, 4 width, ...), and c, (batch, width, ...)."""
    o, f, j, g = gates.chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(j) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c
