r"""The law of a pixel with all of its channels: a mixture with one indicator, whose means are coupled (PixelCNN++;
Salimans, Karpathy, Chen and Kingma, 2017).

.. math:: p(x_1, \dots, x_C) = \sum_k \pi_k \prod_c P_k(x_c \mid x_{<c}), \qquad
    m_{kc} = \mu_{kc} + \sum_{d < c} \tanh(a_{kcd})\, z_d

where :math:`P_k(x_c \mid x_{<c})` is the mass that a logistic law of mean :math:`m_{kc}` gives to the level's cell, and
z is the level scaled to [-1, 1]. A channel given those before it is a mixture of the same components, whose weights
are the posterior ones of the indicator:

.. math:: p(x_c \mid x_{<c}) = \sum_k w_{kc} P_k(x_c \mid x_{<c}), \qquad
    w_{kc} \propto \pi_k \prod_{d < c} P_k(x_d \mid x_{<d}).

So each column keeps a law of one dimension, a :class:`~hexad.autoregressive.heads.Mixture`, and their product is the
joint law.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hexad.autoregressive.heads import Mixture
from hexad.event import Event

__all__ = ["CoupledMixture", "PixelLaw"]


class CoupledMixture:
    """The law above, of each pixel of a picture. It holds no tensors but the column's.

    The numbers that set a pixel's law are K logits, C K means, C K log-scales and C (C - 1) / 2 K couplings.

    Args:
        event: binary or ordinal pictures, (C, H, W); P = H W pixels, D = C P columns.
        column: the law of a column given the weights of the K components, on such pictures.
    """

    def __init__(self, event: Event, column: Mixture) -> None:
        self.channels, self.pixels = event.shape[0], event.shape[1] * event.shape[2]
        self.column, self.components = column, column.components
        self.pairs = self.channels * (self.channels - 1) // 2
        self.outputs = self.components * (1 + 2 * self.channels + self.pairs)

    def prepare(self, x: Tensor) -> Tensor:
        """Return the numbers (P, outputs) whose channels have the marginals that the columns' mixtures would have.

        A component stands at one and the same quantile of all channels, counted from above where a channel falls as the
        first one rises; nothing is coupled beyond that.
        """
        shape = self.channels, self.pixels
        z = self.column.embed(x).unflatten(1, shape)
        z = z - z.mean(0)
        falls = (z * z[:, :1]).mean(0) < 0
        marginals = self.column.prepare(x).unflatten(-1, (3, self.components)).unflatten(0, shape)
        marginals = torch.where(falls[..., None, None], marginals.flip(-1), marginals)
        logits, means, raw = marginals.movedim(0, 1).unbind(2)
        pairs = means.new_zeros(self.pixels, self.pairs * self.components)
        return torch.cat([logits[:, 0], means.flatten(1), raw.flatten(1), pairs], 1)

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return logits (..., K), means and log-scales (..., C, K), and couplings (..., pairs, K) of outputs."""
        k, c = self.components, self.channels
        logits, means, raw, pairs = outputs.split([k, c * k, c * k, self.pairs * k], -1)
        return logits, means.unflatten(-1, (c, k)), raw.unflatten(-1, (c, k)), torch.tanh(pairs.unflatten(-1, (-1, k)))

    def coupled(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return each column's outputs given the indicator and the channels before it, (batch, D, 3 K).

        Args:
            outputs: of each pixel, (batch, P, outputs).
            x: levels, (batch, D).
        """
        z = self.column.embed(x).unflatten(1, (self.channels, self.pixels))[..., None]
        logits, means, raw, pairs = self.split(outputs)
        laws = []
        for c in range(self.channels):
            mean, row = means[..., c, :], c * (c - 1) // 2
            for d in range(c):
                mean = mean + pairs[..., row + d, :] * z[:, d]
            laws.append(torch.cat([logits, mean, raw[..., c, :]], -1))
        return torch.cat(laws, 1)

    def log_prob(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return log p of each pixel, (batch, P), of x (batch, D) under outputs (batch, P, outputs)."""
        log_weights, masses = self._masses(self.coupled(outputs, x), x)
        return torch.logsumexp(log_weights[:, 0] + masses.sum(1), -1)

    def conditionals(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return what sets the law of each column given the channels before it, (batch, D, 3 K)."""
        laws = self.coupled(outputs, x)
        log_weights, masses = self._masses(laws, x)
        before = torch.cat([torch.zeros_like(masses[:, :1]), masses[:, :-1]], 1).cumsum(1)
        posterior = torch.log_softmax(log_weights + before, -1)
        return torch.cat([posterior.flatten(1, 2), laws[..., self.components :]], -1)

    def _masses(self, laws: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log weights and the components' log masses, (batch, C, P, K)."""
        log_weights, masses = self.column.components_log_prob(laws, x)
        shape = self.channels, self.pixels
        return log_weights.unflatten(1, shape), masses.unflatten(1, shape)


class PixelLaw:
    """One pixel's law, whose channels become known one after another.

    Args:
        law: of all pixels.
        outputs: of this pixel, (n, outputs).
        pixel: which.
    """

    def __init__(self, law: CoupledMixture, outputs: Tensor, pixel: int) -> None:
        self.law, self.pixel = law, pixel
        logits, self.means, self.raw, self.pairs = law.split(outputs)
        self.log_weights, self.channel = torch.log_softmax(logits, -1), 0

    def outputs(self) -> Tensor:
        """Return what sets the law of the next channel given those known, (n, 3 K)."""
        return torch.cat([self.log_weights, self.means[:, self.channel], self.raw[:, self.channel]], 1)

    def push(self, z: Tensor) -> None:
        """Set the next channel, (n, 1), scaled to [-1, 1]."""
        column = self.channel * self.law.pixels + self.pixel
        columns = slice(column, column + 1)
        level = ((z + 1) * self.law.column.top[columns].to(z.dtype) / 2).round()
        log_weights, masses = self.law.column.components_log_prob(self.outputs()[:, None], level, columns)
        self.log_weights = torch.log_softmax((log_weights + masses)[:, 0], -1)
        d, self.channel = self.channel, self.channel + 1
        rows = [c * (c - 1) // 2 + d for c in range(self.channel, self.law.channels)]
        moved = self.means[:, self.channel :] + self.pairs[:, rows] * z[..., None]
        self.means = torch.cat([self.means[:, : self.channel], moved], 1)

    def reorder(self, rows: Tensor) -> None:
        """Go on with these rows, (n,), in place of those that were."""
        self.log_weights, self.means = self.log_weights[rows], self.means[rows]
        self.raw, self.pairs = self.raw[rows], self.pairs[rows]
