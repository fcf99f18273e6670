"""Embeddings of a single number, such as the noise level."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SinusoidalEmbedding"]


class SinusoidalEmbedding(nn.Module):
    r"""Sines and cosines of a number s in [0, 1], then a linear layer and SiLU (after Vaswani et al., 2017; Ho et al., 2020).

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
