"""Bridge sampling on weights of known laws: both directions tied by Crooks' relation."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.mcmc import bennett, sandwich
from hexad.randomness import stream


def normal(spread, n, m, generator):
    """log w of both directions, log-normal weights, log Z = 0."""
    f, r = (torch.randn(k, generator=generator, dtype=torch.float64) for k in (n, m))
    return spread * f - spread**2 / 2, spread * r + spread**2 / 2


def gamma(spread, n, m, generator):
    """log w of both directions whose loss is a gamma of shape 2 forwards, log Z = 0: a long tail of small weights."""
    scale = spread / math.sqrt(2)
    u, v = (torch.rand(2, k, generator=generator, dtype=torch.float64).log().neg().sum(0) for k in (n, m))
    shift = 2 * math.log1p(scale)
    return shift - scale * u, shift - scale / (1 + scale) * v


def mirrored(spread, n, m, generator):
    """The same from the other end: large weights are rare."""
    r, f = gamma(spread, m, n, generator)
    return -f, -r


LAWS = [normal, gamma, mirrored]


@pytest.mark.parametrize("law", LAWS)
def test_the_weights_of_the_tests_have_mean_one_both_ways(law):
    forward, reverse = law(0.5, 200_000, 200_000, stream(0))
    for x in (forward.exp(), (-reverse).exp()):
        assert float(x.mean()) == pytest.approx(1, abs=4 * float(x.std()) / 200_000**0.5)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("sizes", [(900, 900), (8_000, 500), (500, 8_000)])
def test_bennett_finds_the_ratio_for_any_two_numbers_of_runs(law, sizes):
    found = sandwich(*law(2.0, *sizes, stream(1)))
    assert abs(found.value) < 4 * found.stderr < 0.5
    assert found.low < found.value < found.high


def test_bennett_solves_its_equation_and_shifts_with_the_weights():
    f, r = normal(1.5, 40, 25, stream(2))
    c = bennett(f, r)
    ratio = math.log(25 / 40)
    assert float(torch.sigmoid(f - c + ratio).sum()) == pytest.approx(float(torch.sigmoid(c - r - ratio).sum()))
    assert float(bennett(f + 7, r + 7)) == pytest.approx(float(c) + 7)
    assert float(bennett(-r, -f)) == pytest.approx(-float(c))
    assert float(bennett(torch.full((5,), 3.0), torch.full((9,), 3.0))) == pytest.approx(3.0)


def test_its_error_is_that_of_many_repetitions():
    generator = stream(3)
    found = [sandwich(*normal(1.5, 40, 40, generator)) for _ in range(150)]
    values = torch.tensor([s.value for s in found])
    stated = torch.tensor([s.stderr for s in found])
    assert float(stated.mean()) == pytest.approx(float(values.std()), rel=0.25)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("runs", "spread"), [(10, 1.0), (30, 2.0)])
def test_the_interval_covers_as_often_as_it_says_and_is_narrow(law, runs, spread):
    generator, repeats = stream(4), 120
    found = [sandwich(*law(spread, runs, runs, generator)) for _ in range(repeats)]
    hits = sum(s.low < 0 < s.high for s in found)
    # 95 in 100, less four of its standard deviations here
    assert hits >= 0.87 * repeats
    assert sum(s.high - s.low for s in found) / repeats < 2.2


def test_directions_that_do_not_meet_give_their_hull():
    generator, hits = stream(5), 0
    for _ in range(60):
        found = sandwich(*normal(6.0, 20, 20, generator))
        hits += found.low < 0 < found.high
        assert not found.agree
        assert found.low < min(found.forward.value, found.reverse.value)
        assert found.high > max(found.forward.value, found.reverse.value)
    assert hits >= 55
    assert "disagree or hardly overlap" in found.protocol


def test_reverse_runs_that_start_elsewhere_are_noticed():
    # chain states that are not of the target: both directions agree with no ratio
    f, r = normal(0.5, 100, 100, stream(6))
    found = sandwich(f, r + 1.0)
    assert not found.agree
    assert found.low < found.forward.value < found.reverse.value < found.high


def test_the_words_say_where_the_reverse_runs_began():
    f, r = normal(0.5, 50, 50, stream(7))
    assert "exact samples" in sandwich(f, r, exact=True).protocol
    assert "stochastic lower and upper bounds" in sandwich(f, r, exact=True).protocol
    assert "chain states" in sandwich(f, r).protocol
    assert "a stochastic lower bound and an estimate" in sandwich(f, r).protocol
    assert sandwich(f, r) == sandwich(f, r)
