r"""A continuous flow: the map that an ordinary differential equation makes of a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hexad.nn import GatedMLP
from hexad.ode import dopri5, rk4
from hexad.randomness import fresh
from hexad.transforms.base import Transform

__all__ = ["Continuous", "Way"]


@dataclass(frozen=True)
class Way:
    r"""A way of fixed steps from x to z.

    Args:
        z: where it ends, (batch, D).
        log_det: exact but for the steps, or estimated, (batch,).
        energy: kinetic, :math:`\int |v|^2 dt`, (batch,) (How to train your neural ODE; Finlay et al., 2020).
        error: the solver's local errors of z and log_det, summed, (batch,).
    """

    z: Tensor
    log_det: Tensor
    energy: Tensor
    error: Tensor


class Continuous(Transform):
    r"""x = y(1) and z = y(0) of one solution of dy/dt = v(t, y) (Neural Ordinary Differential Equations; Chen et al.,
    2018. FFJORD; Grathwohl et al., 2019).

    .. math:: \log\left|\det \partial z/\partial x\right| = \int_1^0 \mathrm{tr}\,\frac{\partial v}{\partial y}\,dt

    The exact log-determinant is that of an adaptive solver; the exact trace is in closed form where the network has one
    or two hidden layers, whatever the number of columns. :meth:`estimate_log_det`, which training takes, goes a fixed
    number of steps of :func:`~hexad.ode.rk4`, through which gradients flow. Its noise, where there is any, is the same
    all along a record's way, so that the estimate is the integral of a smooth function. It starts as the identity.

    Args:
        features: D, columns of a vector record.
        hidden: widths of the velocity's hidden layers.
        context: number of context features.
        steps: of the fixed-step solver.
        trace: in training: ``exact``, or ``hutchinson`` with random signs; None: exact where it has a closed form.
        tolerance: of the adaptive solver, absolute and relative.
    """

    estimates = True

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (64, 64),
        *,
        context: int = 0,
        steps: int = 8,
        trace: Literal["exact", "hutchinson"] | None = None,
        tolerance: float = 1e-5,
    ) -> None:
        super().__init__()
        if trace not in (None, "exact", "hutchinson"):
            raise ValueError(f"trace: expected exact or hutchinson, got {trace!r}")
        self.velocity = GatedMLP(features, hidden, context=context)
        self.steps, self.tolerance = steps, tolerance
        self.trace = trace or ("exact" if self.velocity.closed else "hutchinson")

    def arrive(
        self, y: Tensor, start: float, end: float, context: Tensor | None = None, *, tolerance: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return where the adaptive solver takes records from one time to another, and the log-determinant of the way.

        Args:
            y: at ``start``, (batch, D).
            start, end: times in [0, 1].
            context: (batch, features).
            tolerance: of the solver; None: the transform's own.
        """
        d, traced = y.shape[1], self.velocity.with_trace(context)

        def field(t: Tensor, state: Tensor) -> Tensor:
            return torch.cat(traced(t, state[:, :d]), 1)

        state = torch.cat([y, torch.zeros_like(y[:, :1])], 1)
        end_state = dopri5(field, state, start, end, tolerance=tolerance or self.tolerance).y
        return end_state[:, :d], end_state[:, d]

    def carried(self, y: Tensor, start: float, end: float, context: Tensor | None = None) -> Tensor:
        """Return where the adaptive solver takes records, without their log-determinants."""
        return dopri5(lambda t, x: self.velocity(t, x, context), y, start, end, tolerance=self.tolerance).y

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go from t = 1 to 0."""
        return self.arrive(x, 1.0, 0.0, context)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Go from t = 0 to 1."""
        return self.arrive(z, 0.0, 1.0, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Go from t = 0 to 1 without the trace."""
        return self.carried(z, 0.0, 1.0, context)

    def prepare(self, x: Tensor) -> Tensor:
        """Return f(x); nothing is fitted."""
        with torch.no_grad():
            return self.carried(x, 1.0, 0.0)

    def estimate_log_det(
        self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return z and the log-determinant by the fixed steps, with the trace exact or estimated."""
        way = self.trained(x, context, generator=generator)
        return way.z, way.log_det

    def trained(self, x: Tensor, context: Tensor | None = None, *, generator: torch.Generator | None = None) -> Way:
        """Return what :meth:`estimate_log_det` does, with what may be held against the way."""
        d = x.shape[1]
        if self.trace == "exact":
            traced = self.velocity.with_trace(context)
        else:
            generator = fresh(generator, x.device)
            signs = torch.randint(2, x.shape, generator=generator, device=x.device, dtype=x.dtype)
            traced = self.velocity.with_probe(2 * signs - 1, context)

        def field(t: Tensor, state: Tensor) -> Tensor:
            v, trace = traced(t, state[:, :d])
            return torch.cat([v, trace, v.square().sum(1, keepdim=True)], 1)

        state = torch.cat([x, x.new_zeros(len(x), 2)], 1)
        # what a step keeps for its gradient is some hundred times the state: little, unless there are many records
        state, error = rk4(field, state, 1.0, 0.0, self.steps, save_memory=state.numel() > 2**18)
        return Way(state[:, :d], state[:, d], -state[:, d + 1], error[:, : d + 1].sum(1))
