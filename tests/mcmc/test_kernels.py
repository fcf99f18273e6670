"""Kernels against laws that are known: what leaves them invariant, and how ULA does not."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.mcmc import Point, bernoulli, block_gibbs, independence, langevin, mala, site_gibbs
from hexad.randomness import stream

N = 40_000


@pytest.mark.parametrize(("spread", "temperature"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.25)])
def test_ula_has_its_known_wrong_variance(spread, temperature):
    generator, step = stream(0, "ula"), 0.5 * spread**2
    x = torch.zeros(N, 1)
    for _ in range(100):
        x = langevin(x, x / spread**2, step=step, temperature=temperature, generator=generator)
    known = temperature * spread**2 / (1 - step / (4 * spread**2))
    assert float(x.var()) == pytest.approx(known, rel=5 * math.sqrt(2 / N))


def test_langevin_at_temperature_zero_descends():
    x = langevin(torch.ones(3, 2), 2 * torch.ones(3, 2), step=0.1, temperature=0.0, generator=None)
    assert torch.allclose(x, torch.full((3, 2), 0.9))


def quartic(x):
    """Two terms: x^4 / 4 in each column, and half a square shifted by 1."""
    energies = torch.stack([x.pow(4).sum(1) / 4, (x - 1).square().sum(1) / 2])
    return Point(x, energies, torch.stack([x.pow(3), x - 1]))


def moments(coefficients, temperature):
    """First two moments of one column of exp(-U / temperature), by quadrature."""
    x = torch.linspace(-6, 6, 4001, dtype=torch.float64)[:, None]
    weights = torch.softmax(-(coefficients.double() @ quartic(x).energies) / temperature, 0)
    return float(weights @ x[:, 0]), float(weights @ x[:, 0].square())


@pytest.mark.parametrize(("weights", "temperature"), [((1.0, 0.5), 1.0), ((1.0, 0.0), 2.0)])
def test_mala_leaves_the_law_of_weighted_terms_invariant(weights, temperature):
    generator, coefficients = stream(1, "mala"), torch.tensor(weights)
    point = quartic(torch.zeros(N, 2))
    for _ in range(60):
        point, accept = mala(
            point, quartic, coefficients, step=0.6 * temperature**0.5, temperature=temperature, generator=generator
        )
    assert 0.3 < float(accept.mean()) < 0.97
    mean, second = moments(coefficients, temperature)
    assert float(point.x.mean()) == pytest.approx(mean, abs=0.02)
    assert float(point.x.square().mean()) == pytest.approx(second, abs=0.02)
    again = quartic(point.x)
    assert torch.equal(point.energies, again.energies)
    assert torch.equal(point.gradients, again.gradients)


def test_mala_refuses_what_is_not_a_number():
    def broken(x):
        return Point(x, torch.full((1, len(x)), math.nan), torch.zeros(1, *x.shape))

    start = Point(torch.zeros(5, 2), torch.zeros(1, 5), torch.zeros(1, 5, 2))
    point, accept = mala(start, broken, torch.ones(1), step=0.1, generator=stream(2))
    assert torch.equal(point.x, start.x)
    assert torch.equal(accept, torch.zeros(5))


def test_independence_moves_reach_the_target_from_the_proposals():
    generator = stream(3, "independence")

    def at(x):
        return Point(x, x.square().sum(1)[None], 2 * x[None])

    point = at(torch.randn(N, 1, generator=generator))
    for _ in range(15):
        drawn = at(torch.randn(N, 1, generator=generator))
        point, _ = independence(point, drawn, lambda p: -p.energies[0], generator=generator)
    # N(0, 1) tilted by exp(-x^2) is N(0, 1/3)
    assert float(point.x.var()) == pytest.approx(1 / 3, rel=5 * math.sqrt(2 / N))


def test_block_gibbs_leaves_the_enumerated_law_invariant():
    generator = stream(4, "gibbs")
    w = torch.randn(3, 2, generator=generator)
    states = torch.tensor([[(i >> j) & 1 for j in range(3)] for i in range(8)]).float()
    known = torch.softmax(torch.nn.functional.softplus(states @ w).sum(1), 0)
    start = states[torch.searchsorted(known.cumsum(0), torch.rand(N, generator=generator)).clamp(max=7)]
    v = block_gibbs(
        start, lambda v: torch.sigmoid(v @ w), lambda h: torch.sigmoid(h @ w.T), sweeps=3, generator=generator
    )
    found = torch.bincount((v @ torch.tensor([1.0, 2.0, 4.0])).long(), minlength=8) / N
    assert torch.all((found - known).abs() < 5 * (known * (1 - known) / N).sqrt())


@pytest.mark.parametrize("sweeps", [1, 2])
def test_single_sites_leave_the_enumerated_law_invariant(sweeps):
    generator = stream(6, "sites")
    w = torch.randn(3, 3, generator=generator).triu(1)
    w = w + w.T
    states = torch.tensor([[(i >> j) & 1 for j in range(3)] for i in range(8)]).float()
    known = torch.softmax(0.5 * ((states @ w) * states).sum(1), 0)
    start = states[torch.searchsorted(known.cumsum(0), torch.rand(N, generator=generator)).clamp(max=7)]
    x = site_gibbs(start, lambda x, i: torch.sigmoid(x @ w[i]), sweeps=sweeps, generator=generator)
    found = torch.bincount((x @ torch.tensor([1.0, 2.0, 4.0])).long(), minlength=8) / N
    assert torch.all((found - known).abs() < 5 * (known * (1 - known) / N).sqrt())
    # every unit is drawn anew: of its own value nothing is left where nothing couples
    free = site_gibbs(torch.ones(N, 3), lambda x, i: torch.full((len(x),), 0.3), sweeps=sweeps, generator=generator)
    assert free.mean(0).tolist() == pytest.approx([0.3] * 3, abs=0.012)


def test_bernoulli_draws_with_its_probabilities():
    x = bernoulli(torch.tensor([0.0, 0.3, 1.0]).expand(N, -1), stream(5))
    assert x.dtype == torch.float32
    assert x.mean(0).tolist() == pytest.approx([0.0, 0.3, 1.0], abs=0.012)
