r"""The restricted Boltzmann machine on real columns (Welling et al., 2004; Hinton and Salakhutdinov, 2006).

.. math::

    E(v, h) = \tfrac12 |u|^2 - b^\top u - c^\top h - (u - \mu)^\top W h,\qquad u_i = v_i / \sigma_i,\qquad
    u \mid h \sim N(b + W h,\ I)

It is a mixture of :math:`2^H` Gaussians with one covariance, :math:`\mathrm{diag}(\sigma^2)`, whose means are sums of
columns of W. The deviations are learned beside the weights (Liao et al., 2022, by another scale of W): with
:math:`T(v) = v/\sigma`, carrier :math:`e^{-|T|^2/2}` and :math:`A(\eta) = |\eta|^2/2 + \sum_i \log(\sigma_i
\sqrt{2\pi})` the gradient towards T, which is closed, hands theirs on.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from hexad.energy.restricted import Chains, RestrictedMachine, Start
from hexad.event import Event
from hexad.randomness import fresh

__all__ = ["GaussianRBM"]


class GaussianRBM(RestrictedMachine):
    r"""Gaussian-Bernoulli restricted Boltzmann machine, trained by contrastive divergence with closed-form gradients.

    Args:
        event: real columns without cells, best of mean 0 and deviation 1.
        hidden: number of hidden units.
        chains, k, centred, particles, rate, sample_steps, start, replicas: as of
            :class:`~hexad.energy.restricted.RestrictedMachine`.

    Raises:
        ValueError: columns that are not real, or have cells.
    """

    def __init__(
        self,
        event: Event,
        hidden: int = 128,
        chains: Chains = "persistent",
        k: int = 1,
        centred: bool = False,
        particles: int = 100,
        rate: float = 0.01,
        sample_steps: int = 400,
        start: Start = "columns",
        replicas: int = 10,
    ) -> None:
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"a Gaussian RBM takes a real event without steps, got {event}: dequantise first")
        super().__init__(
            event, event.dims, hidden, chains, k, centred, particles, rate, sample_steps, None, start, replicas
        )
        self.log_scale = nn.Parameter(torch.zeros(event.dims))
        with torch.no_grad():
            self.weight.mul_(100 / hidden**0.5)  # deviation 1 / sqrt(H): see prepare

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the deviations to half those of the columns, then biases, offset and chains.

        The other half is for the hidden units to explain. At the columns' own deviations and weights near 0 the
        machine would stand on a saddle: mean and variances are right, and nothing pulls at a direction.
        """
        generator = fresh(generator, self.device)
        with torch.no_grad():
            spread = x.flatten(1).double().std(0, correction=0)
            self.log_scale.copy_((0.5 * torch.where(spread > 0, spread, torch.ones_like(spread))).log())
            super().prepare(x, generator=generator)
            # the mean stays that of the columns: hidden units are fair coins there
            self.hidden_bias.copy_(-((self.base_bias - self.visible_offset) @ self.weight))
            self.visible_bias.sub_(0.5 * self.weight.sum(1))
            self.start_chains(self.chain_states, generator)

    @property
    def scale(self) -> Tensor:
        """The deviations of the columns given the hidden units, (D,)."""
        return self.log_scale.exp()

    def statistics(self, v: Tensor) -> Tensor:
        """Return u = v / sigma, (batch, D)."""
        return v * torch.exp(-self.log_scale)

    def log_carrier(self, v: Tensor) -> Tensor:
        """Return -|u|^2 / 2, (batch,)."""
        return -0.5 * self.statistics(v).square().sum(1)

    def draw(self, eta: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return v of normal u around means (batch, D), (batch, D)."""
        noise = torch.randn(eta.shape, generator=generator, device=eta.device, dtype=eta.dtype)
        return (eta + noise) * self.scale.detach()

    def mean(self, eta: Tensor) -> Tensor:
        """Return the means themselves, (batch, D)."""
        return eta

    def log_normaliser(self, eta: Tensor) -> Tensor:
        """Return |eta|^2 / 2 and the log of the volume of the deviations, (batch,)."""
        log_volume = self.log_scale.to(eta).sum() + 0.5 * self.event.dims * math.log(2 * math.pi)
        return 0.5 * eta.square().sum(-1) + log_volume

    def independent(self, v: Tensor) -> Tensor:
        """Return the means of the columns of records (n, D) in deviations, (D,)."""
        return v.double().mean(0) * torch.exp(-self.log_scale.double())
