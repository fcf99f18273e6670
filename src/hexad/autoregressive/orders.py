r"""A mixture of members that run through the columns in their own orders.

.. math:: p(x) = \frac1M \sum_{m=1}^{M} p_m(x)

The mean is one of *probabilities*, exactly the law of samples of which each draws its member first.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from hexad.autoregressive.base import position_labels
from hexad.model import Density, Imputer, Trajectory

__all__ = ["OrderMixture"]


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
