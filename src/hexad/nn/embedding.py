"""Embeddings of numbers by sines and cosines: of the noise level, of the columns of a record."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["FourierFeatures", "SinusoidalEmbedding"]


class SinusoidalEmbedding(nn.Module):
    r"""Sines and cosines of a number s in [0, 1], then a linear layer and SiLU (after Vaswani et al., 2017).

    .. math:: e(s) = \mathrm{SiLU}(W [\sin \omega_k s, \cos \omega_k s]_k + b),\qquad
              \omega_k = \tfrac\pi2 \cdot 100^{k/(K-1)},\ k = 0 \dots K-1

    The slowest sine runs a quarter of a turn over [0, 1], the fastest 25 turns.

    Args:
        features: width of the embedding.
        frequencies: K.
    """

    frequencies: Tensor

    def __init__(self, features: int, frequencies: int = 16) -> None:
        super().__init__()
        powers = torch.linspace(0, math.log(100), frequencies).exp()
        self.register_buffer("frequencies", math.pi / 2 * powers, persistent=False)
        self.linear = nn.Linear(2 * frequencies, features)

    def forward(self, s: Tensor) -> Tensor:
        """Return the embedding of s (batch,), (batch, features)."""
        angle = s[:, None] * self.frequencies
        return nn.functional.silu(self.linear(torch.cat([angle.sin(), angle.cos()], -1)))


class FourierFeatures(nn.Module):
    r"""Columns beside their sines and cosines, without which a network learns sharp edges slowly (Tancik et al., 2020).

    .. math:: x \mapsto [x, \sin 2^k x, \cos 2^k x]_k,\qquad k = 0 \dots K-1

    Args:
        features: D, columns of unit scale.
        frequencies: K; 0 hands the columns through.

    Attributes:
        outputs: number of features that come out, (1 + 2 K) D.
    """

    def __init__(self, features: int, frequencies: int = 4) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.outputs = features * (1 + 2 * frequencies)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of x (batch, D), (batch, outputs)."""
        if not self.frequencies:
            return x
        angle = torch.cat([2.0**k * x for k in range(self.frequencies)], -1)
        return torch.cat([x, angle.sin(), angle.cos()], -1)
