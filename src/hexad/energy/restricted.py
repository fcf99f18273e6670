r"""What all restricted Boltzmann machines share (Smolensky, 1986; Hinton, 2002; Welling, Rosen-Zvi and Hinton, 2004).

Binary hidden units h over visible units v whose law given h is of an exponential family with statistics T(v):

.. math::

    -E(v, h) = b^\top T(v) + \log c_0(v) + c^\top h + (T(v) - \mu)^\top W h,\qquad
    \log p(v \mid h) = \eta^\top T(v) + \log c_0(v) - A(\eta),\quad \eta = b + W h

    F(v) = -b^\top T(v) - \log c_0(v) - \sum_j \log\left(1 + e^{a_j}\right),\quad a = c + W^\top (T(v) - \mu)

:math:`-\nabla \log p` is the free energy's gradient on the data less that on the model, which chains of Gibbs sweeps
stand for. With the mean hidden activation :math:`\lambda` as a second offset the *centred* direction treats a bit and
its complement alike, see :mod:`hexad.energy.contrast`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hexad.energy.annealed import annealed_partition
from hexad.energy.base import EnergyModel, Partition
from hexad.energy.contrast import Contrast
from hexad.energy.path import annealed_path
from hexad.energy.restricted_bridge import RestrictedBridge
from hexad.energy.tempered import exchange, inverse_temperatures
from hexad.event import Event
from hexad.mcmc import bernoulli
from hexad.model import Trajectory, Vital
from hexad.randomness import fresh

__all__ = ["ENUMERATED", "Chains", "RestrictedMachine", "Start", "binary_states"]

Chains = Literal["persistent", "tempered", "data"]
Start = Literal["columns", "zero"]

ENUMERATED = 16  # the most binary units that are summed over: 65,536 states


class RestrictedMachine(EnergyModel):
    r"""Binary hidden units over visible units of an exponential family, with closed-form contrastive gradients.

    The loss of a record is its free energy less the mean free energy of the negatives; its gradient is the
    contrastive one (persistent chains: Tieleman, 2008; centred: Melchior, Fischer and Wiskott, 2016).

    To implement one: pass the number of statistics to ``super().__init__`` and give :meth:`draw`, :meth:`mean`,
    :meth:`log_normaliser` and :meth:`independent`; where T(v) is not v, :meth:`statistics`; where the carrier is not
    1, :meth:`log_carrier`. Both may have parameters of their own: their gradient is autograd's. Few visible states are
    listed by :meth:`visible_states`.

    Args:
        event: what one record is.
        statistics: S, the length of T(v).
        hidden: number of hidden units.
        chains: where negatives come from: ``persistent`` chains, which ``after_step`` advances by ``k`` sweeps;
            ``tempered`` ones, which exchange their states with ``replicas`` of the bridge down to the base (Desjardins
            et al., 2010); or ``data``: ``k`` sweeps that start at the batch.
        k: sweeps a step.
        centred: whether offsets are taken off the units.
        particles: number of chains.
        rate: of the moving average of the hidden offset.
        sample_steps: sweeps that make a sample, from the independent base at inverse temperature 0 to the model.
        columns: D, the length of v; None: that of a record.
        start: of the visible biases: ``columns``, at independent columns fitted to the records, or ``zero``.
        replicas: temperatures of tempered chains, at least 2.

    Raises:
        ValueError: an unknown kind of chains or of start, or too few replicas.
    """

    base_bias: Tensor
    visible_offset: Tensor
    hidden_offset: Tensor
    chain_states: Tensor
    chain_hidden: Tensor
    swap_acceptance: Tensor

    def __init__(
        self,
        event: Event,
        statistics: int,
        hidden: int = 128,
        chains: Chains = "persistent",
        k: int = 1,
        centred: bool = False,
        particles: int = 100,
        rate: float = 0.01,
        sample_steps: int = 400,
        columns: int | None = None,
        start: Start = "columns",
        replicas: int = 10,
    ) -> None:
        super().__init__(event)
        if chains not in get_args(Chains):
            raise ValueError(f"chains: expected persistent, tempered or data, got {chains!r}")
        if replicas < 2:
            raise ValueError(f"replicas: expected at least 2, the model and the base, got {replicas}")
        self.hidden, self.chains, self.k, self.centred = hidden, chains, k, centred
        self.particles, self.replicas = particles, replicas
        if start not in get_args(Start):
            raise ValueError(f"start: expected columns or zero, got {start!r}")
        self.rate, self.sample_steps, self.start = rate, sample_steps, start
        self.weight = nn.Parameter(0.01 * torch.randn(statistics, hidden))
        self.visible_bias = nn.Parameter(torch.zeros(statistics))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.register_buffer("base_bias", torch.zeros(statistics))
        self.register_buffer("visible_offset", torch.zeros(statistics))
        self.register_buffer("hidden_offset", torch.full((hidden,), 0.5 if centred else 0.0))
        rows = particles * (replicas if chains == "tempered" else 1)
        self.register_buffer("chain_states", torch.zeros(rows, event.dims if columns is None else columns))
        self.register_buffer("chain_hidden", torch.zeros(rows, hidden))
        self.register_buffer("swap_acceptance", torch.ones(replicas - 1 if chains == "tempered" else 0))
        self._known: tuple[object, Tensor] | None = None

    # -- the visible units: what a machine gives -------------------------------------------------------------------

    def statistics(self, v: Tensor) -> Tensor:
        """Return T(v) of visible units (batch, D), (batch, S)."""
        return v

    def log_carrier(self, v: Tensor) -> Tensor:
        """Return log c_0(v), (batch,)."""
        return v.new_zeros(len(v))

    @abstractmethod
    def draw(self, eta: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return visible units at natural parameters (batch, S), one draw each, (batch, D)."""

    @abstractmethod
    def mean(self, eta: Tensor) -> Tensor:
        """Return the expectation of T(v) at natural parameters (batch, S), (batch, S)."""

    @abstractmethod
    def log_normaliser(self, eta: Tensor) -> Tensor:
        """Return A of natural parameters (batch, S), (batch,)."""

    @abstractmethod
    def independent(self, v: Tensor) -> Tensor:
        """Return the natural parameters of independent columns fitted to records (n, D), (S,) in float64."""

    def visible_states(self) -> list[Tensor] | None:
        """Return all states of the visible units in parts, (rows, D) each, where there are at most 2^16, else None."""
        return None

    # -- the machine -----------------------------------------------------------------------------------------------

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the base, the offset and (unless they start at zero) the biases of the visible units to independent
        columns, and draw the chains from the base.
        """
        generator = fresh(generator, self.device)
        with torch.no_grad():
            eta = self.independent(self.visible(x))
            self.base_bias.copy_(eta)
            self.visible_bias.copy_(eta if self.start == "columns" else torch.zeros_like(eta))
            if self.centred:
                self.visible_offset.copy_(self.mean(eta[None])[0])
            self.start_chains(self.draw(self.base_bias.expand(len(self.chain_states), -1), generator), generator)

    @torch.no_grad()
    def start_chains(self, v: Tensor, generator: torch.Generator | None = None) -> None:
        """Start the chains at visible units, (chains, D); hidden units are drawn given them."""
        self.chain_states.copy_(v)
        self.chain_hidden.copy_(bernoulli(self.hidden_probability(self.chain_states), fresh(generator, self.device)))

    def visible(self, x: Tensor) -> Tensor:
        """Return the visible units of records (batch, \\*event.shape), (batch, D)."""
        return x.flatten(1)

    def activation(self, v: Tensor) -> Tensor:
        """Return a, the logits of the hidden units given v (batch, D), (batch, H)."""
        t = self.statistics(v)
        return torch.addmm(self.hidden_bias, t - self.visible_offset if self.centred else t, self.weight)

    def hidden_probability(self, v: Tensor) -> Tensor:
        """Return P(h = 1 | v), (batch, H)."""
        return torch.sigmoid(self.activation(v))

    def hidden_mean(self, x: Tensor) -> Tensor:
        """Return the mean activation of the hidden units on records, (H,)."""
        return self.hidden_probability(self.visible(x)).mean(0)

    def natural(self, h: Tensor) -> Tensor:
        """Return the natural parameters of the visible units given h (batch, H), (batch, S)."""
        return torch.addmm(self.visible_bias, h, self.weight.T)

    def negatives(self) -> Tensor | None:
        """Return the records of the model's chains, (particles, columns), where there are any."""
        chains = self.model_chains()
        return None if chains is None else self.record(chains).flatten(1)

    def model_chains(self) -> Tensor | None:
        """Return the visible units of the model's chains, (particles, D), where there are any."""
        if self.chains == "tempered":
            return self.chain_states[: self.particles]
        return self.chain_states if self.chains == "persistent" else None

    def free_energy(self, v: Tensor) -> Tensor:
        """Return F(v) of visible units (batch, D), (batch,)."""
        return -(self.statistics(v) @ self.visible_bias) - self.log_carrier(v) - softplus(self.activation(v)).sum(1)

    def energy(self, x: Tensor) -> Tensor:
        """Return the free energy F(v), (batch,)."""
        return self.free_energy(self.visible(x))

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return F(x) less the mean of F over the negatives, (batch,), with the contrastive gradient."""
        v = self.visible(x)
        negative = self.model_chains()
        if negative is None:
            with torch.no_grad():
                negative = self.sweep(v, self.k, fresh(generator, self.device))
            return self.contrast(v, negative)
        return self.contrast(v, negative, self._recall())

    def contrast(self, v: Tensor, negative: Tensor, known: Tensor | None = None) -> Tensor:
        """Return F of visible units (batch, D) less its mean over negatives (m, D), with the contrastive gradient.

        Args:
            v, negative: visible units.
            known: the activations of the negatives (m, H), where they are at hand.
        """
        loss: Tensor = Contrast.apply(
            self.statistics(v),
            self.statistics(negative),
            known,
            self.weight,
            self.visible_bias,
            self.hidden_bias,
            self.visible_offset if self.centred else None,
            self.hidden_offset if self.centred else None,
        )
        return loss - self.log_carrier(v) + self.log_carrier(negative).mean()

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains by k sweeps, and the hidden offset towards the mean activation on the batch."""
        generator = fresh(generator, self.device)
        if self.chains == "persistent":
            self._advance(generator)
        elif self.chains == "tempered":
            self._temper(generator)
        if self.centred:
            self.hidden_offset.lerp_(self.hidden_mean(x), self.rate)

    def _advance(self, generator: torch.Generator) -> None:
        """Move the chains by k sweeps h -> v -> h'. Their h was drawn before the weights moved, which takes one product
        less than to draw it anew.
        """
        h = self.chain_hidden
        for _ in range(self.k):
            v = self.draw(self.natural(h), generator)
            a = self.activation(v)
            h = bernoulli(torch.sigmoid(a), generator)
        self.chain_states.copy_(v)
        self.chain_hidden.copy_(h)
        self._known = (self._where(), a)

    def _temper(self, generator: torch.Generator) -> None:
        """Move every replica by k sweeps at its own temperature, and let neighbours exchange their states."""
        bridge, t = self.bridge(), inverse_temperatures(self.replicas, self.weight)
        rows = t.repeat_interleave(self.particles)[:, None]
        state = bridge.state(self.chain_states)
        for _ in range(self.k):
            state = bridge.move(state, rows, generator)
        v, a = (x.unflatten(0, (self.replicas, self.particles)) for x in (state.v, state.a))
        v, a, accepted = exchange(v, a, bridge.rise, t, generator)
        self.chain_states.copy_(v.flatten(0, 1))
        self.swap_acceptance.lerp_(accepted, self.rate)
        # the bridge folds the offset into a bias: what is computed anew, after a resume, would differ in its last bits
        self._known = None if self.centred else (self._where(), a[0])

    def _where(self) -> object:
        """Return what tells whether activations of the chains still are those of these weights and states."""
        tensors = [*self.parameters(), self.visible_offset, self.chain_states]
        return tuple((t.data_ptr(), t._version, t.shape) for t in tensors)

    def _recall(self) -> Tensor | None:
        """Return the activations of the chains that ``after_step`` left, unless weights or states moved since."""
        if self._known is None or torch.compiler.is_compiling() or self._known[0] != self._where():
            return None
        return self._known[1]

    @torch.no_grad()
    def vitals(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Vital, ...]:
        """Return those of all energies, and the least rate at which tempered neighbours exchange their states."""
        signs = super().vitals(x, context=context, generator=generator)
        if self.chains != "tempered":
            return signs
        words = "neighbouring temperatures hardly exchange their chains"
        return (*signs, Vital("swap acceptance", float(self.swap_acceptance.min()), 0.02, 1.0, words))

    def sweep(self, v: Tensor, sweeps: int, generator: torch.Generator | None) -> Tensor:
        """Return visible units (batch, D) after Gibbs sweeps at the model."""
        for _ in range(sweeps):
            v = self.draw(self.natural(bernoulli(self.hidden_probability(v), generator)), generator)
        return v

    def bridge(self) -> RestrictedBridge:
        """Return the path from independent columns at the fitted biases (t = 0) to the model (t = 1)."""
        return RestrictedBridge(self)

    # -- log Z -----------------------------------------------------------------------------------------------------

    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z: summed where :meth:`enumerated` does, else annealed from both ends."""
        exact = self.enumerated()
        if exact is not None:
            return exact
        runs = max(2, min(100, budget or 100))
        # multiplications: at most 1.6e11 a direction, some seconds of one core
        work = 2 * runs * self.weight.numel()
        count = max(20, int(effort * min(4_000, max(500, 1.6e11 / work))))
        generator = fresh(generator, self.device)
        return annealed_partition(self.bridge(), runs=runs, temperatures=count, generator=generator)

    @torch.no_grad()
    def enumerated(self) -> Partition | None:
        """Return log Z summed over the side with fewer states, at most 2^16 of them, else None; the sum over the other
        side has a closed form.
        """
        visible = self.visible_states()
        if visible is not None and (self.hidden > ENUMERATED or sum(map(len, visible)) < 2**self.hidden):
            side, parts = "visible", [self._log_weight(v) for v in visible]
        elif self.hidden <= ENUMERATED:
            side, parts = "hidden", [self._log_weight_hidden(h) for h in self._hidden_states()]
        else:
            return None
        value = float(torch.logsumexp(torch.stack([torch.logsumexp(part, 0) for part in parts]), 0))
        return Partition(value, value, value, protocol=f"log Z summed over all states of the {side} units")

    def _hidden_states(self) -> list[Tensor]:
        """Return all states of the hidden units, in parts whose natural parameters take some 64 MB."""
        return binary_states(self.hidden, self.weight, max(64, 2**23 // len(self.weight)))

    def _log_weight(self, v: Tensor) -> Tensor:
        """Return -F of visible units (batch, D), (batch,) in float64."""
        t, w = self.statistics(v).double(), self.weight.double()
        a = torch.addmm(self.hidden_bias.double(), t - self.visible_offset.double(), w)
        return t @ self.visible_bias.double() + self.log_carrier(v).double() + softplus(a).sum(1)

    def _log_weight_hidden(self, h: Tensor) -> Tensor:
        r"""Return the log of the sum over v, :math:`(c - W^\top\mu)^\top h + A(b + W h)`, (batch,) in float64."""
        h, w = h.double(), self.weight.double()
        c = self.hidden_bias.double() - self.visible_offset.double() @ w
        return h @ c + self.log_normaliser(torch.addmm(self.visible_bias.double(), h, w.T))

    # -- samples ---------------------------------------------------------------------------------------------------

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return Gibbs sweeps from the base: half of them anneal, half are at the model; 20 of them are shown."""
        generator, bridge = fresh(generator, self.device), self.bridge()
        return annealed_path(
            bridge, bridge.base(n, generator), self.sample_steps, lambda state: self.record(state.v), generator
        )

    def record(self, v: Tensor) -> Tensor:
        """Return the records of visible units (batch, D), (batch, \\*event.shape)."""
        return v.unflatten(1, self.event.shape)

    def extra_repr(self) -> str:
        """Return the sizes and how it is trained."""
        kind = "centred, " if self.centred else ""
        return f"visible={self.chain_states.shape[1]}, hidden={self.hidden}, {kind}chains={self.chains}, k={self.k}"


def binary_states(units: int, like: Tensor, size: int = 8192) -> list[Tensor]:
    """Return all states of binary units, in parts of at most ``size`` rows, (rows, units) each, typed as ``like``."""
    bits = torch.arange(units, device=like.device)
    codes = torch.arange(2**units, device=like.device).split(size)
    return [((code[:, None] >> bits) & 1).to(like.dtype) for code in codes]
