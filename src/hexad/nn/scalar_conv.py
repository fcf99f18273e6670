"""A convolutional network from pictures to one number, whose gradient in the picture is as cheap as itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["OnPictures", "ScalarConv"]


class ScalarConv(nn.Module):
    r"""Levels that halve the picture, each read out by itself, from (batch, C, H, W) to (batch,).

    .. math:: h_l = (1 + R_l)\,(D_l h_{l-1}),\qquad
              f(x) = \sum_l v_l \cdot \sum_{ij} \phi(W_l\, \phi(h_l))_{ij} + v \cdot \phi(h_L)

    :math:`D_l` is a 4 x 4 convolution of stride 2, :math:`R_l` are residual blocks of SiLU :math:`\phi` and a 3 x 3
    convolution. What is fine is read at the first level and what is large at the last, as a U-net joins them; the
    network's own backward pass is the other half of the U. It starts as the zero function.

    With a condition c (batch, condition) the read-outs v and the scale and shift before each convolution of a block
    are linear in c (Perez et al., 2018).

    Args:
        shape: (C, H, W) of a picture.
        widths: channels of the levels, at least one.
        blocks: residual blocks a level.
        condition: width of a condition; 0 for none.

    Raises:
        ValueError: a shape that is no picture's, or no level.
    """

    def __init__(
        self, shape: Sequence[int], widths: Sequence[int] = (32, 64), blocks: int = 1, *, condition: int = 0
    ) -> None:
        super().__init__()
        if len(shape) != 3 or not widths:
            raise ValueError(f"a picture has a shape (C, H, W), and a level a width: got {tuple(shape)}, {widths}")
        channels, height, width = shape
        given = max(1, condition)
        self.shape, self.condition = tuple(shape), condition
        self.down, self.inner, self.norm = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.outer, self.read = nn.ModuleList(), nn.ModuleList()
        for level in widths:
            self.down.append(nn.Conv2d(channels, level, 4, stride=2, padding=1))
            self.inner.append(nn.ModuleList(nn.Conv2d(level, level, 3, padding=1) for _ in range(blocks)))
            self.norm.append(nn.ModuleList(nn.Linear(given, 2 * level, bias=False) for _ in range(blocks)))
            self.outer.append(nn.Conv2d(level, level, 1))
            self.read.append(nn.Linear(given, level, bias=False))
            channels, height, width = level, (height + 1) // 2, (width + 1) // 2
        self.last = nn.Linear(channels * height * width, given, bias=False)
        for layer in [*self.read, self.last]:
            nn.init.zeros_(layer.weight)

    @property
    def work(self) -> int:
        """Multiplications of a pass, roughly: those of the convolutions."""
        total, (_, height, width) = 0, self.shape
        for down, inner, outer in zip(self.down, self.inner, self.outer, strict=True):
            height, width = (height + 1) // 2, (width + 1) // 2
            total += height * width * sum(p.numel() for part in (down, inner, outer) for p in part.parameters())
        return total

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the value of each picture, (batch,).

        Args:
            x: pictures, (batch, C, H, W).
            condition: (batch, condition), where the network has one.
        """
        c = x.new_ones(len(x), 1) if condition is None else condition
        total, h = x.new_zeros(len(x)), x
        for down, inner, norm, outer, read in zip(self.down, self.inner, self.norm, self.outer, self.read, strict=True):
            h = down(nn.functional.pad(h, (0, h.shape[3] % 2, 0, h.shape[2] % 2)))
            for convolution, scale_and_shift in zip(inner, norm, strict=True):  # type: ignore[call-overload]
                scale, shift = scale_and_shift(c)[:, :, None, None].chunk(2, 1)
                h = h + convolution(nn.functional.silu(torch.addcmul(h + shift, h, scale)))
            h = nn.functional.silu(h)
            seen = nn.functional.silu(outer(h)).sum((2, 3))
            total = total + (seen * read(c)).sum(1)
        return total + (self.last(h.flatten(1)) * c).sum(1)

    def value_and_gradient(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the value of each picture, (batch,), and its gradient in the picture, shaped as ``x``.

        Neither has a graph, and no gradient in a weight is made on the way.
        """
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = self(x, condition)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient


class OnPictures(nn.Module):
    r"""A network of pictures as a function of flat, whitened ones: :math:`z \mapsto f(A z + b)`.

    Args:
        network: of pictures.

    Attributes:
        colour: A, (D, D); the identity until it is set.
        shift: b, (D,); zero until it is set.
    """

    colour: Tensor
    shift: Tensor

    def __init__(self, network: ScalarConv) -> None:
        super().__init__()
        self.network = network
        dims = int(torch.Size(network.shape).numel())
        self.register_buffer("colour", torch.eye(dims))
        self.register_buffer("shift", torch.zeros(dims))

    def pictures(self, z: Tensor) -> Tensor:
        """Return A z + b as pictures, (batch, C, H, W)."""
        return torch.addmm(self.shift, z, self.colour.T).unflatten(1, self.network.shape)

    def forward(self, z: Tensor) -> Tensor:
        """Return the value of each row of z (batch, D), (batch,)."""
        return self.network(self.pictures(z))

    @torch.no_grad()
    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value of each row, (batch,), and its gradient in z, (batch, D), both without a graph."""
        value, gradient = self.network.value_and_gradient(self.pictures(z))
        return value, gradient.flatten(1) @ self.colour
