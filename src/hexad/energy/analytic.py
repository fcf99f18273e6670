r"""Energies of known log Z that can be sampled exactly: what estimators of log Z and samplers are tried on.

Their numbers are constants in float64, and come along in the type and to the device of the records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.energy.algebra import Solvable
from hexad.energy.mixing import Mixture, mixture
from hexad.randomness import fresh

__all__ = ["Banana", "DoubleWell", "Gaussian", "gaussian_mixture"]

GRID = 2**14  # intervals of the quadrature of a double well, and of its inverse cdf


class Gaussian(Solvable):
    r""":math:`E(x) = \tfrac12 (x - m)^T \Sigma^{-1} (x - m)`, :math:`\log Z = \tfrac12 \log\det(2\pi\Sigma)`.

    Args:
        mean: m, (D,).
        covariance: Sigma, (D, D); or variances, (D,); None: the unit matrix.

    Raises:
        ValueError: the sizes do not fit, or the covariance is not symmetric and positive definite.
    """

    def __init__(self, mean: Sequence[float] | Tensor, covariance: Sequence | Tensor | None = None) -> None:
        super().__init__()
        self.mean = torch.as_tensor(mean, dtype=torch.float64)
        if self.mean.dim() != 1:
            raise ValueError(f"mean of a Gaussian: expected numbers (D,), got shape {tuple(self.mean.shape)}")
        dims = len(self.mean)
        spread = torch.ones(dims) if covariance is None else torch.as_tensor(covariance, dtype=torch.float64)
        self.covariance = (spread.diag() if spread.dim() == 1 else spread).double()
        if self.covariance.shape != (dims, dims):
            expected = f"({dims}, {dims}), or variances ({dims},)"
            raise ValueError(f"covariance of a Gaussian: expected {expected}, got shape {tuple(spread.shape)}")
        self.factor, failed = torch.linalg.cholesky_ex(self.covariance)
        if int(failed) or not torch.allclose(self.covariance, self.covariance.T):
            raise ValueError("covariance of a Gaussian: expected a symmetric, positive definite matrix")
        self.precision = torch.cholesky_inverse(self.factor)
        self.shape = (dims,)

    def energy(self, x: Tensor) -> Tensor:
        """Return E, (batch,)."""
        return self._both(x)[0]

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and its gradient, Sigma^-1 (x - m)."""
        return self._both(x.detach())

    def _both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        way = x - self.mean.to(x)
        slope = way @ self.precision.to(x)
        return 0.5 * (way * slope).sum(-1), slope

    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of the Gaussian of covariance Sigma / beta; None where beta is not above 0."""
        if beta <= 0:
            return None
        dims = len(self.mean)
        return float(self.factor.diagonal().log().sum()) + 0.5 * dims * math.log(2 * math.pi / beta)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return m + L z, (n, D)."""
        noise = torch.randn(n, len(self.mean), generator=fresh(generator), dtype=torch.float64)
        return self.mean + noise @ self.factor.T

    def extra_repr(self) -> str:
        """Return the size."""
        return f"features={len(self.mean)}"


def gaussian_mixture(
    means: Sequence[Sequence[float]] | Tensor,
    covariances: Sequence | Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> Mixture:
    """Return a mixture of Gaussians as an energy, solvable.

    Args:
        means: (K, D).
        covariances: (K, D, D), or variances (K, D); None: unit matrices.
        shares: of the parts in the law, (K,); None: equal.

    Raises:
        ValueError: as of a Gaussian.
    """
    spreads = [None] * len(means) if covariances is None else covariances
    if len(spreads) != len(means):
        raise ValueError(f"a mixture of {len(means)} Gaussians takes as many covariances, got {len(spreads)}")
    parts = [Gaussian(mean, spread) for mean, spread in zip(means, spreads, strict=True)]
    log_z = [part.log_z or 0.0 for part in parts]
    shares = [1.0] * len(parts) if shares is None else shares
    if len(shares) != len(parts):
        raise InputError(f"mixture: expected a share a part, got {len(parts)} parts and {len(shares)} shares")
    # relative to the largest: a power of e of many dimensions leaves the range of a float
    return mixture(parts, [share * math.exp(min(log_z) - z) for share, z in zip(shares, log_z, strict=True)])


class DoubleWell(Solvable):
    r""":math:`E(x) = h\left((x_1/a)^2 - 1\right)^2 + s\,x_1 + \tfrac12\sum_{i\ge2} x_i^2`: wells near -a and a.

    log Z of the first direction is a trapezoidal sum, which converges faster than any power of the spacing.

    Args:
        height: h of the barrier, above 0.
        distance: a, above 0.
        slant: s, which makes one well deeper.
        dims: D; all directions but the first are standard normal.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(self, height: float = 4.0, distance: float = 2.0, slant: float = 0.0, dims: int = 1) -> None:
        super().__init__()
        if not (0 < height < math.inf and 0 < distance < math.inf and math.isfinite(slant) and dims >= 1):
            raise ValueError(f"a double well takes height and distance above 0, got {height}, {distance}, dims={dims}")
        self.height, self.distance, self.slant, self.dims = height, distance, slant, dims
        self.shape = (dims,)

    def _first(self, x: Tensor) -> Tensor:
        return self.height * ((x / self.distance).square() - 1).square() + self.slant * x

    def energy(self, x: Tensor) -> Tensor:
        """Return E, (batch,)."""
        return self._first(x[:, 0]) + 0.5 * x[:, 1:].square().sum(1)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and its gradient."""
        x = x.detach()
        ratio = x[:, :1] / self.distance
        first = 4 * self.height / self.distance * ratio * (ratio.square() - 1) + self.slant
        return self.energy(x), torch.cat([first, x[:, 1:]], 1)

    def _table(self, beta: float) -> tuple[Tensor, Tensor]:
        """Return points of the first direction that reach where beta E is 50 above its least value, and -beta E."""
        reach = 2.0 * self.distance
        while True:
            points = torch.linspace(-reach, reach, GRID + 1, dtype=torch.float64)
            log_f = -beta * self._first(points)
            if float(log_f.max() - log_f[[0, -1]].max()) > 50:
                return points, log_f
            reach *= 1.5

    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of exp(-beta E), to 1e-10; None where beta is not above 0."""
        if beta <= 0:
            return None
        points, log_f = self._table(beta)
        first = float(torch.logsumexp(log_f, 0) + (points[1] - points[0]).log())
        return first + 0.5 * (self.dims - 1) * math.log(2 * math.pi / beta)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return n records, (n, D); the first column by its cdf on a grid, off by some 1e-7 in total variation."""
        generator = fresh(generator)
        points, log_f = self._table(1.0)
        cdf = torch.softmax(log_f, 0).cumsum(0)
        uniform = torch.rand(n, generator=generator, dtype=torch.float64) * cdf[-1]
        place = torch.searchsorted(cdf, uniform).clamp(max=GRID)
        spread = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
        first = points[place] + spread * (points[1] - points[0])
        rest = torch.randn(n, self.dims - 1, generator=generator, dtype=torch.float64)
        return torch.cat([first[:, None], rest], 1)

    def extra_repr(self) -> str:
        """Return the numbers."""
        return f"height={self.height:g}, distance={self.distance:g}, slant={self.slant:g}, dims={self.dims}"


class Banana(Solvable):
    r""":math:`E(x) = x_1^2 / 2s^2 + (x_2 - b x_1^2)^2 / 2 w^2`: a Gaussian bent along a parabola.

    Args:
        spread: s of the first column.
        bend: b.
        width: w, across.

    Raises:
        ValueError: a number out of its range.
    """

    def __init__(self, spread: float = 2.0, bend: float = 0.25, width: float = 1.0) -> None:
        super().__init__()
        if not (0 < spread < math.inf and 0 < width < math.inf and math.isfinite(bend)):
            raise ValueError(
                f"a banana takes spread and width above 0 and a finite bend, got {spread}, {width}, {bend}"
            )
        self.spread, self.bend, self.width = spread, bend, width
        self.shape = (2,)

    def energy(self, x: Tensor) -> Tensor:
        """Return E, (batch,)."""
        first, second = x.unbind(1)
        across = (second - self.bend * first.square()) / self.width
        return 0.5 * ((first / self.spread).square() + across.square())

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and its gradient."""
        x = x.detach()
        first, second = x.unbind(1)
        across = (second - self.bend * first.square()) / self.width**2
        return self.energy(x), torch.stack([first / self.spread**2 - 2 * self.bend * first * across, across], 1)

    def log_z_at(self, beta: float) -> float | None:
        """Return log(2 pi s w / beta); None where beta is not above 0."""
        return math.log(2 * math.pi * self.spread * self.width / beta) if beta > 0 else None

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return n records, (n, 2): the first column, then the second given it."""
        noise = torch.randn(n, 2, generator=fresh(generator), dtype=torch.float64)
        first = self.spread * noise[:, 0]
        return torch.stack([first, self.bend * first.square() + self.width * noise[:, 1]], 1)

    def extra_repr(self) -> str:
        """Return the numbers."""
        return f"spread={self.spread:g}, bend={self.bend:g}, width={self.width:g}"
