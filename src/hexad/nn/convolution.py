"""Small convolutional networks that keep a picture's height and width."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ConvNet"]


class ConvNet(nn.Module):
    r"""A 3 x 3 convolution, blocks of residual ones, a 1 x 1 convolution that starts at zero: (batch, C, H, W) in.

    A block is :math:`h + W_2\, \mathrm{relu}(W_1\, \mathrm{relu}(h))` with :math:`W_1` of 3 x 3, :math:`W_2` of
    1 x 1.

    Args:
        channels: of the input.
        outputs: channels of the output.
        width: channels inside.
        blocks: number of residual blocks.
        context: width of a context (batch, context), which is added everywhere after the first layer; 0 for none.
    """

    def __init__(self, channels: int, outputs: int, width: int = 64, blocks: int = 1, *, context: int = 0) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.inner = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))
        self.outer = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(blocks))
        self.leave = nn.Conv2d(width, outputs, 1)
        self.context = nn.Linear(context, width) if context else None
        nn.init.zeros_(self.leave.weight)
        assert self.leave.bias is not None
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return (batch, outputs, H, W); a context that is left out counts as zeros."""
        h = self.enter(x)
        if self.context is not None:
            given = x.new_zeros(len(x), self.context.in_features) if context is None else context
            h = h + self.context(given)[:, :, None, None]
        for inner, outer in zip(self.inner, self.outer, strict=True):
            h = h + outer(torch.relu(inner(torch.relu(h))))
        return self.leave(torch.relu(h))
