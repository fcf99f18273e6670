"""Streams of random numbers: named, apart from each other, and never the global one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hexad.randomness import derive, fork, fresh, stream

PARTS = st.lists(st.one_of(st.integers(0, 99), st.sampled_from(["sample", "order", "step"])), max_size=3).map(tuple)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(0, 2**63 - 1), PARTS, PARTS)
def test_streams_are_told_apart_by_their_names(seed, path, other):
    assert derive(seed, *path) == derive(seed, *path)
    assert 0 <= derive(seed, *path) < 2**63
    assert (derive(seed, *path) == derive(seed, *other)) == (path == other)
    assert derive(seed, *path) != derive(seed ^ 1, *path)


def test_seeds_are_the_same_in_every_process_and_version():
    assert derive(3, "sample", 4) == 505026560872426567


def test_streams_look_independent():
    draws = torch.stack([torch.randn(2000, generator=stream(0, "chunk", k)) for k in range(8)])
    correlations = torch.corrcoef(draws) - torch.eye(8)
    assert correlations.abs().max() < 4.5 / 2000**0.5


def test_none_is_fresh_entropy_and_leaves_the_global_stream():
    before = torch.get_rng_state()
    assert stream(None, "a").initial_seed() != stream(None, "a").initial_seed()
    assert fresh(None).initial_seed() != fresh(None).initial_seed()
    given_one = stream(5)
    assert fresh(given_one) is given_one
    assert torch.equal(before, torch.get_rng_state())


def test_fork_is_equal_for_equal_seeds_and_gives_the_global_state_back():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draws = []
    for seed in (3, 3, 4):
        with fork(seed):
            draws.append(torch.randn(4))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    try:
        with fork(1):
            torch.randn(3)
            raise KeyError
    except KeyError:
        assert torch.equal(before, torch.get_rng_state())
