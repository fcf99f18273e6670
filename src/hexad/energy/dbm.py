r"""The deep Boltzmann machine with two hidden layers (Salakhutdinov and Hinton, 2009).

.. math:: -E(v, h, g) = b^\top v + c^\top h + d^\top g + (v - \mu)^\top W h + (g - \nu)^\top V h

Given the first layer h, the record v and the second layer g are independent: with u = (v, g) it is a restricted
machine of u and h, whose chains, annealing and enumeration hold here too. What differs is a record's own free energy,
which sums over g besides: exact over few first-layer units, and else bounded by a law of independent units with means
:math:`m` of g, under which h is summed out (H the entropy):

.. math:: \log\sum_{h,g} e^{-E(v,h,g)} \ge -F\big(v, m\big) + H(m),\qquad m = \sigma\big(d + V\,\sigma(a(v, m))\big)

Each half of the update takes the best means of one layer given the other's, so the bound never falls. Its gradient at
these means is the data's part of the learning rule; chains give the model's.

*Greedy pre-training*, if asked for, takes the first steps of training: each layer is a restricted machine whose weights
from the side that the other layer will stand on count twice, as it lacks that layer's input, and learns from one
sweep's reconstructions (Salakhutdinov and Hinton, 2009, section 3.1); both at once, the second on draws of the first.
*Centring*, the default, makes it dispensable (Montavon and Müller, 2012).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hexad.energy.bounded import BoundedEnergy
from hexad.energy.mean_field import entropy
from hexad.energy.rbm import RBM
from hexad.energy.restricted import ENUMERATED, Chains, RestrictedMachine, binary_states
from hexad.event import Event
from hexad.mcmc import bernoulli
from hexad.randomness import fresh

__all__ = ["DBM"]

_SUMMED = 12  # the most first-layer units that are summed over for every record


class DBM(BoundedEnergy, RBM):
    r"""Deep Boltzmann machine on binary records.

    log p is exact where the first layer has up to 12 units; the free energy is bounded by mean field beyond, and log Z
    summed up to 16 units and annealed beyond: a lower bound.

    Args:
        event: binary columns.
        hidden: units of the first and of the second layer.
        chains, k, centred, particles, rate, sample_steps: as of
            :class:`~hexad.energy.restricted.RestrictedMachine`; the chains are of u and h, ``persistent`` or
            ``tempered``.
        updates: of the means of both layers, for each record.
        pretrain: steps of greedy pre-training that come first, and count as steps.

    Raises:
        ValueError: columns that are not binary, or chains that start at the data.
    """

    steps_taken: Tensor

    def __init__(
        self,
        event: Event,
        hidden: tuple[int, int] = (128, 64),
        chains: Chains = "persistent",
        k: int = 1,
        centred: bool = True,
        particles: int = 100,
        rate: float = 0.01,
        sample_steps: int = 400,
        updates: int = 10,
        pretrain: int = 0,
    ) -> None:
        if event.kind != "binary":
            raise ValueError(f"a deep Boltzmann machine takes binary columns, got {event}")
        if chains == "data":
            raise ValueError("chains: expected persistent or tempered, got 'data': a record leaves the layers open")
        first, second = hidden
        units = event.dims + second
        RestrictedMachine.__init__(
            self, event, units, first, chains, k, centred, particles, rate, sample_steps, columns=units
        )
        self.second, self.updates, self.pretrain = second, updates, pretrain
        with torch.no_grad():
            if centred:
                self.visible_offset.fill_(0.5)
        self.start_chains(self.draw(torch.zeros_like(self.chain_states), None))
        self.register_buffer("steps_taken", torch.zeros(()))

    # -- as a restricted machine of u = (v, g) and h -------------------------------------------------------------------

    def visible(self, x: Tensor) -> Tensor:
        """Return u of records, its second layer at 0, (batch, D + G)."""
        v = x.flatten(1)
        return torch.cat([v, v.new_zeros(len(v), self.second)], 1)

    def independent(self, v: Tensor) -> Tensor:
        """Return the log-odds of the records' columns in u, and of fair units behind them, (D + G,)."""
        columns = super().independent(v[:, : self.event.dims])
        return torch.cat([columns, columns.new_zeros(self.second)])

    def visible_states(self) -> list[Tensor] | None:
        """Return all states of u where it has up to 16 units."""
        units = self.event.dims + self.second
        return binary_states(units, self.weight) if units <= ENUMERATED else None

    def record(self, v: Tensor) -> Tensor:
        """Return the records in u (batch, D + G), (batch, \\*event.shape)."""
        return v[:, : self.event.dims].unflatten(1, self.event.shape)

    def hidden_mean(self, x: Tensor) -> Tensor:
        """Return the mean activation of the first layer on records, (H,)."""
        return self.hidden_probability(self.completed(x)).mean(0)

    # -- a record's free energy ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def completed(self, x: Tensor) -> Tensor:
        """Return u of records with the means of the second layer, (batch, D + G)."""
        top, bias = self.weight[self.event.dims :], self.visible_bias[self.event.dims :]
        a = self.activation(self.visible(x))  # with g = 0
        m = torch.sigmoid(bias).expand(len(x), -1)
        for _ in range(self.updates):
            m = torch.sigmoid(torch.addmm(bias, torch.sigmoid(torch.addmm(a, m, top)), top.T))
        return torch.cat([x.flatten(1), m], 1)

    @property
    def energy_is_exact(self) -> bool:
        """Whether the first layer is summed out beside the second."""
        return self.hidden <= _SUMMED

    def energy(self, x: Tensor) -> Tensor:
        """Return the free energy of each record, (batch,): exact up to 12 units in the first layer, else the mean-field
        bound, which is not below it.
        """
        if not self.energy_is_exact:
            u = self.completed(x)
            return self.free_energy(u) - entropy(u[:, self.event.dims :])
        u, dims = self.visible(x), self.event.dims
        top, bias = self.weight[dims:], self.visible_bias[dims:]
        a, terms = self.activation(u), []
        for h in binary_states(self.hidden, a):
            terms.append(torch.logsumexp(a @ h.T + softplus(torch.addmm(bias, h, top.T)).sum(1), 1))
        return -(u @ self.visible_bias) - torch.logsumexp(torch.stack(terms), 0)

    # -- training ------------------------------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the (bounded) free energy of each record less the mean of F(u) over the chains, (batch,); in the first
        ``pretrain`` steps the sum of both layers' contrasts.
        """
        chains = self.model_chains()
        assert chains is not None
        if self.energy_is_exact:
            loss = self.energy(x) - self.free_energy(chains).mean()
        else:
            u = self.completed(x)
            loss = self.contrast(u, chains, self._recall()) - entropy(u[:, self.event.dims :])
        if not self.pretrain:
            return loss
        # which of both counts is decided on the device: the step's number is never read here
        return torch.where(self.steps_taken < self.pretrain, self.greedy_loss(x, generator), loss)

    def greedy_loss(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the contrast of each layer as a restricted machine of its own, summed, (batch,)."""
        generator, v, dims = fresh(generator, self.device), x.flatten(1), self.event.dims
        b, d = self.visible_bias[:dims], self.visible_bias[dims:]
        w, top = self.weight[:dims], self.weight[dims:]
        mu, nu = self.visible_offset[:dims], self.visible_offset[dims:]

        def first(twice: Tensor) -> Tensor:  # F of two tied copies of the record, by their sum
            return -(twice @ b) - softplus(torch.addmm(self.hidden_bias, twice - 2 * mu, w)).sum(1)

        def second(h: Tensor) -> Tensor:  # F of the first layer, under two tied copies of the second
            own = h @ (self.hidden_bias.detach() - 2 * (nu @ top))
            return -own - 2 * softplus(torch.addmm(d, h, top.T)).sum(1)

        with torch.no_grad():
            h = bernoulli(torch.sigmoid(torch.addmm(self.hidden_bias, 2 * (v - mu), w)), generator)
            p, q = torch.sigmoid(torch.addmm(b, h, w.T)), torch.sigmoid(torch.addmm(d, h, top.T))
            copies = bernoulli(p, generator) + bernoulli(p, generator)
            tops = bernoulli(q, generator) + bernoulli(q, generator)
            again = bernoulli(torch.sigmoid(torch.addmm(self.hidden_bias, tops - 2 * nu, top)), generator)
        return first(2 * v) - first(copies) + second(h) - second(again)

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains by k sweeps, the first layer's offset, and the number of steps."""
        super().after_step(x, generator=generator)
        self.steps_taken += 1

    def extra_repr(self) -> str:
        """Return the sizes and how it is trained."""
        kind = "centred, " if self.centred else ""
        sizes = f"visible={self.event.dims}, hidden=({self.hidden}, {self.second})"
        return f"{sizes}, {kind}chains={self.chains}, k={self.k}, pretrain={self.pretrain}"
