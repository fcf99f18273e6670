r"""A causal Transformer: each place of a sequence sees itself and the places before it.

Blocks are pre-norm, with :math:`\mathrm{norm}(u) = u / \mathrm{rms}(u)` (Zhang and Sennrich, 2019; a gain would be
another factor of the matrix behind it),

.. math:: h \leftarrow h + \mathrm{attention}(\mathrm{norm}(h)), \qquad h \leftarrow h + \mathrm{mlp}(\mathrm{norm}(h)),

as in Vaswani et al. (2017) and Radford et al. (2019). Places enter by turning queries and keys (Su et al., 2021): seen
as complex numbers, component k of that of place t is multiplied by :math:`e^{i t \omega_k}`, so that a score depends
on the distance of two places alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["Block", "Transformer", "norm", "rotary_table", "rotate"]

EPS = 1e-6  # of the norms


def rotary_table(length: int, size: int, base: float = 10_000.0) -> Tensor:
    r"""Return :math:`\cos t \omega_k` and :math:`\sin t \omega_k`, float64 (2, length, size / 2).

    :math:`\omega_k = \mathrm{base}^{-2k/\mathrm{size}}`.
    """
    speeds = base ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = torch.arange(length, dtype=torch.float64)[:, None] * speeds
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Return x (..., size) times numbers (..., size / 2): components 2k and 2k + 1 of x are one complex number."""
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)


class _Norm(torch.autograd.Function):
    """With z = x r and r = 1 / rms(x), the gradient of z is taken back to r (g - z mean(g z)): three passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        r = length.square_().div_(x.shape[-1]).add_(EPS).rsqrt_()
        z = x * r
        ctx.save_for_backward(z, r)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        z, r = ctx.saved_tensors
        mean = torch.linalg.vecdot(gradient, z)[..., None].div_(-z.shape[-1])
        return torch.addcmul(gradient, z, mean).mul_(r)


def norm(x: Tensor) -> Tensor:
    """Return x (..., width) divided by its root mean square."""
    return _Norm.apply(x) if torch.is_grad_enabled() else F.rms_norm(x, x.shape[-1:], eps=EPS)


class Attention(nn.Module):
    """Causal attention of several heads, with turned queries and keys.

    Args:
        width: of what goes in and comes out.
        heads: number of heads, of width / heads each.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.enter = nn.Linear(width, 3 * width, bias=False)
        self.leave = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """Return what each place gathers, (batch, T, width), of x (batch, T, width) and turns (T, size / 2)."""
        turning, value = self.enter(x).split((2 * x.shape[2], x.shape[2]), 2)
        turned = rotate(turning.unflatten(2, (2 * self.heads, -1)), turn[:, None])
        query, key = turned.transpose(1, 2).chunk(2, 1)  # each (batch, heads, T, size)
        value = value.unflatten(2, (self.heads, -1)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.leave(seen.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two layers, four times as wide within: GELU, or SwiGLU (Shazeer, 2020) of as many parameters."""

    def __init__(self, width: int, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        hidden = -(-8 * width // 3) if gated else 4 * width
        self.enter = nn.Linear(width, 2 * hidden if gated else hidden, bias=False)
        self.leave = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., width) of x (..., width)."""
        return self.leave(self.activate(self.enter(x)))

    def activate(self, h: Tensor) -> Tensor:
        """Return what the second layer is given of what the first one gives."""
        if not self.gated:
            return F.gelu(h)
        value, gate = h.chunk(2, -1)
        return value * F.silu(gate)


class Block(nn.Module):
    """Attention, then the layers of each place by itself, each added to what came in."""

    def __init__(self, width: int, heads: int, dropout: float, gated: bool) -> None:
        super().__init__()
        self.attention, self.mlp = Attention(width, heads), FeedForward(width, gated)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, turn: Tensor) -> Tensor:
        """Return (batch, T, width) of x (batch, T, width) and turns (T, size / 2)."""
        x = x + self.dropout(self.attention(norm(x), turn))
        return x + self.dropout(self.mlp(norm(x)))


class Transformer(nn.Module):
    r"""See above. Residual projections start scaled by :math:`(2\,\mathrm{layers})^{-1/2}`, so that the sum does not
    grow with depth.

    Args:
        length: the most places.
        width: of a place.
        layers: number of blocks.
        heads: number of heads; the width is a multiple of twice as many.
        dropout: part of what a block adds, and of what comes in, that is left out in training.
        gated: whether the layers of a place are SwiGLU, not GELU.

    Raises:
        ValueError: the width is no multiple of 2 heads, or the dropout out of [0, 1).
    """

    table: Tensor

    def __init__(
        self, length: int, width: int, layers: int, heads: int, *, dropout: float = 0.0, gated: bool = False
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width {width}: expected a multiple of twice the heads, {2 * heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout}: expected a number of at least 0 and below 1")
        self.length, self.width, self.heads = length, width, heads
        self.dropout = nn.Dropout(dropout)
        blocks = [Block(width, heads, dropout, gated) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("table", rotary_table(length, width // heads), persistent=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                # half of what would keep the size of what comes in: on little data all of it and a quarter end higher
                nn.init.normal_(module.weight, std=0.5 * module.in_features**-0.5)
        with torch.no_grad():
            for block in blocks:
                for leave in (block.attention.leave, block.mlp.leave):
                    leave.weight.mul_((2 * layers) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, T, width) of x (batch, T, width), T at most ``length``."""
        x, turn = self.dropout(x), torch.complex(*self.table[:, : x.shape[1]].to(x.dtype))
        for block in self.blocks:
            x = block(x, turn)
        return norm(x)
