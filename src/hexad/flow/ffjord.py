"""FFJORD: a continuous flow (FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models; Grathwohl
et al., 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hexad.event import Event
from hexad.flow.base import CHECKED, Flow
from hexad.likelihood import LogLikelihood
from hexad.model import Trajectory, Vital
from hexad.transforms import ActNorm, Compose, Continuous

__all__ = ["FFJORD"]

FRAMES = 10  # states of a path after the noise


class FFJORD(Flow):
    r"""Activation normalisation, then the flow of one differential equation to standard normal noise.

    Training goes a fixed number of steps; all that is stated or sampled is the adaptive solver's. The likelihood is
    exact but for that solver's error, which is stated with it: how far each record's log p is from its value at ten
    times the tolerance. (The sum of the local errors says too little: errors on the way become errors of the trace.)

    Args:
        event: a real event without cells.
        hidden: widths of the velocity's hidden layers.
        steps: of the fixed-step solver in training.
        trace: in training: ``exact`` or ``hutchinson``, see :class:`~hexad.transforms.Continuous`.
        kinetic: weight of the kinetic energy of the way in the gradient: straight ways are cheap to solve
            (Finlay et al., 2020). The loss that is reported is without it.
        caution: weight of the fixed steps' own error in the gradient; without it the steps that are trained through are
            made wrong to the loss's gain, and the adaptive solver finds another likelihood.
        tolerance: of the adaptive solver.
        context: number of context features.
    """

    def __init__(
        self,
        event: Event,
        hidden: Sequence[int] = (64, 64),
        steps: int = 8,
        trace: Literal["exact", "hutchinson"] | None = None,
        kinetic: float = 1e-3,
        caution: float = 10.0,
        tolerance: float = 1e-5,
        context: int = 0,
    ) -> None:
        continuous = Continuous(event.dims, hidden, context=context, steps=steps, trace=trace, tolerance=tolerance)
        super().__init__(event, Compose([ActNorm(event.dims), continuous]), context)
        self.kinetic, self.caution = kinetic, caution

    @property
    def layers(self) -> tuple[ActNorm, Continuous]:
        """The normalisation and the continuous flow."""
        norm, continuous = self.transform.transforms
        assert isinstance(norm, ActNorm)
        assert isinstance(continuous, Continuous)
        return norm, continuous

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        r"""Return :math:`-\log p(x)` by the fixed steps, (batch,); its gradient counts kinetic energy and error."""
        norm, continuous = self.layers
        y, scaled = norm.forward_and_log_det(x.flatten(1))
        way = continuous.trained(y, context, generator=generator)
        held = self.kinetic * way.energy + self.caution * way.error
        return -self.base.log_prob(way.z) - way.log_det - scaled + (held - held.detach())

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p with the solver's error."""
        norm, continuous = self.layers
        y, scaled = norm.forward_and_log_det(x.flatten(1))
        stated = []
        for tolerance in (continuous.tolerance, 10 * continuous.tolerance):
            z, log_det = continuous.arrive(y, 1.0, 0.0, context, tolerance=tolerance)
            stated.append(self.base.log_prob(z) + (scaled + log_det))
        return LogLikelihood(
            stated[0],
            "exact",
            mc_stderr=(stated[0] - stated[1]).abs(),
            measure=self.event.measure,
            protocol=f"exact trace, adaptive Runge-Kutta 5(4), tolerance {continuous.tolerance:g}, error at 10 times",
        )

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return the inverse error, and how far the fixed steps' log p is from the adaptive solver's, in nats."""
        few, given = x[:CHECKED], None if context is None else context[:CHECKED]
        gap = (self.loss(few, context=given, generator=generator) + self.log_prob(few, context=given)).abs().mean()
        words = "the steps of training no longer solve the equation"
        return (*super().vitals(x, context=context), Vital("solver gap", float(gap), 0.0, 0.5, words))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Send noise along the equation, without the trace."""
        z = self.base.sample(n, generator=generator)
        for layer in reversed(self.layers):
            z = layer.inverse(z, context)
        return z.reshape(n, *self.event.shape)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the states on the way from noise at t = 0 to records at t = 1, in model space's units."""
        norm, continuous = self.layers
        noise = self.base.sample(n, generator=generator)
        states, labels, y = [noise], ["t=0"], noise
        for k in range(1, FRAMES):
            y = continuous.carried(y, (k - 1) / FRAMES, k / FRAMES, context)
            states.append(y)
            labels.append(f"t={k / FRAMES:g}")
        states.append(continuous.inverse(noise, context))  # in one go, as a sample is made
        shown = [norm.inverse(state).reshape(n, *self.event.shape) for state in states]
        return Trajectory(torch.stack(shown), "time", (*labels, "t=1"))
