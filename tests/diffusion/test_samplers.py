from __future__ import annotations

import math

import pytest
import torch

from exact import GaussianDenoiser
from hexad.diffusion import DDIM, Ancestral, Diffusion, Sampler, Schedule, linear, log_snr_linear
from hexad.event import Event
from hexad.randomness import stream

MEAN = torch.tensor([0.5, -1.0], dtype=torch.float64)
TURN = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
COVARIANCE = TURN @ torch.diag(torch.tensor([0.09, 2.25], dtype=torch.float64)) @ TURN.T


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(100)], ids=repr)
@torch.no_grad()
def test_with_the_exact_denoiser_samples_have_the_data_s_mean_and_covariance(sampler: Sampler) -> None:
    schedule = log_snr_linear(400, 0.02, last=-10)
    denoiser = GaussianDenoiser(schedule, MEAN, COVARIANCE)
    model = Diffusion(Event.of(2, "real"), denoiser, schedule, variance="beta", sampler=sampler).double()
    x = model.sample(20_000, generator=stream(0, "sample"))
    torch.testing.assert_close(x.mean(0), MEAN, rtol=0, atol=5 * math.sqrt(2.25 / 20_000))
    torch.testing.assert_close(x.T.cov(), COVARIANCE, rtol=0.03, atol=0.03)


def _variance_at_one(schedule: Schedule, sampler: Sampler, v: float) -> float:
    """Return the variance of z_1 from the exact marginal at the top, exactly: all steps are linear."""
    exact = schedule.exact
    steps = sampler.steps(schedule, exact["beta"][:, None])
    top = steps.levels[0]
    variance = float(exact["alpha"][top] ** 2 * v + exact["sigma"][top] ** 2)
    for i, t in enumerate(steps.levels[:-1]):
        a, s = float(exact["alpha"][t]), float(exact["sigma"][t])
        factor = steps.keep[i] + steps.pull[i] * a * v / (a * a * v + s * s)
        variance = factor**2 * variance + (0.0 if steps.noise is None else float(steps.noise[i, 0]) ** 2)
    return variance


@pytest.mark.parametrize("make", [lambda n: Ancestral(), lambda n: DDIM(n - 1)], ids=["ancestral", "ddim"])
def test_samplers_are_of_first_order(make: object) -> None:
    errors = []
    for levels in (81, 161, 321, 641, 1281):
        schedule = log_snr_linear(levels, 0.3, last=-6)
        exact = schedule.exact
        want = float(exact["alpha"][1] ** 2 * 2.25 + exact["sigma"][1] ** 2)
        errors.append(abs(_variance_at_one(schedule, make(levels), 2.25) - want))  # type: ignore[operator]
    slope = math.log2(errors[0] / errors[-1]) / 4
    assert slope == pytest.approx(1, abs=0.2)


@torch.no_grad()
def test_rows_are_the_same_whatever_their_number_and_the_path_ends_at_the_sample() -> None:
    schedule = linear(30)
    denoiser = GaussianDenoiser(schedule, MEAN, COVARIANCE)
    model = Diffusion(Event.of(2, "real"), denoiser, schedule).double()
    many = model.sample(40, generator=stream(0, "sample"))
    torch.testing.assert_close(model.sample(7, generator=stream(0, "sample")), many[:7], rtol=1e-12, atol=1e-12)
    path = model.path(40, generator=stream(0, "sample"))
    assert torch.equal(path.states[-1], many)
    assert path.axis == "noise level"
    assert path.labels[0] == "t=30"
    assert path.labels[-2:] == ("t=1", "sample")
    assert 12 <= len(path.labels) <= 16


@torch.no_grad()
def test_the_score_is_that_of_the_noised_gaussian() -> None:
    schedule = linear(100)
    model = Diffusion(Event.of(2, "real"), GaussianDenoiser(schedule, MEAN, COVARIANCE), schedule).double()
    x, t = torch.randn(5, 2, generator=stream(0, "x"), dtype=torch.float64), torch.tensor([1, 5, 20, 60, 100])
    for i in range(5):
        a, s = schedule.exact["alpha"][t[i]], schedule.exact["sigma"][t[i]]
        noised = torch.distributions.MultivariateNormal(a * MEAN, a * a * COVARIANCE + s * s * torch.eye(2))
        at = x[i].clone().requires_grad_()
        with torch.enable_grad():
            (want,) = torch.autograd.grad(noised.log_prob(at), at)
        torch.testing.assert_close(model.score(x[i : i + 1], t[i : i + 1])[0], want, rtol=1e-8, atol=1e-8)


def test_ddim_needs_a_step() -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        DDIM(0)
