r"""Energy discrepancy: records against what they become by noise and its like, without gradients in the input.

For :math:`y = x + \sqrt t\,\xi` let :math:`U_t(y) = -\log \int N(y; x', t)\, e^{-U(x')}\, dx'`. Then

.. math:: \mathrm{ED}(p, U) = E_p[U(x)] - E_p E_{y|x}[U_t(y)]

is least where :math:`e^{-U}` is proportional to p, for every t: between score matching (t to 0) and maximum likelihood
(t to infinity). With M draws :math:`x'_j = y + \sqrt t\,\xi_j` it is estimated by

.. math:: L(x) = \log\Big(\frac wM + \frac1M \sum_{j=1}^M e^{U(x) - U(x'_j)}\Big),

where w > 0 bounds the logarithm from below, at the price of a bias that vanishes with M.

Schroeder, Ou, Lim, Li, Vollmer and Duncan (2023).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.energy.objectives import Objective, Tilt

__all__ = ["EnergyDiscrepancy"]


class EnergyDiscrepancy(Objective):
    """The stabilised contrast with Gaussian noise.

    Args:
        sigma: standard deviation of the noise, sqrt(t), in units of whitened records.
        draws: M.
        stabiliser: w, at least 0.
        regularisation: weight of the squared tilt of records.
    """

    def __init__(
        self, sigma: float = 0.3, draws: int = 8, stabiliser: float = 1.0, regularisation: float = 1e-4
    ) -> None:
        super().__init__()
        if not isinstance(sigma, float | int) or not 0 < sigma < math.inf:
            raise ValueError(f"sigma {sigma} of the energy discrepancy: expected one positive standard deviation")
        self.sigma, self.draws, self.stabiliser = sigma, draws, stabiliser
        self.regularisation = regularisation

    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return L of each record, (batch,)."""
        shape = (len(z), 1 + self.draws, z.shape[1])
        xi = self.sigma * torch.randn(shape, generator=generator, device=z.device, dtype=z.dtype)
        likes = (z[:, None] + xi[:, :1] + xi[:, 1:]).flatten(0, 1)
        points = torch.cat([z, likes])
        tilt = model.network(points)
        energies = tilt - model.base.log_prob(points)
        contrast = energies[: len(z), None] - energies[len(z) :].unflatten(0, (len(z), self.draws))
        if self.stabiliser:
            contrast = torch.cat([contrast, contrast.new_full((len(z), 1), math.log(self.stabiliser))], 1)
        return torch.logsumexp(contrast, 1) - math.log(self.draws) + self.regularisation * tilt[: len(z)].square()

    def extra_repr(self) -> str:
        """Return the options."""
        return f"sigma={self.sigma}, draws={self.draws}, stabiliser={self.stabiliser}"
