r"""Gated causal convolutions of pictures, in two stacks without a blind spot (van den Oord, Kalchbrenner, Vinyals,
Espeholt, Graves, Kavukcuoglu, 2016).

The vertical stack v at a row has seen all of the rows above within its reach, the horizontal stack h what stands to the
left in its own row as well. A layer, with :math:`g(a, b) = \tanh a \odot \sigma(b)` and c a context:

.. math:: u = V * v + A c, \quad v' = g(u), \qquad h' = h + R\, g(H * h + U u + B c)

Features of h stand in one group a channel of the picture, and a mask at the pixel itself lets group k see the groups up
to k, in the first layer the channels before k: the channels of a pixel come one after another. The first layer's V sees
the rows strictly above, and has no h added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hexad.nn.raster import PixelConv2d, RasterPass, group_weights

__all__ = ["GatedPixelLayer", "IncrementalPixelPass", "PixelNet"]


class GatedPixelLayer(nn.Module):
    """One layer of both stacks; see above.

    Args:
        inputs: channels that come in.
        width: channels of each stack that go out.
        reach: pixels seen to the left, to the right and up.
        groups: channels of the picture.
        first: whether it sees the picture itself: strictly causal, without a residual.
        dropout: part of the horizontal stack's gated features that is left out in training.
        context: width of the context; 0 for none.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        reach: int,
        groups: int,
        *,
        first: bool = False,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        super().__init__()
        self.reach, self.first = reach, first
        self.vertical = nn.Conv2d(inputs, 2 * width, (reach + 1, 2 * reach + 1))
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = PixelConv2d(inputs, 2 * width, reach, groups, strict=first, halves=2, bias=False)
        self.mix = PixelConv2d(width, width, 0, groups)
        self.dropout = nn.Dropout(dropout)
        self.context = nn.Linear(context, 4 * width, bias=False) if context else None

    def above(self, v: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return v' and what h is given of it, of v with the rows that its first row needs, as wide as the picture."""
        u = self.vertical(F.pad(v, (self.reach, self.reach)))
        if self.context is None or context is None:
            return gate(u), self.across(u)
        for_v, for_h = self.context(context)[:, :, None, None].chunk(2, 1)
        return gate(u + for_v), self.across(u + for_v) + for_h

    def forward(self, v: Tensor, h: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return v' and h', (batch, width, H, W); the first layer is given the picture as both v and h."""
        # one row further up: the last row of what comes in is then seen by none
        rows = F.pad(v[:, :, :-1], (0, 0, self.reach + 1, 0)) if self.first else F.pad(v, (0, 0, self.reach, 0))
        v, given = self.above(rows, context)
        mixed = self.mix(self.dropout(gate(self.horizontal(h) + given)))
        return v, mixed if self.first else h + mixed


class PixelNet(nn.Module):
    """Outputs of each channel of each pixel that depend on the pixels before it, row by row, on the channels before it
    at its own pixel, and on the context. The last layer starts at zero.

    The outputs see the row itself ``reach`` pixels to the left, and rows above, as many as ``reach + 1``, ``reach``
    pixels to either side.

    Args:
        channels: of the picture, C.
        outputs: number of outputs a channel.
        width: features of each stack a channel.
        layers: number of layers.
        kernel, first: sides of the inner layers' and the first layer's window, odd.
        inputs: numbers that a channel is shown as at a pixel. A picture whose channels are not to be told apart is one
            channel of so many inputs: then all of a pixel is seen by the pixels behind it, and by none of its outputs.
        dropout: part of what a layer adds to the horizontal stack that is left out in training.
        context: width of the context; 0 for none.

    Raises:
        ValueError: a side is not odd, there is no layer, or the dropout is out of [0, 1).
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int = 32,
        layers: int = 5,
        kernel: int = 3,
        first: int = 7,
        *,
        inputs: int = 1,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout}: expected a number of at least 0 and below 1")
        if layers < 1 or kernel % 2 == 0 or first % 2 == 0 or min(kernel, first) < 3:
            raise ValueError(
                f"expected a layer or more and odd sides of at least 3, got layers {layers}, kernel {kernel}, "
                f"first {first}"
            )
        self.channels, self.inputs, self.outputs, self.width = channels, inputs, outputs, channels * width
        self.reach = first // 2 + (layers - 1) * (kernel // 2)
        self.layers = nn.ModuleList(
            GatedPixelLayer(
                self.width if k else channels * inputs,
                self.width,
                kernel // 2 if k else first // 2,
                channels,
                first=k == 0,
                dropout=dropout,
                context=context,
            )
            for k in range(layers)
        )
        self.inner = PixelConv2d(self.width, self.width, 0, channels)
        self.leave = PixelConv2d(self.width, channels * outputs, 0, channels, bias=False)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (batch, C, outputs, H, W) of x (batch, C * inputs, H, W); a context left out counts as zeros."""
        v = h = x
        for layer in self.layers:
            v, h = layer(v, h, context)
        return self.leave(torch.relu(self.inner(torch.relu(h)))).unflatten(1, (self.channels, self.outputs))

    def incremental(self, bias: Tensor, n: int, context: Tensor | None = None) -> RasterPass:
        """Return the pass that takes one column after another."""
        return IncrementalPixelPass(self, bias, n, context)


class IncrementalPixelPass(RasterPass):
    """The network on n pictures whose columns become known one after another, each unit computed once.

    The vertical stack of a row is computed when the row above is complete, and the horizontal one a group of a pixel at
    a time, with all that it computed before in the row kept: a picture takes the arithmetic of a full pass. No
    gradients and no dropout.

    Args:
        net: the network; its weights must not change meanwhile.
        bias: what is added to the outputs, (C, H, W, outputs).
        n: number of pictures.
        context: (n, context); left out it counts as zeros.
    """

    @torch.no_grad()
    def __init__(self, net: PixelNet, bias: Tensor, n: int, context: Tensor | None = None) -> None:
        self.layers: list[GatedPixelLayer] = list(net.layers)  # type: ignore[arg-type]
        super().__init__(bias, n, net.inputs, self.layers[0].reach)
        self.net, self.context = net, context
        inputs = [net.channels * net.inputs] + [net.width] * (len(self.layers) - 1)
        reaches = [k.reach for k in self.layers]
        new, wide = bias.new_zeros, self.size[1]
        # of each layer: the rows that the vertical stack is given, the row that the horizontal one is given behind as
        # many zeros as it reaches, and what it has gated at the pixel; what the row before left there is written over
        # before it is seen, since all weights from what comes later are 0
        self.rows = [new(n, k, r + 1, wide) for k, r in zip(inputs, reaches, strict=True)]
        self.along = [self.line, *(new(n, wide + r, k) for k, r in zip(inputs[1:], reaches[1:], strict=True))]
        self.gated = [new(n, net.width) for _ in self.layers]
        self.last, self.inner = new(n, net.width), new(n, net.width)
        self.given: list[Tensor] = []
        self.weights = [
            [group_weights(k.horizontal, c, net.channels) for c in range(net.channels)] for k in self.layers
        ]
        self.mixes = [[group_weights(k.mix, c, net.channels) for c in range(net.channels)] for k in self.layers]
        self.ends = [[group_weights(k, c, net.channels) for c in range(net.channels)] for k in (net.inner, net.leave)]
        self._begin()

    def reorder(self, rows: Tensor) -> None:
        """Go on with these pictures, (n,), in place of those that were."""
        super().reorder(rows)
        for states in (self.rows, self.along, self.gated, self.given):
            states[:] = [state[rows] for state in states]
        self.line = self.along[0]
        self.last, self.inner = self.last[rows], self.inner[rows]
        self.context = None if self.context is None else self.context[rows]

    def _end_row(self) -> None:
        """Show the row to the vertical stack."""
        row = self.line[:, self.reach :].transpose(1, 2)
        self.rows[0] = torch.cat([self.rows[0][:, :, 1:], row[:, :, None]], 2)

    def _begin_row(self) -> None:
        """Compute the vertical stack of the row, and what the horizontal one is given of it, (n, W, 2 width) each."""
        self.given = []
        for k, layer in enumerate(self.layers):
            v, given = layer.above(self.rows[k], self.context)
            self.given.append(given[:, :, 0].transpose(1, 2).contiguous())
            if k + 1 < len(self.layers):
                self.rows[k + 1] = torch.cat([self.rows[k + 1][:, :, 1:], v], 2)

    def _group_outputs(self) -> Tensor:
        """Compute the group of the channel at the pixel in all layers; return its outputs."""
        j, c, size = self.column, self.known // self.net.inputs, self.net.width // self.net.channels
        group, h = slice(c * size, (c + 1) * size), self.last[:, :0]
        for k, layer in enumerate(self.layers):
            seen = self.along[k][:, j : j + layer.reach + 1].flatten(1)
            given = self.given[k][:, j].unflatten(1, (2, -1))[:, :, group].flatten(1)
            self.gated[k][:, group] = gate(torch.addmm(given, seen, self.weights[k][c][0]))
            mixed = torch.addmm(self.mixes[k][c][1], self.gated[k], self.mixes[k][c][0])
            h = h + mixed if k else mixed
            after = self.along[k + 1][:, j + self.layers[k + 1].reach] if k + 1 < len(self.layers) else self.last
            after[:, group] = h
        inner, leave = self.ends[0][c], self.ends[1][c]
        self.inner[:, group] = torch.addmm(inner[1], torch.relu(self.last), inner[0])
        return torch.addmm(self.bias[c, self.row, j], torch.relu(self.inner), leave[0])


def gate(x: Tensor) -> Tensor:
    """Return tanh of the first half of the channels times the sigmoid of the second."""
    a, b = x.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)
