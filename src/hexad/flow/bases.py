"""Bases of flows: standard normal, Student's t, a mixture of normals, the uniform law of circles; with learned
parameters where asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.event import Event
from hexad.model import Density, Trajectory
from hexad.randomness import fresh

__all__ = ["Circular", "Mixture", "StandardNormal", "Student", "draws_are_differentiable"]


class _Base(Density):
    """A density of vectors that is drawn at once: its path is the draw."""

    def __init__(self, features: int) -> None:
        super().__init__(Event.of(features, "real"))
        self.register_buffer("unit", torch.ones(features), persistent=False)  # tells device and type

    @property
    def features(self) -> int:
        """Number of columns."""
        return self.event.dims

    def _normal(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randn(n, self.features, generator=generator, device=self.device, dtype=self.dtype)

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return the draw, as the only state."""
        return Trajectory(self.sample(n, context=context, generator=generator)[None], "layer", ("base",))


class StandardNormal(_Base):
    r""":math:`N(0, I)`.

    Args:
        features: number of columns.
    """

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the normal log-density, (batch,)."""
        return -0.5 * (x.square().sum(1) + x.shape[1] * math.log(2 * math.pi))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws, (n, features)."""
        return self._normal(n, fresh(generator, self.device))


class Student(_Base):
    r"""Independent Student's t a column, whose degrees of freedom :math:`\nu > 1` are learned: tails that a map which
    is linear far out cannot make of a normal (Tails of Lipschitz Triangular Flows; Jaini et al., 2020).

    .. math:: \log p(x) = \log\Gamma\left(\tfrac{\nu+1}2\right) - \log\Gamma\left(\tfrac\nu2\right)
              - \tfrac12\log(\pi\nu) - \tfrac{\nu+1}2 \log(1 + x^2/\nu)

    Args:
        features: number of columns.
        freedom: the degrees of freedom at the start, above 1.
    """

    def __init__(self, features: int, freedom: float = 8.0) -> None:
        super().__init__(features)
        if not freedom > 1:
            raise ValueError(f"Student's t: degrees of freedom must be above 1, got {freedom}")
        self.log_excess = nn.Parameter(torch.full((features,), math.log(freedom - 1)))

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log-density, (batch,)."""
        nu = 1 + self.log_excess.exp()
        scale = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2) - 0.5 * (math.pi * nu).log()
        return (scale - (nu + 1) / 2 * torch.log1p(x.square() / nu)).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        r"""Return n draws, (n, features): a normal over the root of a :math:`\chi^2_\nu / \nu`; differentiable."""
        generator = fresh(generator, self.device)
        nu = (1 + self.log_excess.exp()).double().expand(n, -1)
        gamma = torch._standard_gamma(nu / 2, generator=generator)  # the only gamma that takes a generator
        return self._normal(n, generator) / (2 * gamma / nu).sqrt().to(self.dtype)


class Mixture(_Base):
    r"""A mixture of K normals with diagonal covariances, all learned: for data in several pieces, between which a
    continuous map can but stretch.

    Args:
        features: number of columns.
        components: K; of 1 it is a normal with learned mean and scale.
    """

    def __init__(self, features: int, components: int = 8) -> None:
        super().__init__(features)
        if components < 1:
            raise ValueError(f"mixture: components must be at least 1, got {components}")
        self.logits = nn.Parameter(torch.zeros(components))
        self.means = nn.Parameter(torch.randn(components, features) if components > 1 else torch.zeros(1, features))
        self.log_scales = nn.Parameter(torch.zeros(components, features))

    @torch.no_grad()
    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Set the means to random records, and the scales to the deviations of all; of one component, to its fit."""
        deviation = x.std(0, correction=0)
        self.log_scales.copy_(torch.where(deviation > 0, deviation, torch.ones_like(deviation)).log())
        if len(self.means) == 1:
            self.means.copy_(x.mean(0))
        else:
            which = torch.randint(len(x), (len(self.means),), generator=fresh(generator, x.device), device=x.device)
            self.means.copy_(x[which])

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log-density, (batch,)."""
        z = (x[:, None] - self.means) * torch.exp(-self.log_scales)
        each = -0.5 * (z.square().sum(-1) + self.features * math.log(2 * math.pi)) - self.log_scales.sum(-1)
        return torch.logsumexp(each + torch.log_softmax(self.logits, 0), 1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws, (n, features)."""
        generator = fresh(generator, self.device)
        which = torch.multinomial(self.logits.detach().softmax(0), n, replacement=True, generator=generator)
        return self._normal(n, generator) * self.log_scales[which].exp() + self.means[which]


class Circular(_Base):
    r"""Angles, uniform on the circle [-b, b) with its ends joined, beside columns of reals, standard normal.

    .. math:: p(x) = \prod_{k \text{ angle}} \frac{1}{2b} \prod_{k \text{ real}} N(x_k; 0, 1)

    It is the base behind :class:`~hexad.transforms.CircularSpline`, whose values lie in the circle (Normalizing Flows
    on Tori and Spheres; Rezende et al., 2020). The density is one of angles: over [-b, b), not over the reals.

    Args:
        features: number of columns.
        angles: which of them are angles; None: all.
        bound: b: pi for angles in radians, 180 for degrees.

    Raises:
        ValueError: no column is an angle, or a column is not there; or a bound that is not positive.
    """

    angle: Tensor

    def __init__(self, features: int, angles: Sequence[int] | None = None, bound: float = math.pi) -> None:
        super().__init__(features)
        chosen = list(range(features)) if angles is None else list(angles)
        if not chosen or not all(0 <= k < features and not isinstance(k, bool) for k in chosen):
            raise ValueError(f"circular base: expected columns from 0 to {features - 1}, got {chosen}")
        if not 0 < bound < math.inf:
            raise ValueError(f"circular base: bound must be positive, got {bound}")
        self.bound = bound
        self.register_buffer("angle", torch.tensor([k in chosen for k in range(features)]), persistent=False)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log-density, (batch,); an angle counts modulo 2b."""
        normal = -0.5 * (x.square() + math.log(2 * math.pi))
        return torch.where(self.angle, 0 * x - math.log(2 * self.bound), normal).sum(1)  # NaN stays NaN

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return n draws, (n, features)."""
        generator = fresh(generator, self.device)
        unit = torch.rand(n, self.features, generator=generator, device=self.device, dtype=self.dtype)
        return torch.where(self.angle, (2 * unit - 1) * self.bound, self._normal(n, generator))


def draws_are_differentiable(base: Density) -> bool:
    """Return whether draws carry the gradient of every parameter of the base; a choice of components does not."""
    if (isinstance(base, Mixture) and len(base.means) > 1) or not isinstance(base, _Base):
        return not any(parameter.requires_grad for parameter in base.parameters())
    return True
