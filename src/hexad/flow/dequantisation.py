r"""Variational dequantisation: a learned law of the point of a record's cell (Flow++; Ho, Chen, Srinivas, Duan and
Abbeel, 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.event import Event
from hexad.flow.surjection import Surjection, beside, conditional
from hexad.nn import ConvNet
from hexad.transforms import Affine, Compose, Elementwise, Logit, Spline, Transform

__all__ = ["Dequantisation"]


class Dequantisation(Surjection):
    r"""A record x is the cell that v lies in; q(v | x) is a law on the cell that splines make of the uniform one.

    .. math:: v = s(x + w\,u), \qquad u = g(\epsilon; x), \quad \epsilon \sim U[-\tfrac12, \tfrac12]^D, \qquad
              \log q(v|x) = -\log\left|\det\partial g\right| - \textstyle\sum\log w - \log\left|\det\partial s\right|

    w is the cell's width: 1 for codes, the step of a real column; columns without a step are left as they are. s is the
    map of codes to the reals, :math:`\mathrm{logit}(a + (1-2a)(x + 1/2)/\mathrm{levels})`, and nothing for reals. g are
    couplings of the cube onto itself, conditioned on x; of a picture, a map of each pixel alone, whose parameters
    convolutions read off x. They start as the identity: as uniform dequantisation.

    Args:
        event: binary, ordinal, or real with a step in some column.
        layers: number of couplings of g; of a picture, blocks of the network.
        hidden: widths of the hidden layers of each one's network; of a picture, the first one is its channels.
        bins: bins of each spline.
        alpha: a.
        context: number of context features that q takes.

    Raises:
        ValueError: columns of several kinds, or without cells.
    """

    words = "variational dequantisation"

    cells: Tensor
    widths: Tensor
    top: Tensor

    def __init__(
        self,
        event: Event,
        layers: int = 2,
        hidden: Sequence[int] = (128, 128),
        bins: int = 8,
        alpha: float = 0.05,
        context: int = 0,
    ) -> None:
        super().__init__(event, event.dims)
        if event.kind == "mixed":
            raise ValueError(f"variational dequantisation takes columns of one kind, got {event}")
        widths = event.widths.flatten()
        if not bool((widths > 0).any()):
            raise ValueError("variational dequantisation: no column has cells, real columns have them by their steps")
        self.context = context
        self.register_buffer("cells", widths.nonzero()[:, 0])
        self.register_buffer("widths", widths[widths > 0])
        levels = torch.tensor([float(support.levels) for support in event.supports])
        self.register_buffer("top", levels - 1)
        self.codes = event.kind != "real"
        outer = [Affine(torch.full_like(levels, -0.5), levels), Logit(alpha)] if self.codes else []
        self.outer = Compose(outer)
        spline = Spline(bins, 0.5)
        self.inner: Transform = (
            _PixelByPixel(event.shape, spline, hidden[0], layers, context)
            if event.layout == "image" and len(self.cells) == event.dims
            else conditional(len(self.cells), spline, layers, hidden, event.dims + context)
        )

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n uniform points of the cube."""
        # in float64 the numbers of row i are the same whatever rows follow it
        return torch.rand(n, len(self.cells), generator=generator, device=generator.device, dtype=torch.float64) - 0.5

    def place(self, x: Tensor, noise: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return a point of each record's cell and log q there."""
        said = 2 * x / self.top - 1 if self.codes else x
        u, log_det = self.inner.forward_and_log_det(noise, beside(said, context, self.context))
        v, log_outer = self.outer.forward_and_log_det(x.index_add(1, self.cells, u * self.widths.to(u)))
        return v, -log_det - log_outer - self.widths.log().sum()

    def records(self, v: Tensor) -> Tensor:
        """Return the code whose cell v lies in; of reals v itself: a step says not where its grid lies."""
        x = self.unrounded(v)
        return x.round().clamp(min=0).minimum(self.top) if self.codes else x

    def unrounded(self, v: Tensor) -> Tensor:
        """Return v in the units of the codes."""
        return self.outer.inverse(v)


class _PixelByPixel(Transform):
    """A map of each number of a picture's noise, whose parameters a network reads off the picture.

    Args:
        shape: of the picture, (C, H, W).
        elementwise: the map.
        width: channels of the network.
        blocks: its residual blocks.
        context: number of features behind the picture.
    """

    one_pass = True

    def __init__(self, shape: Sequence[int], elementwise: Elementwise, width: int, blocks: int, context: int) -> None:
        super().__init__()
        self.shape, self.elementwise = tuple(shape), elementwise
        self.network = ConvNet(shape[0], shape[0] * elementwise.count, width, blocks, context=context)

    def _read(self, said: Tensor | None) -> Tensor:
        assert said is not None
        size = math.prod(self.shape)
        found = self.network(said[:, :size].unflatten(1, self.shape), said[:, size:])
        return found.unflatten(1, (self.shape[0], -1)).movedim(2, -1).flatten(1, 3)

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map each number of (batch, D); the context is the picture (batch, D), and features behind it."""
        z, log_slope = self.elementwise.forward_and_log_slope(x, self._read(context))
        return z, log_slope.sum(1)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map them back."""
        x, log_slope = self.elementwise.inverse_and_log_slope(z, self._read(context))
        return x, log_slope.sum(1)
