"""What networks of pixels in raster order share: the masked convolution along a row, and the pass column by column."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["PixelConv2d", "RasterPass", "group_weights"]


class PixelConv2d(nn.Conv2d):
    """A convolution along the row, of a pixel and those to its left, whose channels stand in groups.

    Args:
        inputs, outputs: channels, multiples of ``groups``; outputs as ``halves`` blocks, each in groups.
        reach: number of pixels to the left that are seen.
        groups: number of groups, in the order in which they come.
        strict: whether a group sees at its own pixel the groups before it alone, not itself.
        halves: number of blocks of the outputs.
        bias: whether there is a bias.
    """

    factor: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        reach: int,
        groups: int,
        *,
        strict: bool = False,
        halves: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(inputs, outputs, (1, reach + 1), bias=bias)
        self.reach, self.halves = reach, halves
        source = torch.arange(groups).repeat_interleave(inputs // groups)
        target = torch.arange(groups).repeat_interleave(outputs // groups // halves).repeat(halves)
        factor = torch.ones_like(self.weight)
        factor[:, :, 0, -1] = (target[:, None] > source if strict else target[:, None] >= source).to(factor)
        self.register_buffer("factor", factor, persistent=False)

    def masked_weight(self) -> Tensor:
        """Return weight times mask, (outputs, inputs, 1, reach + 1)."""
        return self.weight * self.factor

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, outputs, H, W) of x (batch, inputs, H, W); beyond the picture all is 0."""
        return F.conv2d(F.pad(x, (self.reach, 0)), self.masked_weight(), self.bias)


def group_weights(conv: PixelConv2d, c: int, groups: int) -> tuple[Tensor, Tensor]:
    """Return a convolution's weights ((reach + 1) * inputs, outputs) and biases of group c, of all blocks."""
    pick = torch.arange(conv.out_channels, device=conv.weight.device).view(conv.halves, groups, -1)[:, c].flatten()
    weight = conv.masked_weight()[pick, :, 0].transpose(1, 2).flatten(1).T.contiguous()
    return weight, weight.new_zeros(len(pick)) if conv.bias is None else conv.bias[pick]


class RasterPass(ABC):
    """A network on n pictures whose columns become known one after another, pixel after pixel, channel after channel.

    For each column in turn: take its :meth:`outputs`, choose its value, :meth:`push` it; of a channel of several inputs
    these are pushed one by one, and the outputs are the channel's own until the last is.

    Args:
        bias: what is added to the outputs, (C, H, W, outputs).
        n: number of pictures.
        inputs: numbers that a channel is shown as at a pixel.
        reach: pixels to the left in its row that the first layer sees.
    """

    def __init__(self, bias: Tensor, n: int, inputs: int, reach: int) -> None:
        self.bias, self.inputs, self.reach = bias, inputs, reach
        self.size = bias.shape[1:3]
        self.row = self.column = self.known = 0
        self.line = bias.new_zeros(n, self.size[1] + reach, len(bias) * inputs)  # the row, behind as many zeros
        self.current = bias.new_zeros(n, 0)

    @abstractmethod
    def _begin_row(self) -> None:
        """Compute what the row is given of those above."""

    @abstractmethod
    def _end_row(self) -> None:
        """Keep what the rows below are to see of this one."""

    @abstractmethod
    def _group_outputs(self) -> Tensor:
        """Compute the units of the next channel; return its outputs."""

    def _begin(self) -> None:
        """Compute the first channel's outputs."""
        self._begin_row()
        self.current = self._group_outputs()

    def outputs(self) -> Tensor:
        """Return the outputs of the next column's channel, (n, outputs)."""
        return self.current

    @torch.no_grad()
    def push(self, x: Tensor) -> None:
        """Set the next column, (n, 1)."""
        self.line[:, self.column + self.reach, self.known] = x[:, 0]
        self.known += 1
        if self.known == self.line.shape[2]:
            self.known, self.column = 0, self.column + 1
        if self.column == self.size[1]:
            self.column, self.row = 0, self.row + 1
            if self.row < self.size[0]:
                self._end_row()
                self._begin_row()
        if self.row < self.size[0] and self.known % self.inputs == 0:
            self.current = self._group_outputs()

    def reorder(self, rows: Tensor) -> None:
        """Go on with these pictures, (n,), in place of those that were."""
        self.line, self.current = self.line[rows], self.current[rows]
