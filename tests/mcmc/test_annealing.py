"""Annealing between two Gaussians of known normalisers, and what is made of its weights."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.mcmc import Bridge, anneal, log_mean, sandwich
from hexad.randomness import stream

SPREAD, HEIGHT = 0.4, 3.0
LOG_RATIO = math.log(SPREAD) + HEIGHT


class Gaussians(Bridge):
    """From N(0, 1) to N(0, SPREAD^2) times exp(HEIGHT), unnormalised."""

    def precision(self, t):
        return 1 - t + t / SPREAD**2

    def log_ratio(self, state, t, u):
        return (u - t) * HEIGHT - 0.5 * (self.precision(u) - self.precision(t)) * state.square()

    def move(self, state, t, generator):
        # an autoregressive move is reversible under N(0, 1 / precision)
        noise = torch.randn(state.shape, generator=generator, dtype=state.dtype)
        return 0.8 * state + 0.6 * noise / self.precision(t) ** 0.5


def test_forward_and_reverse_runs_hold_the_ratio_between_them():
    generator, times = stream(0), torch.linspace(0, 1, 21).tolist()
    start = torch.randn(4000, generator=generator, dtype=torch.float64)
    forward, end = anneal(Gaussians(), start, times, generator=generator)
    reverse, _ = anneal(Gaussians(), SPREAD * start, times, reverse=True, generator=generator)
    error = float(forward.std()) / math.sqrt(4000)
    assert float(forward.mean()) < LOG_RATIO + 3 * error
    assert float(reverse.mean()) > LOG_RATIO - 3 * error
    assert float(forward.mean()) < LOG_RATIO - 0.02  # the bound is not tight: the test can fail
    found = sandwich(forward, reverse)
    assert found.forward.value == pytest.approx(LOG_RATIO, abs=4 * found.forward.stderr)
    assert found.reverse.value == pytest.approx(LOG_RATIO, abs=4 * found.reverse.stderr)
    assert found.low < LOG_RATIO < found.high
    assert found.high - found.low < 0.1
    weights = torch.softmax(forward, 0)
    assert float(weights @ end.square()) == pytest.approx(SPREAD**2, rel=0.1)


def test_log_mean_is_stable_and_names_its_effective_size():
    log_w = torch.tensor([1e4, 1e4, -1e4, -1e4])
    found = log_mean(log_w)
    assert found.value == pytest.approx(1e4 - math.log(2))
    assert found.effective == pytest.approx(2.0)
    assert found.draws == 4
    with pytest.raises(ValueError, match="at least two weights, got 1"):
        log_mean(torch.zeros(1))


@pytest.mark.parametrize("times", [[0.0], [0.0, 0.5, 0.5, 1.0], [1.0, 0.0]])
def test_times_must_increase(times):
    with pytest.raises(ValueError, match="at least two, increasing"):
        anneal(Gaussians(), torch.zeros(2), times, generator=None)
