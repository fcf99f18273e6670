r"""The restricted Boltzmann machine on binary records (Smolensky, 1986; Hinton, 2002).

.. math::

    E(v, h) = -b^\top v - c^\top h - (v - \mu)^\top W h,\qquad
    F(v) = -b^\top v - \sum_j \log\left(1 + e^{a_j}\right),\quad a = c + W^\top (v - \mu)

Its visible units are of the exponential family with :math:`T(v) = v` and :math:`A(\eta) = \sum_i \log(1 + e^{\eta_i})`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hexad.energy.restricted import ENUMERATED, Chains, RestrictedMachine, Start, binary_states
from hexad.event import Event
from hexad.mcmc import bernoulli

__all__ = ["RBM"]


class RBM(RestrictedMachine):
    r"""Bernoulli restricted Boltzmann machine, trained by contrastive divergence with closed-form gradients.

    Args:
        event: binary columns.
        hidden: number of hidden units.
        chains, k, centred, particles, rate, sample_steps, start, replicas: as of
            :class:`~hexad.energy.restricted.RestrictedMachine`.

    Raises:
        ValueError: columns that are not binary, or an unknown kind of chains.
    """

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
        if event.kind != "binary":
            raise ValueError(f"a Bernoulli RBM takes binary columns, got {event}")
        super().__init__(
            event, event.dims, hidden, chains, k, centred, particles, rate, sample_steps, None, start, replicas
        )
        if centred:
            self.visible_offset.fill_(0.5)
        self.chain_states.copy_(self.draw(torch.zeros_like(self.chain_states), None))

    def draw(self, eta: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return bits at log-odds (batch, D), (batch, D)."""
        return bernoulli(torch.sigmoid(eta), generator)

    def mean(self, eta: Tensor) -> Tensor:
        """Return the probabilities of log-odds (batch, D), (batch, D)."""
        return torch.sigmoid(eta)

    def log_normaliser(self, eta: Tensor) -> Tensor:
        """Return the sum of log(1 + exp(eta)) of log-odds (batch, D), (batch,)."""
        return softplus(eta).sum(-1)

    def independent(self, v: Tensor) -> Tensor:
        """Return the log-odds of the smoothed means of the columns of bits (n, D), (D,)."""
        return torch.logit((v.sum(0, dtype=torch.float64) + 1) / (len(v) + 2))

    def visible_probability(self, h: Tensor) -> Tensor:
        """Return P(v = 1 | h), (batch, D)."""
        return torch.sigmoid(self.natural(h))

    def visible_states(self) -> list[Tensor] | None:
        """Return all states of up to 16 bits."""
        return binary_states(self.event.dims, self.weight) if self.event.dims <= ENUMERATED else None
