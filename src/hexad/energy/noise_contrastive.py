r"""Noise contrastive estimation: records are told from noise whose density is known.

With :math:`G(z) = \log p_\theta(z) - \log n(z)` :math:`\nu` draws of noise a record and s the softplus,

.. math:: L(z) = \mathrm{s}(\log\nu - G(z)) + \sum_{j=1}^{\nu} \mathrm{s}(G(y_j) - \log\nu),\; y_j \sim n

is least where :math:`p_\theta` is the data's law, its constant included: :math:`\log Z'` is learned as one number more.
The nearer the noise is to the data, the less it takes; with much of it the gradient becomes that of the likelihood.

Gutmann and Hyvarinen (2010).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from hexad.energy.objectives import Objective, Tilt
from hexad.model import Density

__all__ = ["NoiseContrastive"]


class NoiseContrastive(Objective):
    """Logistic regression between records and noise.

    Of the base as noise only the tilt is left: G = -E - c. Any other density stands in the records' own space; what it
    has of parameters learns beside the model, as a second player, by its own loss, from where it stands: it is
    fitted or prepared by whoever passes it.

    Args:
        draws: of noise a record, nu.
        noise: a density; None: the model's base.
        regularisation: weight of the squared energies of records.
    """

    def __init__(self, draws: int = 2, noise: Density | None = None, regularisation: float = 0.0) -> None:
        super().__init__()
        self.draws, self.regularisation = draws, regularisation
        self.noise = noise
        self.log_normaliser = nn.Parameter(torch.zeros(()))

    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return L of each record, (batch,)."""
        log_nu, count = math.log(self.draws), len(z) * self.draws
        with torch.no_grad():
            drawn = model.base.sample(count, generator) if self.noise is None else self._drawn(model, count, generator)
            points = torch.cat([z, drawn])
            base_over_noise = self._base_over_noise(model, points)
        energies = model.network(points)
        ratios = base_over_noise - energies - self.log_normaliser
        real, fake = softplus(log_nu - ratios[: len(z)]), softplus(ratios[len(z) :] - log_nu)
        return real + fake.unflatten(0, (len(z), self.draws)).sum(1) + self.regularisation * energies[: len(z)].square()

    def _drawn(self, model: Tilt, count: int, generator: torch.Generator | None) -> Tensor:
        assert self.noise is not None
        return model.whitened(self.noise.sample(count, generator=generator))

    def _base_over_noise(self, model: Tilt, z: Tensor) -> Tensor:
        """Return log q - log n at z, (batch,), both in whitened space."""
        if self.noise is None:
            return z.new_zeros(len(z))
        assert isinstance(self.noise, Density)
        return model.base.log_prob(z) - (self.noise.log_prob(model.coloured(z)) - model.log_volume())

    def extra_repr(self) -> str:
        """Return the number of draws."""
        return f"draws={self.draws}"
