"""Schedules against paths whose length is known."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.mcmc import Bridge, adapted_times, anneal, uniform_times
from hexad.mcmc.schedule import equal_lengths, pilot_lengths
from hexad.randomness import stream


class Widths(Bridge):
    """Gaussians whose precision runs to ``end``, straight or geometrically, with moves of correlation ``rho(t)``."""

    def __init__(self, end, geometric=False, rho=lambda t: 0.0):
        self.end, self.geometric, self.rho = end, geometric, rho

    def precision(self, t):
        return self.end**t if self.geometric else 1 + t * (self.end - 1)

    def log_ratio(self, state, t, u):
        return -0.5 * (self.precision(u) - self.precision(t)) * state.square()

    def move(self, state, t, generator):
        rho, noise = self.rho(t), torch.randn(state.shape, generator=generator, dtype=state.dtype)
        return rho * state + (1 - rho**2) ** 0.5 * noise / self.precision(t) ** 0.5


def start(n, generator):
    return lambda: torch.randn(n, generator=generator, dtype=torch.float64)


def test_equal_lengths_are_equal():
    knots, lengths = torch.tensor([0.0, 0.2, 1.0]).double(), torch.tensor([3.0, 1.0]).double()
    times = equal_lengths(knots, lengths, 8)
    assert times[0] == 0
    assert times[-1] == 1
    # a tenth is even in time: the first window has 0.9 * 3/4 + 0.1 * 0.2
    share = torch.tensor([0.695, 0.305]).double()
    reached = [share[0] * t / 0.2 if t <= 0.2 else share[0] + share[1] * (t - 0.2) / 0.8 for t in times]
    assert torch.allclose(torch.stack(reached[1:]).diff(), torch.full((7,), 0.125).double())


def test_quick_moves_give_steps_of_equal_thermodynamic_length():
    end, generator = 400.0, stream(0)
    bridge = Widths(end)
    times = torch.tensor(adapted_times(bridge, start(400, generator), 200, pilot=400, generator=generator))
    # sqrt(g) dt = d(log precision) / sqrt(2), and a tenth of the steps even in time
    known = 0.9 * torch.log(1 + times * (end - 1)) / math.log(end) + 0.1 * times
    assert torch.allclose(known, torch.linspace(0, 1, 201), atol=0.03)
    assert float(times[100]) < 0.1


def test_slow_moves_get_more_steps_by_the_root_of_their_correlation_time():
    rho, generator = 0.9, stream(1)
    bridge = Widths(16.0, geometric=True, rho=lambda t: rho if t > 0.5 else 0.0)
    knots, lengths = pilot_lengths(
        bridge, start(2000, generator)(), torch.linspace(0, 1, 801).tolist(), generator=generator
    )
    quick, slow = lengths[knots[1:] <= 0.5].mean(), lengths[knots[:-1] >= 0.5].mean()
    # over windows of 20 steps squares of the state have correlation rho^2k
    n = 20
    inflation = 1 + 2 * sum((1 - k / n) * rho ** (2 * k) for k in range(1, n))
    assert float(slow / quick) == pytest.approx(inflation**0.5, rel=0.06)


def test_an_adapted_schedule_has_less_variance():
    generator = stream(2)
    bridge, fresh = Widths(400.0), start(1000, generator)
    times = adapted_times(bridge, fresh, 40, pilot=40, generator=generator)
    adapted, _ = anneal(bridge, fresh(), times, generator=generator)
    even, _ = anneal(bridge, fresh(), uniform_times(40), generator=generator)
    assert float(adapted.var()) < 0.5 * float(even.var())
    # it is fixed before the runs that count: their mean weight is right
    assert float(adapted.exp().mean()) == pytest.approx(400**-0.5, rel=0.15)


def test_a_path_without_length_keeps_even_steps():
    generator = stream(3)
    assert adapted_times(Widths(1.0), start(8, generator), 10, pilot=20, generator=generator) == uniform_times(10)
