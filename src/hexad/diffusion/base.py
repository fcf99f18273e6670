r"""Diffusion models: noise is added level by level, and the way back is learned.

.. math:: p(x_0) = \int p(z_T) \prod_{t=2}^{T} p_\theta(z_{t-1}|z_t)\, p_\theta(x_0|z_1)\, dz, \qquad
          p_\theta(z_{t-1}|z_t) = N(k_t z_t + p_t \hat z_\theta(z_t, t),\ v_t I)

The mean is learned, through the denoised record :math:`\hat z_\theta`; the variance :math:`v_t` is fixed or learned.
The bound has three parts:

.. math:: -\log p(x_0) \le \underbrace{KL(q(z_T|x_0), p(z_T))}_{L_T}
          + \sum_{t=2}^{T} E\,\underbrace{KL(q(z_{t-1}|z_t,x_0), p_\theta(z_{t-1}|z_t))}_{L_{t-1}} +
          E\,\underbrace{-\log p_\theta(x_0|z_1)}_{L_0}

Its minimum over all models is the entropy of the data, not 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from hexad.diffusion.last_step import LastStep
from hexad.diffusion.samplers import Ancestral, Sampler
from hexad.diffusion.schedules import Schedule, Tables
from hexad.diffusion.variance import ReverseVariance
from hexad.distributions import normal_noise
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.model import LowerBound, Score, Trajectory, Validation
from hexad.randomness import derive, fresh, stream

__all__ = ["BoundTerms", "Diffusion", "unit_scaling"]

# share of a training batch that is spent on L_0, which is one term of T but a fifth of the bound
_FIRST = 0.1
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class BoundTerms:
    """The three parts of the bound, in nats, each (batch,).

    Args:
        prior: L_T.
        diffusion: the sum of L_1 to L_(T-1), in expectation over the levels drawn.
        reconstruction: L_0.
        stderr: standard error of their sum over the draws, (batch,); 0 where one draw cannot tell it.
    """

    prior: Tensor
    diffusion: Tensor
    reconstruction: Tensor
    stderr: Tensor

    @property
    def total(self) -> Tensor:
        """The negative bound, (batch,)."""
        return self.prior + self.diffusion + self.reconstruction


def unit_scaling(event: Event, noise: float = math.inf, first_level: float = 0.6) -> tuple[Tensor, Tensor]:
    r"""Return centre and unit of each column, (D,) float64: z = (x - centre) / unit.

    Codes go to [-1, 1]. Real columns stay as they are, but those whose cells are wide for the first level's noise are
    shrunk until they are not: else the levels would be spent on telling apart what lies within one cell.

    Args:
        event: of model space.
        noise: :math:`\sigma_1/\alpha_1`.
        first_level: the ratio of that noise to the width of a cell that is wanted.
    """
    levels = torch.tensor([float(s.levels) for s in event.supports], dtype=torch.float64)
    half = (levels - 1) / 2
    shrunk = (event.widths.flatten() * first_level / noise).clamp(min=1)
    return torch.where(levels > 0, half, 0.0), torch.where(levels > 0, half, shrunk)


class Diffusion(LowerBound, Score):
    r"""A diffusion over records of one kind, from its parts: denoiser, schedule, reverse variance, sampler.

    Inside, in the space of all z, ordinal codes are scaled to [-1, 1]; real columns as :func:`unit_scaling` says.

    Args:
        event: real, ordinal or binary, not mixed.
        denoiser: called with z (batch, D), levels t (batch,) and context; gives the denoised records, (batch, D).
        schedule: of the forward process.
        variance: of the reverse steps, see :class:`~hexad.diffusion.variance.ReverseVariance`.
        objective: what is minimised and reported as the loss: ``bound``, or ``simple``, the squared error of the
            predicted noise, which leaves the weights of the bound away (Ho, Jain and Abbeel, 2020).
        first_level: ratio of the first level's noise to the width of a real column's cell, where the cell is wider.
        sampler: default :class:`~hexad.diffusion.samplers.Ancestral`. The bound is that of ancestral samples.

    Attributes:
        draws: levels drawn a record when the likelihood is stated; all of them are summed where there are no more.
    """

    draws = 64
    center: Tensor
    unit: Tensor

    def __init__(
        self,
        event: Event,
        denoiser: nn.Module,
        schedule: Schedule,
        *,
        variance: Literal["learned", "beta-tilde", "beta"] | Tensor = "beta-tilde",
        objective: Literal["bound", "simple"] = "bound",
        first_level: float = 0.6,
        sampler: Sampler | None = None,
    ) -> None:
        super().__init__(event)
        if event.kind == "mixed":
            raise ValueError(f"a diffusion takes columns of one kind, got {event}")
        if objective not in ("bound", "simple"):
            raise ValueError(f"objective of a diffusion: expected 'bound' or 'simple', got {objective!r}")
        self.denoiser, self.schedule, self.objective = denoiser, schedule, objective
        self.sampler = sampler or Ancestral()
        noise = schedule.exact["sigma"][1] / schedule.exact["alpha"][1]
        center, unit = unit_scaling(event, float(noise), first_level)
        self.last_step = LastStep(event, noise * unit, learned=objective == "bound")
        self.register_buffer("center", center.to(torch.get_default_dtype()), persistent=False)
        self.register_buffer("unit", unit.to(torch.get_default_dtype()), persistent=False)
        self.variance = ReverseVariance(schedule, event.dims, variance)
        self.weights = Tables({"error": _error_weights(schedule)})

    def scaled(self, x: Tensor) -> Tensor:
        """Return the records as z_0, (batch, D)."""
        return (x.flatten(1) - self.center) / self.unit

    def unscaled(self, z: Tensor) -> Tensor:
        """Return z (..., D) in model space, (..., \\*event.shape)."""
        return (z * self.unit + self.center).unflatten(-1, self.event.shape)

    def denoised(self, z: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Return :math:`\hat z` of the reverse steps, (batch, D): the denoiser's, cut to [-1, 1] for codes.

        As the record lies in that range, the cut never loosens the bound; training is on the denoiser's own, whose
        gradient does not vanish outside.
        """
        z_hat = self.denoiser(z, t, context)
        return z_hat if self.event.kind == "real" else z_hat.clamp(-1, 1)

    def prior_term(self, z0: Tensor) -> Tensor:
        r"""Return :math:`L_T = KL(q(z_T|z_0), N(0, I))`, (batch,)."""
        sigma2 = self.schedule.exact["sigma"][-1].square()
        spread = 0.5 * float(sigma2 - 1 - sigma2.log()) * z0.shape[1]
        return 0.5 * (self.schedule.alpha[-1] * z0).square().sum(1) + spread

    def reverse_term(self, z0: Tensor, t: Tensor, eps: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Return :math:`L_{t-1}` where the noise is eps, (batch,), for levels t from 2 to T.

        .. math:: L_{t-1} = \sum_d \frac{p_t^2}{2 v_t}(z_0 - \hat z)_d^2
                  + \frac12\Big(\frac{\tilde\beta_t}{v_t} - 1 - \log\frac{\tilde\beta_t}{v_t}\Big)
        """
        return self._divergence(z0, self.denoised(self.schedule.noised(z0, t, eps), t, context), t)

    def _divergence(self, z0: Tensor, z_hat: Tensor, t: Tensor) -> Tensor:
        ratio = self.variance.log_ratio(t)
        error = self.weights["error"][t, None] * (z0 - z_hat).square()
        return (error * torch.exp(-ratio) + 0.5 * (torch.expm1(-ratio) + ratio)).sum(1)

    def reconstruction_term(self, x: Tensor, eps: Tensor, context: Tensor | None = None) -> Tensor:
        r"""Return :math:`L_0 = -\log p(x_0|z_1)` where the noise is eps, (batch,)."""
        first = torch.ones(len(x), dtype=torch.long, device=x.device)
        denoised = self.denoiser(self.schedule.noised(self.scaled(x), first, eps), first, context)
        return -self.last_step.log_prob(x.flatten(1), denoised * self.unit + self.center)

    def bound_terms(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        draws: int | None = None,
    ) -> BoundTerms:
        """Return the three parts of the bound.

        L_T is exact. The levels 2 to T are summed one by one where ``draws`` allows; else they are cut into ``draws``
        strata, in each of which every record draws a level of its own. L_0 is the mean of up to four draws. Row i does
        not depend on the other rows, nor on their number.

        Args:
            x: records in model space, (batch, \\*event.shape).
            context: (batch, features).
            generator: where randomness comes from.
            draws: levels drawn a record; None: the model's own number.
        """
        z0, count = self.scaled(x), self.schedule.levels - 1
        draws = self._draws(self.draws if draws is None else draws)
        # a stratum holds two draws, whose difference tells their error; with a draw for every level it holds two levels
        strata = 1 if draws == 1 else draws // 2
        seed = _seed(generator, x.device)
        terms = []
        for k in range(draws):
            own = stream(seed, "level", k, device=x.device)
            u = torch.rand(len(x), 1 + z0.shape[1], generator=own, device=x.device, dtype=torch.float64)
            place = torch.full_like(u[:, 0], k) if draws == count else (k // 2 + u[:, 0]) * (count / strata)
            t = 2 + place.long().clamp(max=count - 1)
            terms.append(count / draws * self.reverse_term(z0, t, _normal(u[:, 1:]).to(z0), context))
        firsts = []
        for k in range(min(draws, 4)):
            own = stream(seed, "first", k, device=x.device)
            eps = normal_noise(len(x), z0.shape[1], own, device=x.device, dtype=z0.dtype)
            firsts.append(self.reconstruction_term(x, eps, context))
        reverse, reconstruction = torch.stack(terms), torch.stack(firsts)
        return BoundTerms(
            self.prior_term(z0), reverse.sum(0), reconstruction.mean(0), _standard_error(reverse, reconstruction)
        )

    def elbo(self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the negative sum of the three parts, each record at one level of its own drawing."""
        return -self.bound_terms(x, context=context, generator=generator, draws=1).total

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return an estimate of the negative bound (or the simple loss) from one denoising a record, (batch,).

        The levels of a batch are spread evenly by a golden-ratio sequence from one random start; a tenth of them is
        level 1.
        """
        z0, levels = self.scaled(x), self.schedule.levels
        generator = fresh(generator, x.device)
        start = torch.rand((), generator=generator, device=x.device, dtype=torch.float64)
        u = (start + _GOLDEN * torch.arange(len(x), device=x.device)) % 1
        eps = torch.randn(z0.shape, generator=generator, device=x.device, dtype=z0.dtype)
        if self.objective == "simple":
            t = 1 + (u * levels).long().clamp(max=levels - 1)
            alpha, sigma = self.schedule.alpha[t, None], self.schedule.sigma[t, None]
            z_t = self.schedule.noised(z0, t, eps)
            return (eps - (z_t - alpha * self.denoiser(z_t, t, context)) / sigma).square().sum(1)
        first = u < _FIRST
        rest = (u - _FIRST) / (1 - _FIRST) * (levels - 1)
        t = torch.where(first, 1, 2 + rest.long().clamp(0, levels - 2))
        denoised = self.denoiser(self.schedule.noised(z0, t, eps), t, context)
        reverse = self._divergence(z0, denoised, t)
        # where it is not taken the last step sees its own record: far tails overflow, and 0 times infinity is NaN
        x_0 = x.flatten(1)
        mean = torch.where(first[:, None], denoised * self.unit + self.center, x_0)
        reconstruction = -self.last_step.log_prob(x_0, mean)
        drawn = torch.where(first, reconstruction / _FIRST, reverse * ((levels - 1) / (1 - _FIRST)))
        return self.prior_term(z0) + drawn

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation | None:
        """Return the mean of the bound, eight levels a record."""
        total = self.bound_terms(x, context=context, generator=generator, draws=8).total
        return Validation("elbo", -float(total.mean()), "higher")

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return the bound of the ancestral sampler; ``budget`` caps the levels drawn a record."""
        draws = self._draws(min(self.draws, budget or self.draws))
        terms = self.bound_terms(x, context=context, generator=generator, draws=draws)
        return LogLikelihood(
            -terms.total.double(),
            "lower_bound",
            mc_stderr=terms.stderr.double() if draws > 1 else None,
            measure=self.event.measure,
            protocol=f"bound of ancestral sampling, {draws} of {self.schedule.levels - 1} noise levels a record",
        )

    def _draws(self, wanted: int) -> int:
        """Return how many levels are drawn: all there are, else one or an even number."""
        count = self.schedule.levels - 1
        return count if wanted >= count else max(1, wanted - wanted % 2)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        r"""Return the score of noised records at levels t, :math:`-\hat\epsilon/\sigma_t`, in the units of model space.

        Args:
            x: noised records as :meth:`unscaled` gives them, (batch, \*event.shape).
            t: whole levels from 1 to T, (batch,).
        """
        z = self.scaled(x)
        alpha, sigma = self.schedule.alpha[t, None], self.schedule.sigma[t, None]
        score = (alpha * self.denoised(z, t) - z) / sigma.square()
        return (score / self.unit).unflatten(1, self.event.shape)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Run the sampler from noise to level 1, then draw the record."""
        return self._states(n, 1, context, generator)[0][-1]

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return some 14 states, evenly spread over the levels, from noise to the record."""
        states, labels = self._states(n, 13, context, generator)
        return Trajectory(torch.stack(states), "noise level", tuple(labels))

    def _states(
        self, n: int, frames: int, context: Tensor | None, generator: torch.Generator | None
    ) -> tuple[list[Tensor], list[str]]:
        device, features = self.device, self.event.dims
        seed = _seed(generator, device)
        z = normal_noise(n, features, stream(seed, "top", device=device), device=device, dtype=self.dtype)
        shown = set(torch.linspace(self.schedule.levels, 1, frames).round().long().tolist())
        states, labels = [], []
        steps = self.sampler.run(
            lambda z_t, t: self.denoised(z_t, t, context),
            z,
            self.schedule,
            self.variance.table(),
            derive(seed, "steps"),
        )
        for level, z_t in steps:
            z = z_t
            if level in shown:
                states.append(self.unscaled(z))
                labels.append(f"t={level}")
        first = torch.ones(n, dtype=torch.long, device=device)
        mean = self.denoiser(z, first, context) * self.unit + self.center
        own = stream(seed, "record", device=device)
        u = torch.rand(n, features, generator=own, device=device, dtype=torch.float64).clamp(min=2.0**-54)
        states.append(self.last_step.draw(mean, u).unflatten(1, self.event.shape))
        return states, [*labels, "sample"]


def _seed(generator: torch.Generator | None, device: torch.device) -> int:
    """Return a seed drawn from the generator, from which every level gets a stream of its own."""
    return int(torch.randint(2**62, (), generator=fresh(generator, device), device=device))


def _standard_error(terms: Tensor, repeats: Tensor) -> Tensor:
    """Return the standard error of the sum over terms plus the mean over repeats, (batch,); 0 for one draw of each.

    The square of the difference of two terms of one stratum has the variance of their sum as its mean, or more.
    """
    k, r = len(terms), len(repeats)
    if k == 1:
        return torch.zeros_like(terms[0])
    variance = (terms[0 : k - 1 : 2] - terms[1:k:2]).square().sum(0) + repeats.var(0) / r
    if k % 2:
        variance = variance + 0.5 * (terms[-1] - terms[-2]).square()
    return variance.sqrt()


def _normal(u: Tensor) -> Tensor:
    """Return standard normal numbers of uniform ones."""
    return torch.special.ndtri(u.clamp(min=2.0**-54))


def _error_weights(schedule: Schedule) -> Tensor:
    r"""Return :math:`p_t^2 / 2\tilde\beta_t`, half the step of the signal-to-noise ratio, (T + 1,); 0 below level 2."""
    table = torch.zeros_like(schedule.exact["pull"])
    table[2:] = schedule.exact["pull"][2:].square() / (2 * schedule.exact["beta_tilde"][2:])
    return table
