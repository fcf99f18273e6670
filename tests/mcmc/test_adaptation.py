"""Dual averaging finds the step of a known acceptance, from any start, for many steps at once."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.mcmc import StepAdaptation, run_chains
from hexad.randomness import stream


def test_the_step_of_a_known_acceptance_is_found_over_eight_orders_of_magnitude():
    scales = torch.tensor([1e-4, 1e-2, 1.0, 1e4], dtype=torch.float64)
    noise, state = stream(0, "adaptation"), StepAdaptation.begin(torch.ones_like(scales), 0.6)
    for _ in range(1500):
        accept = torch.exp(-state.step / scales)
        state = state.update((accept + 0.1 * torch.randn(4, generator=noise, dtype=torch.float64)).clamp(0, 1))
    assert (state.averaged / scales).tolist() == pytest.approx([-math.log(0.6)] * 4, rel=0.1)


@pytest.mark.parametrize(("kernel", "target"), [("mala", 0.574), ("hmc", 0.8)])
@pytest.mark.parametrize("spread", [1e-2, 30.0])
def test_chains_accept_what_was_wanted(kernel, target, spread):
    start = spread * torch.randn(50, 10, generator=stream(1))
    found = run_chains(
        lambda x: (x / spread).square().sum(1) / 2, start, kernel=kernel, steps=60, warmup=200, generator=stream(2)
    )
    assert float(found.acceptance.mean()) == pytest.approx(target, abs=0.04)


def test_a_target_outside_is_told():
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        StepAdaptation.begin(torch.ones(()), 1.5)
