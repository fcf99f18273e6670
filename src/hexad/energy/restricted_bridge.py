r"""The way to a restricted machine from independent units, for annealing and tempering."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hexad.energy.annealed import EnergyBridge
from hexad.mcmc import bernoulli

if TYPE_CHECKING:
    from hexad.energy.restricted import RestrictedMachine

__all__ = ["RestrictedBridge", "RestrictedState"]

_SMALL = 0.01  # step of t below which exp(-dt a) cannot overflow


@dataclass
class RestrictedState:
    """Visible units with the logits of their hidden ones; P(h = 1 | v) at one temperature is kept for the next move."""

    v: Tensor
    a: Tensor
    hot: tuple[float, Tensor] | None = None

    def probability(self, t: float) -> Tensor:
        """Return P(h = 1 | v) at t, (batch, H)."""
        if self.hot is None or self.hot[0] != t:
            self.hot = t, (self.a * t).sigmoid_()
        return self.hot[1]


class RestrictedBridge(EnergyBridge[RestrictedState]):
    r"""The path of Salakhutdinov and Murray (2008).

    .. math:: \log f_t(v) = T(v)^\top((1-t) b_0 + t b) + \log c_0(v) + \sum_j \log(1 + e^{t a_j})

    The weights stay as they are: a temperature scales the pre-activations.
    """

    def __init__(self, model: RestrictedMachine) -> None:
        self.model = model
        self.tilt = model.visible_bias.detach() - model.base_bias
        self.weight = model.weight.detach()
        # the hidden biases with the offset folded in: no copy of the states that the offset is taken off
        shift = model.visible_offset @ self.weight if model.centred else 0.0
        self.bias = model.hidden_bias.detach() - shift
        self.one = self.bias.new_ones(())

    def log_z_base(self) -> float:
        """Return log Z at t = 0."""
        base = self.model.log_normaliser(self.model.base_bias.double()[None])
        return float(base.detach()[0]) + self.model.hidden * math.log(2)

    def state(self, v: Tensor) -> RestrictedState:
        """Return visible units (batch, D) as a state."""
        return RestrictedState(v, torch.addmm(self.bias, self.model.statistics(v), self.weight))

    def base(self, n: int, generator: torch.Generator | None) -> RestrictedState:
        """Return n exact samples at t = 0."""
        return self.state(self.model.draw(self.model.base_bias.expand(n, -1), generator))

    def target(self, n: int, moves: int, generator: torch.Generator | None) -> RestrictedState:
        """Return n chain states at t = 1: from the training chains where there are any, after some more sweeps."""
        model = self.model
        chains = model.model_chains()
        if chains is not None:
            v = chains[torch.arange(n, device=model.device) % len(chains)]
        else:
            v = model.visible(model.path(n, generator=generator).states[-1])
        return self.state(model.sweep(v, moves, generator))

    def log_ratio(self, state: RestrictedState, t: float, u: float) -> Tensor:
        r"""Return log f_u - log f_t at the state, (batch,).

        For small steps of what is needed for the next move at u anyway: with :math:`p = \sigma(u a)` and
        :math:`\delta = u - t` a unit's part is :math:`-\log(1 + p (e^{-\delta a} - 1))`.
        """
        if abs(u - t) > _SMALL:
            return self.rise(state.v, state.a, t, u)
        units = torch.lerp(self.one, (state.a * (t - u)).exp_(), state.probability(u)).log_().sum(1).neg_()
        return units.add_(self.model.statistics(state.v) @ self.tilt, alpha=u - t)

    def rise(self, v: Tensor, a: Tensor, t: float | Tensor, u: float | Tensor) -> Tensor:
        """Return log f_u - log f_t at visible units (..., D) with logits (..., H), (...); temperatures are numbers or
        tensors that fit (..., 1).
        """
        tilt = self.model.statistics(v.flatten(0, -2)) @ self.tilt
        hidden = (softplus(u * a) - softplus(t * a)).sum(-1)
        gap = u - t
        return (gap[..., 0] if isinstance(gap, Tensor) else gap) * tilt.unflatten(0, v.shape[:-1]) + hidden

    def move(self, state: RestrictedState, t: float | Tensor, generator: torch.Generator | None) -> RestrictedState:
        """Return the state after one sweep over both blocks at t, a number or (batch, 1)."""
        model = self.model
        if isinstance(t, Tensor):
            h = bernoulli(torch.sigmoid(t * state.a), generator)
            eta = model.base_bias + t * (self.tilt + h @ model.weight.detach().T)
        else:
            h = bernoulli(state.probability(t), generator)
            eta = torch.addmm(model.base_bias + t * self.tilt, h, self.weight.T, alpha=t)
        return self.state(model.draw(eta, generator))
