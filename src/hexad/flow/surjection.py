r"""Flows on records that are no reals: a density p(v) over reals, and a many-to-one map x = r(v) onto the records.

The probability of a record is the mass of the reals that map to it. A law q(v | x) on that region, learned along with
the flow, bounds it from below (SurVAE Flows; Nielsen, Jaini, Hoogeboom, Winther and Welling, 2020):

.. math:: \log P(x) = \log\int_{r^{-1}(x)} p(v)\,dv
          \ge E_q \log\frac1K\sum_{k=1}^K \frac{p(v_k)}{q(v_k|x)} \ge E_q[\log p(v) - \log q(v|x)] .

The bound is tight where q(v | x) is proportional to p(v) on the region.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.event import Event, Support
from hexad.flow.base import Flow
from hexad.likelihood import LogLikelihood, importance_bound
from hexad.model import LowerBound, Trajectory, Vital
from hexad.nn import MLP
from hexad.randomness import fresh
from hexad.transforms import Compose, Coupling, Elementwise, coupling_masks

__all__ = ["Surjection", "SurjectiveFlow", "beside", "conditional"]

ROWS = 4096  # rows, draws included, that are looked at at once


class Surjection(nn.Module, ABC):
    """A many-to-one map r from reals v to records x, and a law q(v | x) on the reals that map to x.

    To implement one: (1) call ``super().__init__(event, features)``; (2) give :meth:`records`; (3) give :meth:`noise`
    and :meth:`place`, whose v all map to x; (4) where v can be seen in the records' units before it is rounded, give
    :meth:`unrounded`; (5) set :attr:`words`. Records and reals are flattened here.

    Args:
        event: what one record is.
        features: numbers of v, a record.

    Attributes:
        space: the real event of v, shaped as the record where it has as many numbers.
        words: what the bound is called in a likelihood's protocol.
    """

    words: str

    def __init__(self, event: Event, features: int) -> None:
        super().__init__()
        real = Support("real")
        self.space = event.with_support(real) if features == event.dims else Event.of(features, real)

    @abstractmethod
    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Return what n draws of q are made of, (n, ...); row i is the same whatever rows follow it."""

    @abstractmethod
    def place(self, x: Tensor, noise: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the draw v of q(v | x) that the noise makes, (batch, features), and log q(v | x), (batch,).

        Gradients reach the parameters of q through both.
        """

    @abstractmethod
    def records(self, v: Tensor) -> Tensor:
        """Return r(v), (batch, D)."""

    def unrounded(self, v: Tensor) -> Tensor:
        """Return v in the units of the records, (batch, D); by default r(v)."""
        return self.records(v)


class SurjectiveFlow(LowerBound):
    r"""A flow on reals seen through a many-to-one map, trained with the law that goes back.

    Args:
        event: what one record is: codes as they are, or reals with steps.
        flow: p(v), a flow on ``surjection.space``; its parameters are learned with those of q.
        surjection: r and q(v | x).

    Attributes:
        draws: K, points a record that the stated likelihood weights by importance.
    """

    draws = 16

    def __init__(self, event: Event, flow: Flow, surjection: Surjection) -> None:
        super().__init__(event)
        if flow.event.shape != surjection.space.shape:
            raise ValueError(f"the flow is of records {flow.event.shape}, expected {surjection.space.shape}")
        self.flow = flow
        self.surjection = surjection

    def _drawn(self, x: Tensor, context: Tensor | None, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        noise = self.surjection.noise(len(x), fresh(generator, x.device))
        v, log_q = self.surjection.place(x.flatten(1), noise.to(x.dtype), context)
        return v.unflatten(1, self.flow.event.shape), log_q

    @torch.no_grad()
    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit what the flow fits, on draws of q as it starts, of at most 4,096 records."""
        generator = fresh(generator, x.device)
        self.flow.prepare(self._drawn(x[:ROWS], None, generator)[0], generator=generator)

    def compile_for_use(self) -> None:
        """Compile the flow; the surjection draws, which is not compiled."""
        self.flow.compile_for_use()

    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        r"""Return :math:`\log p(v) - \log q(v|x)` at one draw of v, (batch,)."""
        v, log_q = self._drawn(x, context, generator)
        return self.flow.log_prob(v, context=context) - log_q

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the negative bound, (batch,), or an unbiased estimate of it where the flow's loss is one."""
        generator = fresh(generator, x.device)
        v, log_q = self._drawn(x, context, generator)
        return self.flow.loss(v, context=context, generator=generator) + log_q

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return the flow's."""
        generator = fresh(generator, x.device)
        return self.flow.vitals(self._drawn(x, context, generator)[0], context=context, generator=generator)

    def importance_log_weights(
        self,
        x: Tensor,
        samples: int,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`\log p(v_k) - \log q(v_k|x)`, (samples, batch), at :math:`v_k` from q."""
        # the draws of a record lie together, so that they are the same whatever records follow it
        given = None if context is None else context.repeat_interleave(samples, 0)
        weights = self.elbo(x.repeat_interleave(samples, 0), context=given, generator=generator)
        return weights.unflatten(0, (len(x), samples)).T

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return the importance-weighted bound of ``draws`` draws a record, or of ``budget`` where that is fewer."""
        samples = max(1, min(self.draws, budget or self.draws))
        generator, size = fresh(generator, x.device), max(1, ROWS // samples)
        parts = []
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            given = None if context is None else context[rows]
            weights = self.importance_log_weights(x[rows], samples, context=given, generator=generator)
            parts.append(importance_bound(weights))
        bounds, errors = zip(*parts, strict=True)
        count = f"{samples} sample{'s' if samples > 1 else ''}"
        return LogLikelihood(
            torch.cat(bounds),
            "lower_bound",
            mc_stderr=torch.cat(errors),
            measure=self.event.measure,
            protocol=f"{self.surjection.words}, {count} weighted by importance",
        )

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return what the flow's samples map to."""
        v = self.flow.sample(n, context=context, generator=generator)
        return self.surjection.records(v.flatten(1)).unflatten(1, self.event.shape)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the flow's path in the units of the records, not rounded, and what its end maps to."""
        path = self.flow.path(n, context=context, generator=generator)
        reals = path.states.flatten(2)
        states = [*map(self.surjection.unrounded, reals), self.surjection.records(reals[-1])]
        labels = (*path.labels, type(self.surjection).__name__)
        return Trajectory(torch.stack(states).unflatten(2, self.event.shape), path.axis, labels)


def conditional(features: int, elementwise: Elementwise, layers: int, hidden: Sequence[int], context: int) -> Compose:
    """Return couplings of noise (batch, features), conditioned on what a record says, that start as the identity.

    Args:
        features: numbers of noise; a single one is moved by what the record says alone.
        elementwise: the map of one number.
        layers: number of couplings, at least 2 so that every number is moved.
        hidden: widths of the hidden layers of each one's network.
        context: numbers that a record says.

    Raises:
        ValueError: fewer than two layers.
    """
    if layers < 2:
        raise ValueError(f"layers of q: expected at least 2, so that every number is moved, got {layers}")

    def network(inputs: int, outputs: int) -> MLP:
        return MLP(inputs, outputs, hidden, context=context, activation=nn.ReLU, zero_init=True)

    masks = coupling_masks(features, layers) if features > 1 else [torch.zeros(1, dtype=torch.bool)]
    return Compose([Coupling(mask, network, elementwise) for mask in masks])


def beside(said: Tensor, context: Tensor | None, features: int) -> Tensor:
    """Return what a record says, (batch, ...), and the context beside it, zeros where it is left out."""
    return torch.cat([said, said.new_zeros(len(said), features) if context is None else context], 1)
