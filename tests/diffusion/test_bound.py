"""The bound on data whose entropy is known: the gaps of NUMBERS, in closed form and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from exact import GaussianDenoiser
from hexad.diffusion import DDPM, Diffusion, linear
from hexad.event import Event, Support
from hexad.randomness import stream

VARIANCE = 0.25
ENTROPY = 0.5 * math.log(2 * math.pi * math.e * VARIANCE)


def gaussian_model(levels: int, variance: str) -> tuple[Diffusion, float]:
    """Return a diffusion with the optimal mean for N(0, 0.25), in float64, and KL(q(z_T), p(z_T))."""
    schedule = linear(levels)
    exact = schedule.exact
    posterior = VARIANCE * exact["sigma"].square() / (exact["alpha"].square() * VARIANCE + exact["sigma"].square())
    optimal = (exact["beta_tilde"] + exact["pull"].square() * posterior)[1:]
    denoiser = GaussianDenoiser(schedule, torch.zeros(1), torch.full((1, 1), VARIANCE))
    chosen: str | Tensor = optimal if variance == "optimal" else variance
    model = Diffusion(Event.of(1, "real"), denoiser, schedule, variance=chosen).double()  # type: ignore[arg-type]
    with torch.no_grad():
        model.last_step.log_scale.fill_(0.5 * math.log(optimal[0] if variance == "optimal" else exact["beta"][1]))
    at_top = float(exact["alpha"][-1].square() * VARIANCE + exact["sigma"][-1].square())
    return model, 0.5 * (at_top - 1 - math.log(at_top))


@torch.no_grad()
def expected_bound(model: Diffusion) -> float:
    """Return the negative bound in expectation: each term is quadratic in (x_0, eps), so four nodes each are exact."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    x, eps = (torch.tensor(part).reshape(-1, 1) for part in np.meshgrid(nodes, nodes, indexing="ij"))
    w = torch.tensor(np.outer(weights, weights).flatten() / weights.sum() ** 2)
    x = x * math.sqrt(VARIANCE)
    total = model.prior_term(x) + model.reconstruction_term(x, eps)
    t = torch.arange(2, model.schedule.levels + 1).repeat_interleave(len(x))
    terms = model.reverse_term(x.repeat(len(t) // len(x), 1), t, eps.repeat(len(t) // len(x), 1))
    return float(w @ (total + terms.view(-1, len(x)).sum(0)))


@pytest.mark.parametrize("levels", [10, 100, 1000])
def test_with_the_optimal_variance_the_gap_is_that_of_the_prior_alone(levels: int) -> None:
    model, prior = gaussian_model(levels, "optimal")
    assert expected_bound(model) - ENTROPY == pytest.approx(prior, abs=1e-6)


@pytest.mark.parametrize(("variance", "gap"), [("beta", 0.0011), ("beta-tilde", 0.456)])
def test_the_two_fixed_variances_have_their_known_gaps(variance: str, gap: float) -> None:
    model, _ = gaussian_model(1000, variance)
    assert expected_bound(model) - ENTROPY == pytest.approx(gap, rel=0.01)


@pytest.mark.parametrize("draws", [1, 16, 1000])
@torch.no_grad()
def test_every_estimate_is_unbiased_and_its_error_is_stated(draws: int) -> None:
    model, _ = gaussian_model(100, "beta")
    rows = 4000
    x = math.sqrt(VARIANCE) * torch.randn(rows, 1, generator=stream(0, "x"), dtype=torch.float64)
    terms = model.bound_terms(x, generator=stream(0, draws), draws=draws)
    error = float(terms.total.std()) / math.sqrt(rows)
    assert abs(float(terms.total.mean()) - expected_bound(model)) < 4 * error
    # a bound never beats the truth
    log_p = -0.5 * x[:, 0].square() / VARIANCE - 0.5 * math.log(2 * math.pi * VARIANCE)
    gap = terms.total + log_p
    assert float(gap.mean()) > -4 * float(gap.std()) / math.sqrt(rows)
    if draws > 1:
        again = model.bound_terms(x, generator=stream(1, draws), draws=draws).total
        true = float((again - terms.total).square().mean().div(2).sqrt())
        stated = float(terms.stderr.square().mean().sqrt())
        assert 0.95 * true < stated < 1.1 * true
    else:
        assert not terms.stderr.any()


@torch.no_grad()
def test_the_training_loss_estimates_the_same_bound() -> None:
    model, _ = gaussian_model(100, "beta")
    x = math.sqrt(VARIANCE) * torch.randn(20_000, 1, generator=stream(0, "x"), dtype=torch.float64)
    loss = model.loss(x, generator=stream(0, "loss"))
    assert float(loss.mean()) == pytest.approx(expected_bound(model), abs=4 * float(loss.std()) / 20_000**0.5)


@torch.no_grad()
def test_the_simple_loss_of_the_exact_denoiser_is_the_posterior_s_variance() -> None:
    schedule = linear(100)
    denoiser = GaussianDenoiser(schedule, torch.zeros(1), torch.full((1, 1), VARIANCE))
    model = Diffusion(Event.of(1, "real"), denoiser, schedule, objective="simple").double()
    a, s = schedule.exact["alpha"][1:].square(), schedule.exact["sigma"][1:].square()
    x = math.sqrt(VARIANCE) * torch.randn(20_000, 1, generator=stream(0, "x"), dtype=torch.float64)
    loss = model.loss(x, generator=stream(0, "loss"))
    # eps given z_t has the variance 1 - sigma^2 / (alpha^2 v + sigma^2)
    want = float((a * VARIANCE / (a * VARIANCE + s)).mean())
    assert float(loss.mean()) == pytest.approx(want, abs=4 * float(loss.std()) / 20_000**0.5)


@torch.no_grad()
def test_the_last_step_over_levels_sums_to_one() -> None:
    model = DDPM(Event.of(1, Support("ordinal", levels=9)), noise_levels=10, hidden=(8,)).double()
    codes = torch.arange(9.0, dtype=torch.float64)[:, None]
    for mean in (-3.0, 0.2, 4.5, 11.0):
        log_p = model.last_step.log_prob(codes, torch.full_like(codes, mean))
        assert float(log_p.logsumexp(0)) == pytest.approx(0, abs=1e-12)
    # its draws have those probabilities
    u = torch.linspace(0, 1, 200_001, dtype=torch.float64)[1:-1, None]
    drawn = model.last_step.draw(torch.full_like(u, 4.5), u)[:, 0].long().bincount(minlength=9) / len(u)
    want = model.last_step.log_prob(codes, torch.full_like(codes, 4.5)).exp()
    torch.testing.assert_close(drawn.double(), want, rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_bound_over_levels_is_below_the_truth() -> None:
    """Two binary columns of known law, with the exact denoiser by enumeration."""
    states = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    p = torch.tensor([0.5, 0.1, 0.1, 0.3], dtype=torch.float64)
    model = DDPM(Event.of(2, "binary"), noise_levels=200, hidden=(8,)).double()
    schedule, corners = model.schedule, 2 * states - 1

    class Enumerated(torch.nn.Module):
        def forward(self, z: Tensor, t: Tensor, context: Tensor | None = None) -> Tensor:
            alpha, sigma = schedule.alpha[t, None, None], schedule.sigma[t, None, None]
            distance = ((z[:, None] - alpha * corners) / sigma).square().sum(-1)
            return (p.log() - 0.5 * distance).softmax(-1) @ corners

    model.denoiser = Enumerated()  # type: ignore[assignment]
    rows = 4000
    total = torch.stack(
        [
            model.bound_terms(state.expand(rows, 2), generator=stream(0, i), draws=100).total
            for i, state in enumerate(states)
        ]
    )
    gap = p @ (total.mean(1) + p.log())
    error = (p.square() @ total.var(1) / rows).sqrt()
    assert -4 * error < gap < 0.06
