r"""The restricted Boltzmann machine on columns of several levels, which it takes as categories (Salakhutdinov, Mnih and
Hinton, 2007).

.. math::

    P(v_i = k \mid h) \propto \exp\left(b_{ik} + \sum_j W_{ikj} h_j\right),\qquad T(v) = (1[v_i = k])_{ik},\qquad
    A(\eta) = \sum_i \log\sum_k e^{\eta_{ik}}

A column is a softmax over its own number of levels; with two of them it is a binary column.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.energy.restricted import ENUMERATED, Chains, RestrictedMachine, Start
from hexad.event import Event

__all__ = ["PottsRBM"]


class PottsRBM(RestrictedMachine):
    r"""Restricted Boltzmann machine with softmax units, trained by contrastive divergence with closed-form gradients.

    Args:
        event: columns with levels, each any number of them.
        hidden: number of hidden units.
        chains, k, centred, particles, rate, sample_steps, start, replicas: as of
            :class:`~hexad.energy.restricted.RestrictedMachine`.

    Raises:
        ValueError: columns without levels.
    """

    first: Tensor
    present: Tensor
    places: Tensor

    def __init__(
        self,
        event: Event,
        hidden: int = 128,
        chains: Chains = "persistent",
        k: int = 1,
        centred: bool = False,
        particles: int = 100,
        rate: float = 0.01,
        sample_steps: int = 400,
        start: Start = "columns",
        replicas: int = 10,
    ) -> None:
        levels = torch.tensor([support.levels for support in event.supports])
        if not bool((levels >= 2).all()):
            raise ValueError(f"a Potts RBM takes ordinal or binary columns, got {event}")
        statistics = int(levels.sum())
        super().__init__(
            event, statistics, hidden, chains, k, centred, particles, rate, sample_steps, None, start, replicas
        )
        self.register_buffer("first", levels.cumsum(0) - levels, persistent=False)
        self.register_buffer("present", torch.arange(event.levels) < levels[:, None], persistent=False)
        self.register_buffer("places", self.present.flatten().nonzero()[:, 0], persistent=False)

    def statistics(self, v: Tensor) -> Tensor:
        """Return the one-hot codes of levels (batch, D), behind each other, (batch, S)."""
        return v.new_zeros(len(v), len(self.visible_bias)).scatter_(1, v.long() + self.first, 1.0)

    def tabled(self, eta: Tensor) -> Tensor:
        """Return parameters (batch, S) by column and level, (batch, D, levels); minus infinity beyond a column's."""
        table = eta.new_full((len(eta), self.present.numel()), -math.inf)
        return table.index_copy(1, self.places, eta).unflatten(1, self.present.shape)

    def draw(self, eta: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return levels at log weights (batch, S), each by the inverse of its column's distribution, (batch, D)."""
        table = torch.softmax(self.tabled(eta), 2)
        uniform = torch.rand(table.shape[:2], generator=generator, device=eta.device, dtype=eta.dtype)
        below = (table.cumsum(2) <= uniform[:, :, None]).sum(2)
        # where rounding leaves the sum of the probabilities below the draw
        return torch.minimum(below, self.present.sum(1) - 1).to(eta.dtype)

    def mean(self, eta: Tensor) -> Tensor:
        """Return the probabilities of log weights (batch, S), (batch, S)."""
        return torch.softmax(self.tabled(eta), 2).flatten(1).index_select(1, self.places)

    def log_normaliser(self, eta: Tensor) -> Tensor:
        """Return the log of the sum of each column's weights, summed over columns, (batch,)."""
        return torch.logsumexp(self.tabled(eta), 2).sum(1)

    def independent(self, v: Tensor) -> Tensor:
        """Return the logs of the columns' frequencies in levels (n, D), each counted once more, (S,)."""
        counts = torch.bincount((v.long() + self.first).flatten(), minlength=len(self.visible_bias)).double() + 1
        return torch.log(counts / (len(v) + self.present.sum(1).double()).repeat_interleave(self.present.sum(1)))

    def visible_states(self) -> list[Tensor] | None:
        """Return all states of columns that have at most 2^16 of them."""
        levels = self.present.sum(1).tolist()
        if math.prod(levels) > 2**ENUMERATED:
            return None
        codes = [torch.arange(n, dtype=self.dtype, device=self.device) for n in levels]
        return list(torch.cartesian_prod(*codes).reshape(-1, len(levels)).split(8192))
