r"""Score matching: the gradient of log p is fitted, in which no normaliser stands.

With :math:`s_\theta = \nabla \log p_\theta`, up to terms that no weight moves:

.. math::
    \text{implicit: } & E_x\big[\mathrm{tr}\,\nabla s_\theta(x) + \tfrac12\|s_\theta(x)\|^2\big] \\
    \text{sliced: } & E_x E_v\big[v^\top \nabla s_\theta(x)\, v\big] + E_x\big[\tfrac12\|s_\theta(x)\|^2\big] \\
    \text{denoising: } & E_x E_{y \sim k(\cdot - x)}\big[\tfrac12\|s_\theta(y) - \nabla_y \log k(y - x)\|^2\big]

The first two fit the data's law p, where p is smooth and vanishes at infinity: at a jump of p, such as the edges of a
checkerboard, the integration by parts behind them leaves a term out. The third fits the law of the records *with noise
k*, exactly. All three see the relative weights of far modes weakly: the score between them hardly tells.

Hyvarinen (2005); Vincent (2011); sliced, with the reduced variance: Song, Garg, Shi and Ermon (2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.energy.objectives import Objective, Tilt, slope

__all__ = ["DenoisingScoreMatching", "ImplicitScoreMatching", "SlicedScoreMatching"]

COLUMNS = 16  # the most whose Laplacian is worth as many vector products


class ScoreMatching(Objective):
    """What the three share: the loss differentiates the energy's gradient.

    Args:
        regularisation: weight of the squared energies of the points at which scores are matched.
    """

    compilable = False

    def __init__(self, regularisation: float = 1e-4) -> None:
        super().__init__()
        self.regularisation = regularisation

    def _at(self, model: Tilt, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return z with gradients on, E there, its gradient, and the score of the whole model."""
        z = z.detach().requires_grad_()
        energy, gradient = slope(model, z)
        return z, energy, gradient, -model.base.value_and_gradient(z.detach())[1] - gradient


class ImplicitScoreMatching(ScoreMatching):
    """The exact trace, by a vector product a column; the base's own trace is left out, which no weight moves."""

    def check(self, features: int) -> None:
        """Refuse many columns."""
        if features > COLUMNS:
            raise ValueError(
                f"implicit score matching takes a vector product a column, at most {COLUMNS}, got {features}: "
                "take objective=sliced"
            )

    @torch.enable_grad()
    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return half the squared score less the Laplacian of E, (batch,)."""
        z, energy, gradient, score = self._at(model, z)
        columns = [_derivative(gradient[:, d], z)[:, d] for d in range(z.shape[1])]
        return 0.5 * score.square().sum(1) - torch.stack(columns).sum(0) + self.regularisation * energy.square()


class SlicedScoreMatching(ScoreMatching):
    """The trace along random signs v, whose mean is the exact one.

    Args:
        draws: of v a record.
        regularisation: weight of the squared energies.
    """

    def __init__(self, draws: int = 1, regularisation: float = 1e-4) -> None:
        super().__init__(regularisation)
        self.draws = draws

    @torch.enable_grad()
    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return half the squared score less the mean of v' H v, H the Hessian of E, (batch,)."""
        z, energy, gradient, score = self._at(model, z)
        shape = (len(z), self.draws, z.shape[1])
        v = torch.randint(2, shape, generator=generator, device=z.device).to(z) * 2 - 1
        curvatures = [(_derivative((gradient * way).sum(1), z) * way).sum(1) for way in v.unbind(1)]
        return 0.5 * score.square().sum(1) - torch.stack(curvatures).mean(0) + self.regularisation * energy.square()

    def extra_repr(self) -> str:
        """Return the number of draws."""
        return f"draws={self.draws}"


class DenoisingScoreMatching(ScoreMatching):
    r"""The score of noised records against that of the noise; the model fits the *noised* law, variance s^2 + sigma^2.

    Of several levels k is the mixture of their normals, so that what is fitted stays one law: the data's, convolved
    with k. Noise comes in pairs u and -u: where the score is smooth, most of the loss's noise cancels within a pair.

    Args:
        sigma: standard deviations of the noise, in units of whitened records.
        draws: pairs a record.
        regularisation: weight of the squared energies.
    """

    def __init__(self, sigma: float | Sequence[float] = 0.05, draws: int = 1, regularisation: float = 1e-4) -> None:
        super().__init__(regularisation)
        self.sigma = tuple(sigma) if isinstance(sigma, Sequence) else (sigma,)
        if not self.sigma or not all(0 < level < math.inf for level in self.sigma):
            raise ValueError(f"sigma {sigma} of denoising: expected positive standard deviations")
        self.draws = draws

    @torch.enable_grad()
    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        r"""Return the mean over the draws y = z + u of :math:`\tfrac12\|s\|^2 - s \cdot \nabla \log k(u)`, (batch,)."""
        shape = (len(z), self.draws, z.shape[1])
        u = torch.randn(shape, generator=generator, device=z.device, dtype=z.dtype)
        levels = z.new_tensor(self.sigma)
        if len(levels) > 1:
            u = u * levels[torch.randint(len(levels), shape[:2], generator=generator, device=z.device)][..., None]
        else:
            u = u * levels
        target = self.noise_score(u)
        u, target = torch.cat([u, -u], 1), torch.cat([target, -target], 1)
        _, energy, _, score = self._at(model, (z[:, None] + u).flatten(0, 1))
        each = 0.5 * score.square().sum(1) - (score * target.flatten(0, 1)).sum(1)
        return (each + self.regularisation * energy.square()).unflatten(0, u.shape[:2]).mean(1)

    def noise_score(self, u: Tensor) -> Tensor:
        r"""Return :math:`\nabla \log k(u)`, shaped as u, (..., D)."""
        variances = u.new_tensor(self.sigma).square()
        log_parts = -0.5 * (u.square().sum(-1, keepdim=True) / variances + u.shape[-1] * variances.log())
        return -u * (torch.softmax(log_parts, -1) / variances).sum(-1, keepdim=True)

    def extra_repr(self) -> str:
        """Return the levels and draws."""
        return f"sigma={self.sigma}, draws={self.draws}"


def _derivative(values: Tensor, z: Tensor) -> Tensor:
    """Return the gradient in z of each value (batch,), zero where it does not depend on z."""
    return torch.autograd.grad(values.sum(), z, create_graph=True, materialize_grads=True)[0]
