"""Replicas that swap: the rate of swaps and the laws in closed form, and two far wells of known masses."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.checks import InputError
from hexad.mcmc import (
    Kernel,
    bridge_weights,
    evaluator,
    inverse_temperatures,
    mala,
    parallel_tempering,
    run_chains,
    swap,
)
from hexad.randomness import stream

N = 40_000


def square(x):
    return x.square().sum(1) / 2


@pytest.mark.parametrize("first", [0, 1])
def test_swaps_keep_every_replicas_law_at_the_known_rate(first):
    # in two columns |x|^2 / 2 is exponential of rate w; a swap between rates a < b has the mean probability 2a/(a+b)
    weights = torch.tensor([[0.2], [0.5], [1.0]])
    noise = torch.randn(3, N, 2, generator=stream(0, "swap"))
    start = evaluator(square)((noise / weights[:, :, None].sqrt()).flatten(0, 1))
    point, accept = swap(start, weights, first=first, generator=stream(1))
    known = [2 * 0.2 / 0.7, 0.0] if first == 0 else [0.0, 2 * 0.5 / 1.5]
    assert accept.mean(1).tolist() == pytest.approx(known, abs=0.01)
    found = point.x.view(3, N, 2)
    assert found.square().mean((1, 2)).tolist() == pytest.approx([5.0, 2.0, 1.0], rel=0.03)
    assert float((found[2 - 2 * first] != start.x.view(3, N, 2)[2 - 2 * first]).sum()) == 0  # whose turn it was not
    assert torch.equal(point.x.sort(0).values, start.x.sort(0).values)
    torch.testing.assert_close(evaluator(square)(point.x).energies, point.energies)


def wells(x):
    """-log of a quarter of N(-4, 1/2^2) and three quarters of N(4, 1/2^2), up to a constant."""
    left, right = (math.log(mass) - 2 * (x[:, 0] - at).square() for mass, at in ((0.25, -4), (0.75, 4)))
    return -torch.logaddexp(left, right)


def test_two_far_wells_get_their_masses_where_plain_mala_stays_put():
    start = torch.full((128, 1), -4.0)
    plain = run_chains(wells, start, steps=400, warmup=0, step=0.2, generator=stream(2))
    assert float((plain.draws > 0).float().mean()) == 0.0
    ladder = inverse_temperatures([64.0, 24.0, 9.0, 3.5, 1.6, 1.0])
    found = parallel_tempering(start, evaluator(wells), ladder, steps=600, warmup=200, generator=stream(3))
    right = found.draws > 0
    share = right.float().mean((0, 2))
    assert float(share.mean()) == pytest.approx(0.75, abs=4.5 * float(share.std()) / 128**0.5)
    assert float(share.std()) / 128**0.5 < 0.02
    assert float(found.draws[right].mean()) == pytest.approx(4, abs=0.03)
    assert float(found.draws[right].std()) == pytest.approx(0.5, abs=0.03)
    assert float(found.swaps.min()) > 0.3
    assert found.acceptance.tolist() == pytest.approx([0.574] * 6, abs=0.08)


def test_a_bridge_ends_at_the_target_by_any_kernel():
    both = evaluator(square, lambda x: 2 * (x - 1).square().sum(1))
    found = parallel_tempering(
        torch.zeros(500, 2),
        both,
        bridge_weights([0.0, 0.5, 1.0]),
        kernel=Kernel(mala, None),
        steps=100,
        warmup=20,
        thin=5,
        step=0.3,
        generator=stream(4),
    )
    assert found.draws.shape == (20, 500, 2)
    assert found.step.tolist() == pytest.approx([0.3] * 3)
    assert float(found.draws.mean()) == pytest.approx(1, abs=0.02)
    assert float(found.draws.var()) == pytest.approx(0.25, rel=0.04)


def test_wrong_arguments_are_told():
    evaluate, start = evaluator(square), torch.zeros(2, 2)
    with pytest.raises(ValueError, match="temperatures: expected at least two above 0, got"):
        inverse_temperatures([1.0, -1.0])
    with pytest.raises(ValueError, match="times: expected at least two from 0 to 1"):
        bridge_weights([0.0, 2.0])
    with pytest.raises(ValueError, match="weights: expected"):
        parallel_tempering(start, evaluate, torch.ones(1, 1), steps=1, warmup=0)
    with pytest.raises(ValueError, match="thin <= steps"):
        parallel_tempering(start, evaluate, torch.ones(2, 1), steps=1, thin=2, warmup=0)
    with pytest.raises(InputError, match="unknown kernel 'mal'; did you mean 'mala'"):
        parallel_tempering(start, evaluate, torch.ones(2, 1), kernel="mal", steps=1, warmup=0)
