"""The bound of an annealed sampler against its own law, by enumeration."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.energy import RBM, annealed_sampler_likelihood
from hexad.event import Event
from hexad.mcmc import annealed_log_density
from hexad.randomness import fork, stream


def sampler_law(model, times):
    """The law of the last state of an anneal over all bits, from the kernels' matrices."""
    bridge, v, h = model.bridge(), states(model.event.dims), states(model.hidden)
    law = torch.softmax(v @ model.base_bias, 0)
    c = model.hidden_bias - model.visible_offset @ model.weight
    for t in times[1:]:
        joint = (v @ (model.base_bias + t * bridge.tilt))[:, None] + t * (h @ c + v @ model.weight @ h.T)
        kernel = torch.softmax(joint, 1) @ torch.softmax(joint, 0).T
        law = law @ kernel
    return law.detach()


def states(units):
    return torch.tensor([[(i >> j) & 1 for j in range(units)] for i in range(2**units)]).double()


@pytest.fixture
def model():
    with fork(3):
        machine = RBM(Event.of(4, "binary"), 3, centred=True).double()
        for parameter in machine.parameters():
            torch.nn.init.normal_(parameter, std=1.5)
        machine.visible_offset.uniform_()
    machine.base_bias.copy_(machine.visible_bias.detach() / 3)
    return machine


def bound(model, times, runs, seed=0):
    bridge, v = model.bridge(), states(4)
    with torch.no_grad():
        state, log_f = bridge.state(v.repeat_interleave(runs, 0)), -model.energy(v)
        return annealed_log_density(bridge, state, log_f, bridge.log_z_base(), times, runs=runs, generator=stream(seed))


def test_it_is_unbiased_for_the_samplers_own_law(model):
    times = [0.0, 0.4, 1.0]
    law, n = sampler_law(model, times), 20_000
    assert float(law.sum()) == pytest.approx(1)
    with torch.no_grad():
        exact = torch.softmax(-model.energy(states(4)), 0)
    assert float((law - exact).abs().sum()) > 0.05  # it is not the energy's
    single = torch.stack([bound(model, times, 1, seed) for seed in range(200)]).exp()
    many = bound(model, times, n).exp()
    error = single.std(0) / n**0.5
    assert ((many - law).abs() < 5 * error + 1e-12).all()
    assert float(many.sum()) == pytest.approx(1, abs=5 * float(error.square().sum().sqrt()))


def test_it_is_below_and_tightens_with_runs(model):
    times = [0.0, 0.4, 1.0]
    law = sampler_law(model, times).log()
    one = torch.stack([bound(model, times, 1, seed) for seed in range(400)])
    ten = torch.stack([bound(model, times, 10, seed) for seed in range(400)])
    error = one.std(0) / 20
    assert (one.mean(0) < law + 3 * error).all()
    assert (one.mean(0) < law - 3 * error).any()
    assert float((law - ten.mean(0)).mean()) < 0.5 * float((law - one.mean(0)).mean())


def test_with_many_temperatures_the_sampler_is_the_model(model):
    with torch.no_grad():
        exact = torch.log_softmax(-model.energy(states(4)), 0)
        bridge = model.bridge()
        state, log_f = bridge.state(states(4).repeat_interleave(20, 0)), -model.energy(states(4))
        stated = annealed_sampler_likelihood(bridge, state, log_f, temperatures=400, runs=20, generator=stream(1))
    assert stated.kind == "lower_bound"
    assert "annealed sampler" in stated.protocol
    assert "not of the energy" in stated.protocol
    assert torch.allclose(stated.value, exact, atol=0.15)
    assert float(stated.value.exp().sum()) == pytest.approx(1, abs=0.05)
    assert math.isinf(float(stated.ends[1][0]))
