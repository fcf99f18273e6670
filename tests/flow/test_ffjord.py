"""FFJORD: the solver's error is stated and true, the path runs along time, the loss is the fixed-step likelihood."""

from __future__ import annotations

import pytest
import torch

from hexad.event import Event
from hexad.flow import FFJORD
from hexad.randomness import fork, stream


def _flow(**options) -> FFJORD:
    with fork(1):
        flow = FFJORD(Event.of(3, "real"), (16, 16), **options).double()
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return flow


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_the_stated_error_is_the_true_one(tolerance):
    flow, x = _flow(tolerance=tolerance), torch.randn(200, 3, generator=stream(0)).double()
    with torch.no_grad():
        stated, exact = flow.log_likelihood(x), _flow(tolerance=1e-11).log_prob(x)
    off = (stated.value - exact).abs()
    assert stated.kind == "exact"
    assert off.max() > 1e-9
    assert float((off <= stated.errors).double().mean()) > 0.8
    assert off.mean() < stated.errors.mean() < 1000 * tolerance
    assert f"tolerance {tolerance:g}" in stated.protocol
    torch.testing.assert_close(stated.value, flow.log_prob(x))


def test_the_loss_is_the_likelihood_by_fixed_steps_and_its_gradient_counts_energy_and_error():
    x = torch.randn(20, 3, generator=stream(0)).double()
    plain = _flow(steps=40, kinetic=0.0, caution=0.0, tolerance=1e-9)
    held = _flow(steps=40, kinetic=0.1, caution=0.5, tolerance=1e-9)
    loss = plain.loss(x)
    torch.testing.assert_close(loss, -plain.log_prob(x), rtol=1e-4, atol=1e-4)
    assert torch.equal(loss, held.loss(x))
    norm, continuous = held.layers
    way, parameters = continuous.trained(norm(x)), list(continuous.velocity.parameters())
    values = held.loss(x).mean(), (0.1 * way.energy + 0.5 * way.error).mean()
    grads = [torch.autograd.grad(value, parameters) for value in values]
    own = torch.autograd.grad(loss.mean(), list(plain.layers[1].velocity.parameters()))
    for both, of_the_way, alone in zip(*grads, own, strict=True):
        torch.testing.assert_close(both, alone + of_the_way)


def test_the_path_runs_along_time_and_ends_at_the_sample():
    flow = _flow()
    with torch.no_grad():
        path = flow.path(4, generator=stream(0))
        assert torch.equal(path.states[-1], flow.sample(4, generator=stream(0)))
    assert path.axis == "time"
    assert path.labels[:2] == ("t=0", "t=0.1")
    assert path.labels[-1] == "t=1"
    assert (path.states[-1] - path.states[-2]).abs().max() < (path.states[-1] - path.states[0]).abs().max()


def test_steps_that_do_not_solve_the_equation_are_a_lost_sign():
    with fork(0):
        flow = FFJORD(Event.of(2, "real"), hidden=(16,), steps=1)
        x = torch.randn(50, 2)
        well = flow.vitals(x)
        with torch.no_grad():
            for parameter in flow.layers[1].parameters():
                parameter.add_(2 * torch.randn_like(parameter))
        gap = flow.vitals(x)[1]
    assert all(vital.well for vital in well)
    assert gap.name == "solver gap"
    assert not gap.well
