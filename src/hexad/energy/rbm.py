r"""The restricted Boltzmann machine on binary records (Smolensky, 1986; Hinton, 2002).

.. math::

    E(v, h) = -b^\top v - c^\top h - (v - \mu)^\top W h,\qquad
    F(v) = -b^\top v - \sum_j \log\left(1 + e^{a_j}\right),\quad a = c + W^\top (v - \mu)

:math:`-\nabla \log p` is the free energy's gradient on the data less that on the model, which chains of Gibbs sweeps
stand for. With the mean hidden activation :math:`\lambda` as a second offset the *centred* direction is

.. math:: \Delta W = \langle (v-\mu)(h-\lambda)^\top\rangle_{model - data},\quad \Delta c = \langle h\rangle,\quad
          \Delta b = \langle v\rangle - \Delta W \lambda ,

which treats a bit and its complement alike: flipping columns of the data flips the signs of the direction and no
more. Both offsets at 0 give back the plain gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hexad.energy.base import EnergyModel, Partition
from hexad.event import Event
from hexad.mcmc import Bridge, anneal, bernoulli, block_gibbs, sandwich
from hexad.model import Trajectory
from hexad.randomness import fresh

__all__ = ["RBM", "RBMBridge"]

_ENUMERATED = 16  # the most units that are summed over: 65,536 states


class RBM(EnergyModel):
    r"""Bernoulli restricted Boltzmann machine, trained by contrastive divergence with closed-form gradients.

    The loss of a record is its free energy less the mean free energy of the negatives; its gradient is the
    contrastive one (persistent chains: Tieleman, 2008; centred: Melchior, Fischer and Wiskott, 2016).

    Args:
        event: binary columns.
        hidden: number of hidden units.
        chains: where negatives come from: ``persistent`` chains, a buffer that ``after_step`` advances by ``k``
            sweeps, or ``data``: ``k`` sweeps that start at the batch.
        k: sweeps a step.
        centred: whether offsets are taken off the units.
        particles: number of persistent chains.
        rate: of the moving average of the hidden offset.
        sample_steps: sweeps that make a sample, from the independent base at inverse temperature 0 to the model.

    Raises:
        ValueError: columns that are not binary, or an unknown kind of chains.
    """

    base_bias: Tensor
    visible_offset: Tensor
    hidden_offset: Tensor
    chain_states: Tensor

    def __init__(
        self,
        event: Event,
        hidden: int = 128,
        chains: Literal["persistent", "data"] = "persistent",
        k: int = 1,
        centred: bool = False,
        particles: int = 100,
        rate: float = 0.01,
        sample_steps: int = 400,
    ) -> None:
        super().__init__(event)
        if event.kind != "binary":
            raise ValueError(f"a Bernoulli RBM takes binary columns, got {event}")
        if chains not in ("persistent", "data"):
            raise ValueError(f"chains: expected persistent or data, got {chains!r}")
        self.hidden, self.chains, self.k, self.centred = hidden, chains, k, centred
        self.rate, self.sample_steps = rate, sample_steps
        self.weight = nn.Parameter(0.01 * torch.randn(event.dims, hidden))
        self.visible_bias = nn.Parameter(torch.zeros(event.dims))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("base_bias", torch.zeros(event.dims))
        self.register_buffer("visible_offset", torch.full((event.dims,), 0.5 if centred else 0.0))
        self.register_buffer("hidden_offset", torch.full((hidden,), 0.5 if centred else 0.0))
        self.register_buffer("chain_states", (torch.rand(particles, event.dims) < 0.5).float())

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set visible biases (and offset) to the log-odds (and values) of the smoothed means of the columns."""
        generator = fresh(generator, self.device)
        mean = (x.flatten(1).sum(0, dtype=torch.float64) + 1) / (len(x) + 2)
        with torch.no_grad():
            for bias in (self.base_bias, self.visible_bias):
                bias.copy_(torch.logit(mean))
            if self.centred:
                self.visible_offset.copy_(mean)
            self.chain_states.copy_(bernoulli(torch.sigmoid(self.base_bias).expand_as(self.chain_states), generator))

    def activation(self, v: Tensor) -> Tensor:
        """Return a, the logits of the hidden units given v (batch, D), (batch, H)."""
        return torch.addmm(self.hidden_bias, v - self.visible_offset if self.centred else v, self.weight)

    def hidden_probability(self, v: Tensor) -> Tensor:
        """Return P(h = 1 | v), (batch, H)."""
        return torch.sigmoid(self.activation(v))

    def visible_probability(self, h: Tensor) -> Tensor:
        """Return P(v = 1 | h), (batch, D)."""
        return torch.sigmoid(torch.addmm(self.visible_bias, h, self.weight.T))

    def negatives(self) -> Tensor | None:
        """Return the persistent chains, (particles, D), where there are any."""
        return self.chain_states if self.chains == "persistent" else None

    def energy(self, x: Tensor) -> Tensor:
        """Return the free energy F(v), (batch,)."""
        v = x.flatten(1)
        return -(v @ self.visible_bias) - softplus(self.activation(v)).sum(1)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return F(x) less the mean of F over the negatives, (batch,), with the contrastive gradient."""
        v = x.flatten(1)
        with torch.no_grad():
            negative = (
                self.chain_states
                if self.chains == "persistent"
                else self.sweep(v, self.k, fresh(generator, self.device))
            )
        loss: Tensor = _Contrast.apply(
            v, negative, self.weight, self.visible_bias, self.hidden_bias, self.visible_offset, self.hidden_offset
        )
        return loss

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains by k sweeps, and the hidden offset towards the mean activation on the batch."""
        generator = fresh(generator, self.device)
        v = x.flatten(1)
        if self.chains == "persistent":
            self.chain_states.copy_(self.sweep(self.chain_states, self.k, generator))
        if self.centred:
            self.hidden_offset.lerp_(self.hidden_probability(v).mean(0), self.rate)

    def sweep(self, v: Tensor, sweeps: int, generator: torch.Generator) -> Tensor:
        """Return visible units (batch, D) after Gibbs sweeps at the model."""
        return block_gibbs(v, self.hidden_probability, self.visible_probability, sweeps=sweeps, generator=generator)

    def bridge(self) -> RBMBridge:
        """Return the path from independent columns at the fitted biases (t = 0) to the model (t = 1)."""
        return RBMBridge(self)

    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z: summed over the smaller side where it has at most 16 units, else annealed from both ends."""
        if min(self.hidden, self.event.dims) <= _ENUMERATED:
            value = self._enumerate()
            side = "hidden" if self.hidden <= self.event.dims else "visible"
            return Partition(value, value, value, protocol=f"log Z summed over all states of the {side} units")
        generator = fresh(generator, self.device)
        bridge, runs = self.bridge(), max(2, min(100, budget or 100))
        # multiplications: at most 1.6e11 a direction, some seconds of one core
        work = 2 * runs * self.event.dims * self.hidden
        count = max(20, int(effort * min(4_000, max(500, 1.6e11 / work))))
        times = torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()
        with torch.no_grad():
            forward, _ = anneal(bridge, bridge.base(runs, generator), times, generator=generator)
            end = bridge.target(runs, count // 4, generator)
            reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
        return Partition.annealed(sandwich(forward, reverse), bridge.log_z_base(), f"{count} temperatures")

    @torch.no_grad()
    def _enumerate(self) -> float:
        r"""Return log Z summed over the smaller side; the other side's sum is a product."""
        w, b, c = self.weight.double(), self.visible_bias.double(), self.hidden_bias.double()
        c = c - self.visible_offset.double() @ w
        if self.event.dims < self.hidden:
            w, b, c = w.T, c, b
        units = len(c)
        parts = []
        for codes in torch.arange(2**units, device=w.device).split(8192):
            h = ((codes[:, None] >> torch.arange(units, device=w.device)) & 1).double()
            parts.append(torch.logsumexp(h @ c + softplus(torch.addmm(b, h, w.T)).sum(1), 0))
        return float(torch.logsumexp(torch.stack(parts), 0))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return Gibbs sweeps from the base: half of them anneal, half are at the model; 20 of them are shown."""
        generator = fresh(generator, self.device)
        bridge, steps = self.bridge(), max(2, self.sample_steps)
        state = bridge.base(n, generator)
        shown = {round(steps * j / 20) for j in range(1, 21)}
        states, labels = [state.v], ["base"]
        for i in range(1, steps + 1):
            state = bridge.move(state, min(1.0, 2 * i / steps), generator)
            if i in shown:
                states.append(state.v)
                labels.append(f"sweep {i}")
        return Trajectory(torch.stack(states).unflatten(2, self.event.shape), "chain step", tuple(labels))

    def extra_repr(self) -> str:
        """Return the sizes and how it is trained."""
        kind = "centred, " if self.centred else ""
        return f"visible={self.event.dims}, hidden={self.hidden}, {kind}chains={self.chains}, k={self.k}"


class _Contrast(torch.autograd.Function):
    """Free energy of records less the mean over negatives; the gradient is the (centred) contrastive one."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, negative: Tensor, weight: Tensor, b: Tensor, c: Tensor, mu: Tensor, offset: Tensor
    ) -> Tensor:
        both = torch.cat([v, negative])
        centred = both - mu
        a = torch.addmm(c, centred, weight)
        ctx.save_for_backward(both, centred, a, offset)
        ctx.records = len(v)
        free = -(both @ b) - softplus(a).sum(1)
        return free[: len(v)] - free[len(v) :].mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        both, centred, a, offset = ctx.saved_tensors
        count = len(both) - ctx.records
        # what each row counts: its own weight for a record, an equal share of the sum, negated, for a negative
        share = torch.cat([-grad, (grad.sum() / count).expand(count)])
        h = torch.sigmoid(a)
        grad_w = centred.T @ ((h - offset) * share[:, None])
        grad_b = share @ both - grad_w @ offset
        return None, None, grad_w, grad_b, share @ h, None, None


@dataclass(frozen=True)
class _State:
    """Visible units with the logits of their hidden ones."""

    v: Tensor
    a: Tensor


class RBMBridge(Bridge[_State]):
    r"""The path of Salakhutdinov and Murray (2008).

    .. math:: \log f_t(v) = v^\top((1-t) b_0 + t b) + \sum_j \log(1 + e^{t a_j})

    The weights stay as they are: a temperature scales the pre-activations.
    """

    def __init__(self, model: RBM) -> None:
        self.model = model
        self.tilt = model.visible_bias.detach() - model.base_bias

    def log_z_base(self) -> float:
        """Return log Z at t = 0."""
        return float(
            softplus(self.model.base_bias.double()).sum() + self.model.hidden * torch.log(torch.tensor(2.0).double())
        )

    def state(self, v: Tensor) -> _State:
        """Return visible units (batch, D) as a state."""
        return _State(v, self.model.activation(v).detach())

    def base(self, n: int, generator: torch.Generator | None) -> _State:
        """Return n exact samples at t = 0."""
        return self.state(bernoulli(torch.sigmoid(self.model.base_bias).expand(n, -1), generator))

    def target(self, n: int, sweeps: int, generator: torch.Generator) -> _State:
        """Return n chain states at t = 1: from the training chains where there are any, after some more sweeps."""
        model = self.model
        if model.chains == "persistent":
            v = model.chain_states[torch.arange(n, device=model.device) % len(model.chain_states)]
        else:
            v = model.path(n, generator=generator).states[-1].flatten(1)
        return self.state(model.sweep(v, sweeps, generator))

    def log_ratio(self, state: _State, t: float, u: float) -> Tensor:
        """Return log f_u - log f_t at the state, (batch,)."""
        return (u - t) * (state.v @ self.tilt) + (softplus(u * state.a) - softplus(t * state.a)).sum(1)

    def move(self, state: _State, t: float, generator: torch.Generator | None) -> _State:
        """Return the state after one sweep over both blocks at t."""
        model = self.model
        h = bernoulli(torch.sigmoid(t * state.a), generator)
        logits = torch.addmm(model.base_bias + t * self.tilt, h, model.weight.detach().T, alpha=t)
        return self.state(bernoulli(torch.sigmoid(logits), generator))
