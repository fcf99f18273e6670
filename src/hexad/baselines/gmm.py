r"""A mixture of Gaussians with full covariances, fitted by scikit-learn.

.. math:: p(x) = \sum_k \pi_k N(x; \mu_k, \Sigma_k)
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hexad.baselines.conditioning import conditional, patterns
from hexad.checks import InputError
from hexad.distributions import normal_log_cell
from hexad.event import Event
from hexad.model import Density, Imputation, Imputer, Trajectory
from hexad.randomness import fresh

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as Fit

__all__ = ["GaussianMixture"]

_ROWS, FEW = 20_000, 20


class GaussianMixture(Density, Imputer):
    r"""A mixture fitted by expectation maximisation (Dempster, Laird and Rubin, 1977), in float64.

    The number of components is doubled from 1 for as long as a held-out tenth becomes more likely (of fewer than 20
    rows it stays 1); then all rows are fitted (at most 20,000, evenly spread). Where columns were recorded on a grid of
    step d, :math:`d^2/12` is added to the variances of every component in every iteration, and the held-out rows are
    drawn from their cells. Masses of cells: as of :class:`~hexad.baselines.Gaussian`.

    Args:
        event: a real event, with or without steps.
        components: their number; None: chosen, of at most 16 and of as few as keeps the covariances below a million
            numbers.
    """

    players = ()
    log_weights: Tensor
    means: Tensor
    factors: Tensor

    def __init__(self, event: Event, components: int | None = None) -> None:
        super().__init__(event)
        if event.kind != "real":
            raise ValueError(f"a mixture of Gaussians takes a real event, got {event}")
        if components is not None and components < 1:
            raise ValueError(f"mixture of Gaussians: components must be at least 1, got {components}")
        self.components = components
        d, top = event.dims, components or max(1, min(16, 1_000_000 // event.dims**2))
        self.register_buffer("log_weights", torch.full((top,), -math.log(top), dtype=torch.float64))
        self.register_buffer("means", torch.zeros(top, d, dtype=torch.float64))
        self.register_buffer("factors", torch.eye(d, dtype=torch.float64).repeat(top, 1, 1))

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Choose the number of components, then fit.

        Raises:
            InputError: there is but one record.
        """
        if len(x) < 2:
            raise InputError("gmm: 1 record is too few; at least 2 are needed")
        generator = fresh(generator, x.device)
        seed = int(torch.randint(2**31 - 1, (), generator=generator, device=x.device))
        order = torch.rand(len(x), generator=generator, device=x.device).argsort().cpu()
        flat = x.flatten(1).double().cpu()
        flat, order = (
            flat[:: math.ceil(len(flat) / _ROWS)],
            order[order < math.ceil(len(x) / math.ceil(len(x) / _ROWS))],
        )
        widths = self.event.widths.flatten()
        # in these units the ridge of 1/12 on every variance is d^2/12, or 1e-6 of the variance where there is no cell
        unit = torch.where(widths > 0, widths, math.sqrt(12e-6) * flat.std(0, correction=0))
        shift, z = flat.mean(0), (flat - flat.mean(0)) / unit
        count = self.components
        if count is None and len(z) < FEW:
            count = 1  # too few to hold some out
        if count is None:
            held, kept = z[order[: len(z) // 10]], z[order[len(z) // 10 :]]
            noise = torch.rand(held.shape, generator=torch.Generator().manual_seed(seed), dtype=held.dtype) - 0.5
            held = torch.where(widths > 0, held + noise, held)
            count = _best_count(kept, held, len(self.log_weights), seed)
        fitted = _fit(z, min(count, len(z)), seed)
        used = fitted.n_components
        self.log_weights.fill_(-math.inf)[:used] = torch.as_tensor(fitted.weights_).log().to(x.device)
        self.means[:used] = (shift + unit * torch.as_tensor(fitted.means_)).to(x.device)
        factors = unit[:, None] * torch.linalg.cholesky(torch.as_tensor(fitted.covariances_))
        self.factors[:used] = factors.to(x.device)

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Return the log density, or of a single column with a step the log mass of the cell, (batch,)."""
        flat = x.flatten(1).to(self.dtype)
        if flat.shape[1] == 1:
            widths = self.event.widths.flatten().to(self.means)
            parts = normal_log_cell(flat, self.means[:, 0], self.factors[:, 0, 0].log(), widths)
            return torch.logsumexp(self.log_weights + parts, 1)
        densities = []
        for mean, factor in zip(self.means, self.factors, strict=True):
            z = torch.linalg.solve_triangular(factor, (flat - mean).T, upper=False)
            densities.append(-0.5 * z.square().sum(0) - factor.diag().log().sum())
        joint = self.log_weights + torch.stack(densities, 1)
        return torch.logsumexp(joint, 1) - 0.5 * flat.shape[1] * math.log(2 * math.pi)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Draw a component, then the record."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def impute(
        self, x: Tensor, *, draws: int = 1, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Imputation:
        """Return draws of what is NaN, exactly: a component given what is observed, then its Gaussian given both."""
        flat, generator = x.flatten(1).to(self.means), fresh(generator, self.device)
        noise = torch.randn(draws, *flat.shape, generator=generator, device=flat.device, dtype=flat.dtype)
        uniform = torch.rand(draws, len(flat), generator=generator, device=flat.device, dtype=flat.dtype)
        values = flat.expand(draws, -1, -1).clone()
        for missing, rows in patterns(flat.isnan()):
            parts = [conditional(m, f, flat[rows], missing) for m, f in zip(self.means, self.factors, strict=True)]
            log_share = self.log_weights + torch.stack([log_p for _, _, log_p in parts], 1)
            ends = torch.softmax(log_share, 1).cumsum(1)
            pick = torch.searchsorted(ends, uniform[:, rows].T.contiguous() * ends[:, -1:])
            pick = pick.clamp(max=len(parts) - 1).T[..., None]
            drawn = torch.zeros(draws, len(rows), int(missing.sum()), device=flat.device, dtype=flat.dtype)
            for k, (mean, factor, _) in enumerate(parts):
                drawn = torch.where(pick == k, mean + noise[:, rows][..., missing] @ factor.T, drawn)
            values[:, rows[:, None], missing.nonzero()[:, 0]] = drawn
        return Imputation(values.unflatten(2, self.event.shape))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return mu_k + psi L_k z for psi from 0 to 1: from the mean of the record's component to the sample."""
        device, d = self.device, self.event.dims
        u = torch.rand(n, 1 + d, generator=fresh(generator, device), device=device, dtype=torch.float64)
        cdf = self.log_weights.double().softmax(0).cumsum(0)
        # the last component in use ends at 1 only up to rounding
        cdf = torch.where(cdf >= cdf[-1], 2.0, cdf)
        k = torch.searchsorted(cdf, u[:, 0].contiguous(), right=True)
        z = torch.special.ndtri(u[:, 1:].clamp(min=2.0**-54)).to(self.dtype)
        moved = torch.empty_like(z)
        for j, factor in enumerate(self.factors):
            # one product a component, with all rows: a row's arithmetic must not depend on who shares its component
            moved = torch.where((k == j)[:, None], z @ factor.T, moved)
        mean = self.means[k]
        states = [(mean + j / 8 * moved).unflatten(1, self.event.shape) for j in range(9)]
        return Trajectory(torch.stack(states), "latent", tuple(f"psi={j / 8:g}" for j in range(9)))

    def extra_repr(self) -> str:
        """Say how many components there may be."""
        return f"{self.event}, components={self.components or f'at most {len(self.log_weights)}'}"


def _fit(z: Tensor, count: int, seed: int) -> Fit:
    # imported where it is needed: it takes a second, of every command otherwise
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Fit

    mixture = Fit(count, covariance_type="full", reg_covar=1 / 12, random_state=seed, max_iter=100)
    with warnings.catch_warnings():
        # a fit that has not converged after 100 rounds is a fit; fewer distinct rows than components is one, too
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(z.numpy())


def _best_count(kept: Tensor, held: Tensor, most: int, seed: int) -> int:
    """Return the number of components, doubled for as long as the held-out rows become more likely."""
    if most == 1:  # nothing to choose, and a fit of many columns takes long
        return 1
    count, before = 1, -math.inf
    while count <= min(most, len(kept)) and (score := _fit(kept, count, seed).score(held.numpy())) > before:
        count, before = 2 * count, score
    return max(1, count // 2)
