r"""A mixture of members that run through the columns in their own orders.

.. math:: p(x) = \frac1M \sum_{m=1}^{M} p_m(x)

The mean is one of *probabilities*, exactly the law of samples of which each draws its member first.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from hexad.autoregressive.base import PARTICLES, drawn, partly_drawn, position_labels
from hexad.autoregressive.heads import Head
from hexad.autoregressive.imputation import Walk, resampled, shares
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

__all__ = ["OrderMixture", "WalkMixture"]


class OrderMixture(Density, Imputer):
    """A model of the form above; give :meth:`member_log_probs` and :meth:`states`."""

    @abstractmethod
    def member_log_probs(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return log p of each record under each member, (M, batch)."""

    @abstractmethod
    def states(self, n: int, context: Tensor | None, generator: torch.Generator | None, parts: int) -> Tensor:
        """Return n records when k / parts of their columns are drawn, for k = 0 to parts, (parts + 1, n, *shape);
        a column not yet drawn is 0, and the last state does not depend on ``parts``.
        """

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log of the mean probability over the members, (batch,)."""
        parts = self.member_log_probs(x, context=context)
        return torch.logsumexp(parts, 0) - math.log(len(parts))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw a member a record, then one column after another in its order."""
        return self.states(n, context, generator, 1)[-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the record as its columns are drawn, in some 16 states; a column not yet drawn is 0."""
        labels = position_labels(self.event.dims)
        return Trajectory(self.states(n, context, generator, len(labels) - 1), "position", labels)


class WalkMixture(OrderMixture):
    """One whose members are walked through by their cached conditionals; give :attr:`head`, :attr:`orders`,
    :meth:`walk` and :meth:`member_log_probs`.
    """

    @property
    @abstractmethod
    def head(self) -> Head:
        """The law of one column."""

    @property
    @abstractmethod
    def orders(self) -> Tensor:
        """The columns in the order of each member, (K, D)."""

    @abstractmethod
    def walk(self, member: int, n: int, context: Tensor | None) -> Walk:
        """Return the conditionals of n rows of a member, one column after another."""

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN: of each member by importance resampling, and of the members by the probability
        that they give to what is there, by their particles' mean weight.
        """
        given = None if context is None else context.repeat_interleave(PARTICLES, 0)
        flat, generator = x.flatten(1), fresh(generator, self.device)
        values, sizes, log_p = [], [], []
        for m, order in enumerate(self.orders):
            walk = self.walk(m, len(x) * PARTICLES, given)
            found, there = resampled(self.head, order, walk, flat, draws, PARTICLES, generator)
            assert found.effective is not None
            values.append(found.values)
            sizes.append(found.effective)
            log_p.append(there)
        share = shares(torch.stack(log_p, 1))
        pick = torch.multinomial(share, draws, replacement=True, generator=generator).T
        draw, row = torch.arange(draws, device=pick.device)[:, None], torch.arange(len(x), device=pick.device)
        chosen = torch.stack(values)[pick, draw, row].unflatten(2, self.event.shape)
        # of all particles together, each with its member's share
        effective = 1 / (share**2 / torch.stack(sizes, 1).clamp(min=1e-300)).sum(1)
        return Imputation(chosen, effective, PARTICLES * len(self.orders))

    @torch.no_grad()
    def states(self, n: int, context: Tensor | None, generator: torch.Generator | None, parts: int) -> Tensor:
        """Return the record when k / parts of its columns are drawn, for k = 0 to parts."""
        dims, draws, device = self.event.dims, self.head.draws, self.device
        u = torch.rand(n, 1 + dims * draws, generator=fresh(generator, device), device=device, dtype=torch.float64)
        member, uniform = (u[:, 0] * len(self.orders)).long(), u[:, 1:].unflatten(1, (dims, draws))
        states = torch.zeros(parts + 1, n, dims, device=device, dtype=self.dtype)
        for m, order in enumerate(self.orders):
            rows = (member == m).nonzero()[:, 0]
            if len(rows):
                walk = self.walk(m, len(rows), None if context is None else context[rows])
                x = drawn(self.head, order, walk, uniform[rows], self.dtype)[:, torch.argsort(order)]
                states[:, rows] = partly_drawn(x, order, parts)
        return states.unflatten(2, self.event.shape)
