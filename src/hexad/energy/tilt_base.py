r"""The normalised base of an energy tilt: a mixture of Gaussians with full covariances, fitted by EM.

.. math:: q(z) = \sum_k \pi_k N(z; m_k, \Sigma_k)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["GaussianMixture"]


class GaussianMixture(nn.Module):
    """A mixture of Gaussians on (batch, D) whose parts are buffers; standard normal before :meth:`fit`.

    Args:
        features: D.
        components: K; one component is the Gaussian of the records' mean and covariance.
    """

    log_weights: Tensor
    means: Tensor
    factors: Tensor
    whiteners: Tensor

    def __init__(self, features: int, components: int = 1) -> None:
        super().__init__()
        self.features, self.components = features, components
        eye = torch.eye(features).expand(components, -1, -1).clone()
        self.register_buffer("log_weights", torch.full((components,), -math.log(components)))
        self.register_buffer("means", torch.zeros(components, features))
        self.register_buffer("factors", eye)
        self.register_buffer("whiteners", eye.clone())

    @torch.no_grad()
    def reset(self) -> None:
        """Make every component the standard normal, and so the mixture."""
        for mine, first in zip(self.buffers(), GaussianMixture(self.features, self.components).buffers(), strict=True):
            mine.copy_(first)

    @torch.no_grad()
    def fit(self, z: Tensor, *, iterations: int = 60, floor: float = 1e-3, generator: torch.Generator | None) -> None:
        """Fit by expectation maximisation, from distant records (k-means++) as first means.

        Args:
            z: records of about unit variance, (n, D).
            iterations: of EM.
            floor: added to the diagonals: the least variance.
            generator: picks the first means.
        """
        eye = torch.eye(self.features, dtype=torch.float64, device=z.device)
        work = GaussianMixture(self.features, self.components).to(z.device).double()
        z = z.double()
        work.means.copy_(_distant(z, self.components, generator))
        covariances = (torch.cov(z.T, correction=0).reshape(eye.shape) + floor * eye).expand_as(work.factors)
        for step in range(iterations + 1):
            if step:
                share = torch.softmax(work._log_parts(work._white(z)), 1)
                # a tenth of a record keeps a component that lost all of its own from a division by zero
                mass = share.sum(0) + 0.1
                work.log_weights.copy_((mass / mass.sum()).log())
                work.means.copy_((share.T @ z + 0.1 * work.means) / mass[:, None])
                moved = [(z - mean) * part.sqrt()[:, None] for mean, part in zip(work.means, share.T, strict=True)]
                covariances = torch.stack([m.T @ m for m in moved]) / mass[:, None, None] + floor * eye
            work.factors.copy_(torch.linalg.cholesky(covariances))
            work.whiteners.copy_(torch.linalg.solve_triangular(work.factors, eye.expand_as(covariances), upper=False))
        for mine, fitted in zip(self.buffers(), work.buffers(), strict=True):
            mine.copy_(fitted)

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log q(z), (batch,)."""
        return torch.logsumexp(self._log_parts(self._white(z)), 1)

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return -log q(z), (batch,), and its gradient, (batch, D), in closed form."""
        white = self._white(z)
        log_parts = self._log_parts(white)
        log_q = torch.logsumexp(log_parts, 1)
        share = torch.exp(log_parts - log_q[:, None])
        return -log_q, (white * share[:, :, None]).flatten(1) @ self.whiteners.flatten(0, 1)

    def sample(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return n draws, (n, D)."""
        device = self.means.device
        noise = torch.randn(n, self.features, generator=generator, device=device, dtype=self.means.dtype)
        if self.components == 1:
            return self.means + noise @ self.factors[0].T
        ends = self.log_weights.double().exp().cumsum(0)
        uniform = torch.rand(n, generator=generator, device=device, dtype=torch.float64)
        pick = torch.searchsorted(ends, uniform * ends[-1]).clamp(max=self.components - 1)
        return self.means[pick] + torch.einsum("nij,nj->ni", self.factors[pick], noise)

    def extent(self, deviations: float) -> tuple[Tensor, Tensor]:
        """Return the corners, each (D,), of the box that reaches so many deviations around every component."""
        reach = deviations * self.factors.square().sum(2).sqrt()
        return (self.means - reach).amin(0), (self.means + reach).amax(0)

    def _white(self, z: Tensor) -> Tensor:
        """Return z as each component whitens it, (batch, K, D); all of them in one product."""
        offset = torch.einsum("kij,kj->ki", self.whiteners, self.means).flatten()
        return torch.addmm(offset, z, self.whiteners.flatten(0, 1).T, beta=-1).unflatten(1, self.means.shape)

    def _log_parts(self, white: Tensor) -> Tensor:
        """Return log pi_k N(z; m_k, Sigma_k), (batch, K)."""
        log_det = self.whiteners.diagonal(dim1=1, dim2=2).log().sum(1)
        constants = self.log_weights + log_det - 0.5 * self.features * math.log(2 * math.pi)
        return constants - 0.5 * white.square().sum(2)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"features={self.features}, components={self.components}"


def _distant(z: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Return ``count`` records, each drawn by its squared distance to the others (Arthur and Vassilvitskii, 2007)."""
    if count == 1:
        return z.mean(0, keepdim=True)
    chosen = z[torch.randint(len(z), (1,), generator=generator, device=z.device)]
    nearest = (z - chosen).square().sum(1)
    while len(chosen) < count:
        ends = nearest.cumsum(0)
        uniform = torch.rand(1, generator=generator, device=z.device, dtype=z.dtype)
        new = z[torch.searchsorted(ends, uniform * ends[-1]).clamp(max=len(z) - 1)]
        chosen = torch.cat([chosen, new])
        nearest = torch.minimum(nearest, (z - new).square().sum(1))
    return chosen
