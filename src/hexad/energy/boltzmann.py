r"""The general Boltzmann machine: binary units, each coupled to each (Ackley, Hinton and Sejnowski, 1985).

.. math:: E(s) = -b^\top s - \tfrac12 s^\top J s,\qquad J = J^\top,\ J_{ii} = 0

The units s are the record's columns, and behind them hidden ones if there are any. The gradient is a difference of
correlations,

.. math:: \partial \log p / \partial J_{ij} = \langle s_i s_j\rangle_{data} - \langle s_i s_j\rangle_{model} .

Given a record, the hidden units are summed out where they are few and follow a mean-field law elsewhere; chains of
Gibbs sweeps, site by site, stand for the model (Salakhutdinov, 2008).

Where every unit is visible the conditionals need no chains at all: the *pseudo-likelihood*
:math:`\sum_i \log p(s_i | s_{-i})` has its maximum at the truth too (Besag, 1975).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hexad.energy.annealed import EnergyBridge, annealed_partition
from hexad.energy.base import Partition
from hexad.energy.bounded import BoundedEnergy
from hexad.energy.mean_field import mean_field, mean_field_bound
from hexad.energy.path import annealed_path
from hexad.energy.restricted import binary_states
from hexad.event import Event
from hexad.mcmc import bernoulli, scan_gibbs
from hexad.model import Trajectory
from hexad.randomness import fresh

__all__ = ["BoltzmannBridge", "BoltzmannMachine"]

_ENUMERATED = 18  # the most units in all that are summed over: a quarter of a million states
_SUMMED = 10  # the most hidden units that are summed over for every record


class BoltzmannMachine(BoundedEnergy):
    r"""Boltzmann machine with couplings between all units.

    log p is exact by enumeration up to 18 units in all. Beyond, log Z is annealed: an interval where up to 10 units
    are hidden, and with more of them a lower bound, since the free energy is then bounded by mean field.

    Args:
        event: binary columns.
        hidden: number of hidden units.
        objective: ``likelihood``, by persistent chains; or ``pseudo``, the pseudo-likelihood, without hidden units.
        k: sweeps of the chains a step.
        order: in which a sweep of training visits the sites, ``sequential`` or ``random``.
        particles: number of persistent chains.
        updates: mean-field updates of the hidden units' law.
        sample_steps: sweeps that make a sample, from independent columns to the model.

    Raises:
        ValueError: columns that are not binary, an unknown objective, or hidden units under the pseudo-likelihood.
    """

    base_bias: Tensor
    chain_states: Tensor
    pairs: Tensor

    def __init__(
        self,
        event: Event,
        hidden: int = 0,
        objective: Literal["likelihood", "pseudo"] = "likelihood",
        k: int = 1,
        order: Literal["sequential", "random"] = "sequential",
        particles: int = 100,
        updates: int = 20,
        sample_steps: int = 200,
    ) -> None:
        super().__init__(event)
        if event.kind != "binary":
            raise ValueError(f"a Boltzmann machine takes binary columns, got {event}")
        if objective not in ("likelihood", "pseudo"):
            raise ValueError(f"objective: expected likelihood or pseudo, got {objective!r}")
        if objective == "pseudo" and hidden:
            raise ValueError(f"objective pseudo is defined without hidden units, got hidden={hidden}")
        self.hidden, self.objective, self.k, self.order = hidden, objective, k, order
        self.updates, self.sample_steps = updates, sample_steps
        n = event.dims + hidden
        pairs = torch.triu_indices(n, n, 1)
        self.register_buffer("pairs", pairs, persistent=False)
        self.bias = nn.Parameter(torch.zeros(n))
        # couplings between columns start at 0; those of hidden units differ, or they would stay equal
        self.coupling = nn.Parameter(0.01 * torch.randn(pairs.shape[1]) * (pairs[1] >= event.dims))
        self.register_buffer("base_bias", torch.zeros(n))
        self.register_buffer("chain_states", (torch.rand(particles, n) < 0.5).float())

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the columns' biases to the log-odds of their smoothed means, and draw the chains from these."""
        mean = (x.flatten(1).sum(0, dtype=torch.float64) + 1) / (len(x) + 2)
        with torch.no_grad():
            for bias in (self.base_bias, self.bias):
                bias[: self.event.dims] = torch.logit(mean)
            base = torch.sigmoid(self.base_bias).expand_as(self.chain_states)
            self.chain_states.copy_(bernoulli(base, fresh(generator, self.device)))

    @property
    def work(self) -> int:
        """Multiplications of a record's energy: every coupling twice."""
        return 2 * self.coupling.numel()

    def matrix(self) -> Tensor:
        """Return J, (n, n): symmetric, its diagonal 0."""
        n = len(self.bias)
        upper = self.coupling.new_zeros(n, n).index_put((self.pairs[0], self.pairs[1]), self.coupling)
        return upper + upper.T

    def joint_energy(self, s: Tensor) -> Tensor:
        """Return E of all units s (batch, n), (batch,)."""
        return -(s @ self.bias) - 0.5 * (s @ self.matrix() * s).sum(1)

    def negatives(self) -> Tensor | None:
        """Return the columns of the persistent chains, (particles, D), where there are any."""
        return self.chain_states[:, : self.event.dims] if self.objective == "likelihood" else None

    @property
    def energy_is_exact(self) -> bool:
        """Whether the hidden units are summed out."""
        return self.hidden <= _SUMMED

    def energy(self, x: Tensor) -> Tensor:
        r"""Return the free energy of each record, (batch,): :math:`-\log\sum_h e^{-E(v,h)}`, summed over up to 10
        hidden units; with more of them the mean-field bound, which is not below it.
        """
        v, coupling, dims = x.flatten(1), self.matrix(), self.event.dims
        own = v @ self.bias[:dims] + 0.5 * (v @ coupling[:dims, :dims] * v).sum(1)
        if not self.hidden:
            return -own
        field, lateral = self.bias[dims:] + v @ coupling[:dims, dims:], coupling[dims:, dims:]
        if self.energy_is_exact:
            (h,) = binary_states(self.hidden, v)
            return -own - torch.logsumexp(field @ h.T + 0.5 * (h @ lateral * h).sum(1), 1)
        with torch.no_grad():  # the bound is flat in the means where they are stationary
            m = mean_field(field, lateral, steps=self.updates)
        return -own - mean_field_bound(field, lateral, m)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the free energy of each record less the mean energy of the chains, whose gradient is the difference
        of correlations; or the negative pseudo-likelihood, (batch,).
        """
        if self.objective == "pseudo":
            return -self.log_pseudo_likelihood(x)
        return self.energy(x) - self.joint_energy(self.chain_states).mean()

    def log_pseudo_likelihood(self, x: Tensor) -> Tensor:
        r"""Return :math:`\sum_i \log p(x_i | x_{-i})` of a machine without hidden units, (batch,)."""
        s = x.flatten(1)
        field = self.bias + s @ self.matrix()
        return -softplus((1 - 2 * s) * field).sum(1)

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains by k sweeps."""
        if self.objective == "likelihood":
            moved = self.sweep(self.chain_states, self.k, fresh(generator, self.device))
            self.chain_states.copy_(moved)

    def sweep(self, s: Tensor, sweeps: int, generator: torch.Generator | None) -> Tensor:
        """Return all units (batch, n) after Gibbs sweeps at the model."""
        bias, coupling = self.bias.detach(), self.matrix().detach()
        return scan_gibbs(s, bias, coupling, sweeps=sweeps, order=self.order, generator=generator)

    def bridge(self) -> BoltzmannBridge:
        """Return the path from independent units at the fitted biases (t = 0) to the model (t = 1)."""
        return BoltzmannBridge(self)

    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z: summed over up to 18 units, else annealed from both ends."""
        n = len(self.bias)
        if n <= _ENUMERATED:
            value = self._enumerate()
            return Partition(value, value, value, protocol="log Z summed over all states of all units")
        # a visit of a site is a small product: some seconds of one core a direction
        count = max(20, int(effort * min(1_000, max(200, 200_000 // n))))
        generator, runs = fresh(generator, self.device), max(2, min(100, budget or 100))
        return annealed_partition(self.bridge(), runs=runs, temperatures=count, generator=generator)

    @torch.no_grad()
    def _enumerate(self) -> float:
        bias, coupling = self.bias.double(), self.matrix().double()
        sums = [torch.logsumexp(s @ bias + 0.5 * (s @ coupling * s).sum(1), 0) for s in binary_states(len(bias), bias)]
        return float(torch.logsumexp(torch.stack(sums), 0))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return sweeps from independent columns: half of them anneal, half are at the model; 20 of them are shown."""
        generator, bridge = fresh(generator, self.device), self.bridge()
        return annealed_path(bridge, bridge.base(n, generator), self.sample_steps, self.record, generator)

    def record(self, s: Tensor) -> Tensor:
        """Return the records of all units (batch, n), (batch, \\*event.shape)."""
        return s[:, : self.event.dims].unflatten(1, self.event.shape)

    def extra_repr(self) -> str:
        """Return the sizes and how it is trained."""
        return f"visible={self.event.dims}, hidden={self.hidden}, objective={self.objective}, k={self.k}"


class BoltzmannBridge(EnergyBridge[Tensor]):
    r""":math:`\log f_t(s) = s^\top((1-t) b_0 + t b) + t\, s^\top J s / 2`, whose units are independent at t = 0."""

    def __init__(self, model: BoltzmannMachine) -> None:
        self.model = model
        self.tilt = model.bias.detach() - model.base_bias
        self.coupling = model.matrix().detach()

    def log_z_base(self) -> float:
        """Return log Z at t = 0."""
        return float(softplus(self.model.base_bias.double()).sum())

    def base(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return n exact samples at t = 0, of all units."""
        return bernoulli(torch.sigmoid(self.model.base_bias).expand(n, -1), generator)

    def target(self, n: int, moves: int, generator: torch.Generator | None) -> Tensor:
        """Return n chain states at t = 1: from the training chains where there are any, after some more sweeps."""
        model = self.model
        s = model.chain_states[torch.arange(n, device=model.device) % len(model.chain_states)]
        if model.objective == "pseudo":
            s = model.path(n, generator=generator).states[-1].flatten(1)
        return model.sweep(s, moves, generator)

    def log_ratio(self, state: Tensor, t: float, u: float) -> Tensor:
        """Return log f_u - log f_t at the state, (batch,)."""
        return (u - t) * (state @ self.tilt + 0.5 * (state @ self.coupling * state).sum(1))

    def move(self, state: Tensor, t: float, generator: torch.Generator | None) -> Tensor:
        """Return the state after one sweep in random order at t."""
        bias = self.model.base_bias + t * self.tilt
        return scan_gibbs(state, bias, t * self.coupling, order="random", generator=generator)
