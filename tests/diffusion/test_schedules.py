from __future__ import annotations

import math

import pytest
import torch

from hexad.diffusion.schedules import Schedule, cosine, linear, log_snr_linear
from hexad.diffusion.variance import ReverseVariance

SCHEDULES = {
    "linear": linear(1000),
    "linear of 10": linear(10),
    "cosine": cosine(200),
    "log-snr": log_snr_linear(250, 0.05),
}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_signal_to_noise_falls_and_the_tables_belong_together(schedule: Schedule) -> None:
    t = schedule.exact
    snr = (t["alpha"] / t["sigma"]).square()[1:]
    assert (snr.diff() < 0).all()
    torch.testing.assert_close(t["alpha"].square() + t["sigma"].square(), torch.ones_like(t["alpha"]))
    torch.testing.assert_close((1 - t["beta"]).cumprod(0), t["alpha"].square(), rtol=1e-10, atol=1e-12)
    # the posterior by Bayes' rule: its precision is that of z_t given z_(t-1) plus that of z_(t-1) given z_0
    beta, below, alpha = t["beta"][2:], t["sigma"][1:-1].square(), t["alpha"][1:-1]
    variance = 1 / ((1 - beta) / beta + 1 / below)
    torch.testing.assert_close(t["beta_tilde"][2:], variance, rtol=1e-9, atol=0)
    torch.testing.assert_close(t["keep"][2:], variance * (1 - beta).sqrt() / beta, rtol=1e-9, atol=0)
    torch.testing.assert_close(t["pull"][2:], variance * alpha / below, rtol=1e-9, atol=0)


def test_the_linear_schedule_is_the_paper_s() -> None:
    beta = linear(1000).exact["beta"][1:]
    torch.testing.assert_close(beta, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), rtol=1e-9, atol=0)
    assert linear(1000).exact["alpha"][-1].square().item() == pytest.approx(4.0358e-5, rel=1e-4)


def test_log_snr_linear_starts_at_its_noise_and_takes_equal_steps() -> None:
    t = log_snr_linear(100, 0.0625, last=-8).exact
    log_snr = 2 * (t["alpha"] / t["sigma"])[1:].log()
    assert (t["sigma"][1] / t["alpha"][1]).item() == pytest.approx(0.0625, rel=1e-12)
    assert log_snr[-1].item() == pytest.approx(-8, rel=1e-10)
    torch.testing.assert_close(log_snr.diff(), log_snr.diff()[:1].expand(99), rtol=1e-8, atol=0)


def test_tables_regain_every_digit_in_float64_and_are_no_state() -> None:
    schedule = linear(1000)
    assert schedule.alpha.dtype == torch.float32
    assert torch.equal(schedule.double().alpha, schedule.exact["alpha"])
    assert torch.equal(schedule.float().double().keep, schedule.exact["keep"])
    assert not schedule.state_dict()


def test_learned_variances_lie_between_the_two_choices() -> None:
    schedule = log_snr_linear(50, 0.05)
    learned = ReverseVariance(schedule, 3)
    low, high = (ReverseVariance(schedule, 3, kind).table()[2:] for kind in ("beta-tilde", "beta"))
    assert torch.equal(low[:, 0], schedule.exact["beta_tilde"][2:])
    torch.testing.assert_close(high[:, 0], schedule.exact["beta"][2:], rtol=1e-12, atol=0)
    assert learned.theta is not None
    torch.testing.assert_close(learned.table()[2:], (low * high).sqrt().expand(-1, 3), rtol=1e-12, atol=0)
    with torch.no_grad():
        learned.theta.fill_(40.0)
    torch.testing.assert_close(learned.table()[2:], high.expand(-1, 3), rtol=1e-12, atol=0)
    ratio = learned.double().log_ratio(torch.tensor([2, 30, 50]))
    rows = (learned.table() / schedule.exact["beta_tilde"][:, None])[[2, 30, 50]].log()
    torch.testing.assert_close(ratio, rows)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Schedule(torch.tensor([1.0, 2.0])), "strictly falling"),
        (lambda: linear(10, 0.5, 0.1), "first <= last"),
        (lambda: ReverseVariance(linear(10), 2, "bet"), "expected 'learned'"),
        (lambda: ReverseVariance(linear(10), 2, torch.ones(3)), "expected \\(10,\\)"),
    ],
)
def test_errors_say_what_was_expected(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()  # type: ignore[operator]


def test_cosine_follows_its_formula() -> None:
    alpha2 = cosine(1000).exact["alpha"].square()
    want = (math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
    assert alpha2[500].item() == pytest.approx(want, rel=1e-9)


def test_learned_variances_are_piecewise_linear_between_their_knots() -> None:
    learned = ReverseVariance(linear(30), 1, knots=4).double()
    assert learned.theta is not None
    with torch.no_grad():
        learned.theta.copy_(torch.tensor([[0.0], [1.0], [3.0], [-1.0]]))
    share = learned.log_ratio(torch.tensor([5, 10, 15, 30])) / learned.tables["gap"][[5, 10, 15, 30]]
    torch.testing.assert_close(share[:, 0], torch.tensor([0.5, 1.0, 2.0, -1.0], dtype=torch.float64).sigmoid())
