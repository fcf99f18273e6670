r"""A flow fitted to an energy: no data, but a function U of which p is proportional to exp(-U).

With :math:`x = f^{-1}(z)`, z from the base, q the flow's density and :math:`w = e^{-U(x)} / q(x)`,

.. math:: E_q[w] = Z, \qquad E_q[\log w] = \log Z - \mathrm{KL}(q, p) .

So the mean of log w (the evidence lower bound) is below log Z in expectation, and the log of the mean of w is too,
but by an amount that vanishes with the number of draws. Three objectives:

- ``reverse``: KL(q, p), its gradient by reparameterisation (Variational Inference with Normalizing Flows; Rezende and
  Mohamed, 2015).
- ``path``: the same divergence by its path gradient
  :math:`E_z[(\partial_\theta x)^\top \nabla_x(\log q(x) + U(x))]`: what is left out is :math:`E_q[\partial_\theta \log
  q(x)] = 0`, which is noise (Sticking the Landing; Roeder, Wu and Duvenaud, 2017; Gradients should stay on Path;
  Vaitl, Nicoli, Nakajima and Kessel, 2022). At q = p it is zero for every draw.
- ``forward``: KL(p, q) on draws of q that annealed importance sampling carries to p, weighted by self-normalised
  weights (Flow Annealed Importance Sampling Bootstrap; Midgley et al., 2023, without its replay buffer and with p in
  place of p^2/q as the target). Reverse divergences settle on some of the modes; this one covers what the anneal finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hexad.checks import InputError, hint
from hexad.flow.base import Flow
from hexad.flow.bases import draws_are_differentiable
from hexad.mcmc import Bridge, Point, Sandwich, anneal, log_mean, mala, sandwich
from hexad.randomness import fresh

__all__ = ["EnergyFit", "FlowBridge", "annealed_log_z", "fit_to_energy", "importance_log_weights"]

EnergyFunction = Callable[[Tensor], Tensor]
Objective = Literal["path", "reverse", "forward"]

LOOK = 25  # steps between two looks at the device
ACCEPTANCE = 0.57  # of Metropolis-adjusted Langevin steps at their most efficient (Roberts and Rosenthal, 1998)
PILOT = 10  # anneals that tune the steps before the ones that count


@dataclass(frozen=True)
class EnergyFit:
    """A flow fitted to an energy, and what its draws say of log Z.

    Args:
        flow: the fitted flow, in eval mode.
        elbo: the mean of log w: a lower bound of log Z in expectation.
        elbo_stderr: its standard error.
        log_z: the log of the mean of w: in expectation a lower bound too, and right in the limit of many draws, if the
            flow has mass wherever the energy has.
        stderr: its standard error (delta method, or that of log-normal weights where it is larger).
        efficiency: effective sample size of the draws, as a part of their number: 1 where q = p.
        draws: number of draws behind all of these.
        annealed: log Z by annealing from the flow, forwards and backwards; None where it was not asked for. Its low and
            high ends are a nominal interval: the forward estimate is a lower bound in expectation; the reverse one is
            an upper bound only where exact samples of the target were given.
        losses: the mean loss of each step, (steps,); of ``path`` and ``reverse`` it is -elbo.
    """

    flow: Flow
    elbo: float
    elbo_stderr: float
    log_z: float
    stderr: float
    efficiency: float
    draws: int
    annealed: Sandwich | None
    losses: Tensor

    def __str__(self) -> str:
        """Return what is known of log Z, a line each, with what it is."""
        lines = [
            f"mean of log w   {self.elbo:.4f} +- {self.elbo_stderr:.4f}  a lower bound of log Z in expectation",
            f"log mean of w   {self.log_z:.4f} +- {self.stderr:.4f}  a lower bound in expectation, tighter; "
            f"effective {self.efficiency:.1%} of {self.draws} draws",
        ]
        if self.annealed is not None:
            found = self.annealed
            lines.append(f"annealed        {found.value:.4f} in [{found.low:.4f}, {found.high:.4f}], nominal")
        return "\n".join(lines)


def fit_to_energy(
    flow: Flow,
    energy: EnergyFunction,
    *,
    steps: int = 1000,
    batch_size: int = 256,
    lr: float = 1e-3,
    objective: Objective = "path",
    temperatures: int = 8,
    clip: float = 10.0,
    draws: int = 4096,
    samples: Tensor | None = None,
    anneals: int = 0,
    progress: Callable[[int, float], None] | None = None,
    generator: torch.Generator | None = None,
) -> EnergyFit:
    """Fit the flow's density to exp(-U) / Z, and estimate log Z from its draws.

    The rate falls to zero along a half cosine; Adam. A GPU is waited for every 25 steps only.

    Args:
        flow: where it starts; its weights are moved. A context that it takes counts as zeros.
        energy: U, from records (batch, *event.shape) to (batch,), finite where the flow has mass, differentiable.
        steps: of the optimiser.
        batch_size: draws a step.
        lr: rate at the start.
        objective: ``path``, ``reverse`` or ``forward``; see the module.
        temperatures: of an anneal from the flow to the energy: levels above 0.
        clip: largest norm of the gradient.
        draws: number of draws from which log Z is estimated, at least 2.
        samples: exact samples of exp(-U) / Z, where there are any: the reverse anneals start from them.
        anneals: number of anneals a direction; 0: log Z is not annealed.
        progress: called with the step and the mean loss every 25 steps.
        generator: where randomness comes from.

    Raises:
        InputError: an energy or a gradient that is not finite, with the step where it first was; the flow's weights
            are then of no use. An energy of the wrong shape. A number out of range.
        ValueError: ``path`` or ``reverse`` with a base whose draws cannot be differentiated.
    """
    _check_objective(flow, objective)
    _check_least("steps", steps, 1)
    _check_least("batch_size", batch_size, 1)
    _check_least("temperatures", temperatures, 1)
    _check_least("draws", draws, 2)
    _check_least("anneals", anneals or 2, 2)
    if not lr > 0:
        raise InputError(f"fit_to_energy: lr must be positive, got {lr}")
    generator = fresh(generator, flow.device)
    bridge = FlowBridge(flow, energy, temperatures)
    optimizer = torch.optim.Adam(flow.parameters(), lr=lr, fused=flow.device.type in ("cpu", "cuda"))
    losses = torch.zeros(steps, device=flow.device)
    sound = torch.ones(steps, 2, dtype=torch.bool, device=flow.device)  # loss, gradient
    look_every, seen = 1 if flow.device.type == "cpu" else LOOK, 0  # on the CPU a look costs nothing
    flow.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.5 * lr * (1 + math.cos(math.pi * step / steps))
        x, loss = _LOSSES[objective](flow, energy, bridge, batch_size, generator)
        optimizer.zero_grad()
        loss.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(flow.parameters(), clip)
        optimizer.step()
        flow.after_step(x, generator=generator)
        losses[step] = loss.detach().mean()
        sound[step, 0], sound[step, 1] = torch.isfinite(losses[step]), torch.isfinite(norm)
        if step + 1 - seen >= look_every or step + 1 == steps:
            _look(sound, seen, step + 1)
            seen = step + 1
        if progress is not None and ((step + 1) % LOOK == 0 or step + 1 == steps):
            progress(step + 1, float(losses[step]))
    flow.eval()
    log_w = importance_log_weights(flow, energy, draws, chunk=batch_size, generator=generator)
    found = log_mean(log_w)
    return EnergyFit(
        flow=flow,
        elbo=float(log_w.mean()),
        elbo_stderr=float(log_w.std()) / math.sqrt(draws),
        log_z=found.value,
        stderr=found.stderr,
        efficiency=found.effective / draws,
        draws=draws,
        annealed=annealed_log_z(bridge, anneals, samples=samples, generator=generator) if anneals else None,
        losses=losses.cpu(),
    )


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise InputError(f"fit_to_energy: {name} must be at least {least}, got {value}")


def _check_objective(flow: Flow, objective: str) -> None:
    if objective not in _LOSSES:
        raise InputError(f"fit_to_energy: unknown objective {objective!r}{hint(objective, _LOSSES)}")
    if objective != "forward" and not draws_are_differentiable(flow.base):
        raise ValueError(
            f"objective {objective!r} differentiates draws, and those of a base {type(flow.base).__name__} are not "
            "differentiable in its parameters: freeze them, or take objective='forward'"
        )


def _look(sound: Tensor, first: int, end: int) -> None:
    """Raise where one of the steps from ``first`` to ``end`` had a loss or a gradient that is not finite."""
    bad = (~sound[first:end]).any(1).nonzero()
    if len(bad):
        step = first + int(bad[0])
        what = "gradient" if sound[step, 0] else "energy"
        raise InputError(
            f"fit_to_energy: the {what} was not finite at step {step + 1}: expected an energy that is finite and "
            "smooth wherever the flow puts mass; start from a narrower flow, or take a smaller lr"
        )


def _energy_of(energy: EnergyFunction, flow: Flow, x: Tensor) -> Tensor:
    """Return U of flat records."""
    value = energy(x.reshape(len(x), *flow.event.shape))
    if not isinstance(value, Tensor):
        raise InputError(f"energy: expected a torch tensor, one number a record, got {type(value).__name__}")
    if value.shape != (len(x),):
        raise InputError(f"energy: expected one number a record, ({len(x)},), got shape {tuple(value.shape)}")
    if torch.is_grad_enabled() and x.requires_grad and not value.requires_grad:
        raise InputError(
            "energy: it has no gradient: expected one computed from the records by torch's operations, "
            "without detach() or no_grad()"
        )
    return value


def _reverse(
    flow: Flow, energy: EnergyFunction, bridge: FlowBridge, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return draws and log q + U, differentiable in all ways."""
    z = flow.base.sample(n, generator=generator)
    x, log_det = flow.transform.inverse_and_log_det(z)
    return x.detach(), flow.base.log_prob(z) - log_det + _energy_of(energy, flow, x)


def _path(
    flow: Flow, energy: EnergyFunction, bridge: FlowBridge, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return draws and log q + U, whose gradient is that along the draw alone."""
    x = flow.transform.inverse(flow.base.sample(n, generator=generator))
    there = x.detach().requires_grad_()
    loss = flow.log_prob(there) + _energy_of(energy, flow, there)
    (slope,) = torch.autograd.grad(loss.sum(), there)
    along = (slope * x).sum(1)
    return there.detach(), loss.detach() + along - along.detach()


def _forward(
    flow: Flow, energy: EnergyFunction, bridge: FlowBridge, n: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return annealed draws and their weighted -log q, the weights of mean 1."""
    log_w, x = bridge.carry(n, tune=True, generator=generator)
    weights = n * torch.softmax(log_w, 0)
    return x, -weights.to(x.dtype) * flow.log_prob(x)


_LOSSES: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {"path": _path, "reverse": _reverse, "forward": _forward}


class FlowBridge(Bridge[Point]):
    r"""The path :math:`\log f_t(x) = (1 - t)\log q(x) - t\,U(x)` from a flow to an energy, moved by one
    Metropolis-adjusted Langevin step a level.

    Each level has a step of its own, which :meth:`tune` moves; between two calls of it the kernels are fixed, and so
    leave their laws invariant.

    Args:
        flow: q, with normalised density.
        energy: U.
        temperatures: number of levels above 0, equally far apart.
    """

    def __init__(self, flow: Flow, energy: EnergyFunction, temperatures: int) -> None:
        self.flow, self.energy = flow, energy
        self.times = [k / temperatures for k in range(temperatures + 1)]
        start = math.log(0.1 * flow.event.dims ** (-1 / 3))
        self.log_steps = torch.full((temperatures + 1,), start, device=flow.device, dtype=flow.dtype)
        self._accepted = torch.full_like(self.log_steps, ACCEPTANCE)

    def evaluate(self, x: Tensor) -> Point:
        """Return -log q and U at flat records, with their gradients."""
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            terms = [-self.flow.log_prob(x), _energy_of(self.energy, self.flow, x)]
            slopes = [torch.autograd.grad(term.sum(), x)[0] for term in terms]
        return Point(x.detach(), torch.stack(terms).detach(), torch.stack(slopes))

    def log_ratio(self, state: Point, t: float, u: float) -> Tensor:
        """Return (u - t)(E_0 - E_1) with the energies -log q and U."""
        return (u - t) * (state.energies[0] - state.energies[1])

    def move(self, state: Point, t: float, generator: torch.Generator | None) -> Point:
        """Return the state after one step at t."""
        k = round(t * (len(self.times) - 1))
        mix = torch.tensor([1 - t, t], dtype=state.x.dtype).to(state.x.device, non_blocking=True)
        moved, accept = mala(state, self.evaluate, mix, step=self.log_steps[k].exp(), generator=generator)
        self._accepted[k] = accept.mean()
        return moved

    def tune(self, rate: float = 0.5) -> None:
        """Move each level's step to where the usual share of the last anneal's proposals would be accepted."""
        self.log_steps = self.log_steps + rate * (self._accepted - ACCEPTANCE)

    def carry(self, n: int, *, tune: bool, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Return log w, (n,), and the last states, (n, D), of n anneals from draws of the flow."""
        with torch.no_grad():
            start = self.flow.sample(n, generator=generator).flatten(1)
        log_w, point = anneal(self, self.evaluate(start), self.times, generator=generator)
        if tune:
            self.tune()
        return log_w, point.x


@torch.no_grad()
def importance_log_weights(
    flow: Flow, energy: EnergyFunction, draws: int, *, chunk: int = 1024, generator: torch.Generator | None = None
) -> Tensor:
    """Return log w = -U(x) - log q(x) of draws of the flow, (draws,) in float64.

    Args:
        flow: q.
        energy: U.
        draws: number of draws.
        chunk: number of draws at a time.
        generator: where randomness comes from.

    Raises:
        InputError: an energy that is NaN or -inf; +inf is a record of no mass.
    """
    generator = fresh(generator, flow.device)
    found = []
    for first in range(0, draws, chunk):
        z = flow.base.sample(min(chunk, draws - first), generator=generator)
        x, log_det = flow.transform.inverse_and_log_det(z)
        log_q = flow.base.log_prob(z).double() - log_det.double()
        found.append(-_energy_of(energy, flow, x).double() - log_q)
    log_w = torch.cat(found)
    if not bool((log_w < math.inf).all()):
        raise InputError("energy: expected finite numbers at the flow's draws, got NaN or minus infinity")
    return log_w


def annealed_log_z(
    bridge: FlowBridge, n: int, *, samples: Tensor | None = None, generator: torch.Generator | None = None
) -> Sandwich:
    """Return log Z by n anneals from the flow to the energy and n back.

    The way back starts from ``samples``, which makes it an upper bound in expectation; without any, from the last
    states of the way there, drawn by their weights: an estimate, whose error is not independent of the other's.

    Args:
        bridge: from the flow to the energy; its steps are tuned first.
        n: number of anneals a direction, at least 2.
        samples: exact samples of the target, at least 2.
        generator: where randomness comes from.
    """
    generator = fresh(generator, bridge.flow.device)
    for _ in range(PILOT):
        bridge.carry(min(n, 256), tune=True, generator=generator)
    forward, last = bridge.carry(n, tune=False, generator=generator)
    if samples is None:
        start = last[torch.multinomial(torch.softmax(forward, 0), n, replacement=True, generator=generator)]
    else:
        start = samples.to(last).flatten(1)[:n]
    reverse, _ = anneal(bridge, bridge.evaluate(start), bridge.times, reverse=True, generator=generator)
    return sandwich(forward, reverse, exact=samples is not None)
