"""The RBM against enumeration, and its published behaviour on images."""

from __future__ import annotations

import gzip
import math

import pytest
import torch

from exact import states
from hexad.energy import RBM, annealed_partition
from hexad.event import Event
from hexad.mcmc import anneal
from hexad.randomness import fork, stream


def machine(dims=6, hidden=4, scale=0.8, seed=0, **options):
    """A float64 machine with weights of some size."""
    with fork(seed):
        model = RBM(Event.of(dims, "binary"), hidden, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=scale)
        if model.centred:
            model.visible_offset.uniform_()
            model.hidden_offset.uniform_()
    return model


def known_log_z(model):
    """Sum over both sides at once, from the joint energy."""
    v, h = states(model.event.dims), states(model.hidden)
    joint = (v @ model.visible_bias)[:, None] + h @ model.hidden_bias
    return torch.logsumexp((joint + (v - model.visible_offset) @ model.weight @ h.T).flatten(), 0).detach()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("sizes", [(6, 4), (4, 6)])
def test_log_likelihood_is_exact_by_enumeration(centred, sizes):
    model, v = machine(*sizes, centred=centred), states(sizes[0])
    stated = model.log_likelihood(v)
    assert stated.kind == "exact"
    assert float(stated.value.exp().sum()) == pytest.approx(1, abs=1e-9)
    assert model.log_partition().value == pytest.approx(float(known_log_z(model)), abs=1e-7)


def exact_gradient(model, p):
    """Gradient of the cross entropy of the model under p, a law on all states, by autograd through the enumeration."""
    v = states(model.event.dims)
    loss = p @ model.energy(v) + torch.logsumexp(-model.energy(v), 0)
    return torch.autograd.grad(loss, [model.weight, model.visible_bias, model.hidden_bias])


def contrastive_gradient(model, p):
    """Gradient of the loss with all states as records, weighted by p, against negatives of the model's law."""
    v = states(model.event.dims)
    law = torch.softmax(-model.energy(v), 0).detach()
    copies = 40_000
    counts = (law * copies).round().long()
    model.chain_states = v.repeat_interleave(counts, 0)
    (p * model.loss(v)).sum().backward()
    return [p.grad for p in model.parameters()], float((counts / counts.sum() - law).abs().max())


def test_plain_gradient_is_that_of_the_cross_entropy():
    model = machine()
    p = torch.softmax(torch.randn(64, generator=stream(1)).double(), 0)
    found, rounding = contrastive_gradient(model, p)
    for a, b in zip(found, exact_gradient(model, p), strict=True):
        assert torch.allclose(a, b, atol=64 * rounding)
        assert float(b.abs().max()) > 0.02


def test_centred_gradient_is_the_plain_one_turned():
    model = machine(centred=True)
    p = torch.softmax(torch.randn(64, generator=stream(1)).double(), 0)
    found, rounding = contrastive_gradient(model, p)
    w, b, c = exact_gradient(model, p)
    offset = model.hidden_offset
    turned_w = w - torch.outer(b, offset)
    turned = [turned_w, b - turned_w @ offset, c]
    for a, expected in zip(found, turned, strict=True):
        assert torch.allclose(a, expected, atol=64 * rounding)


@pytest.mark.parametrize("centred", [False, True])
def test_gradient_is_zero_at_the_truth(centred):
    model = machine(centred=centred)
    law = torch.softmax(-model.energy(states(6)), 0).detach()
    found, rounding = contrastive_gradient(model, law)
    assert all(float(grad.abs().max()) < 64 * rounding for grad in found)


def test_surrogate_is_what_autograd_makes_of_its_value():
    model = machine()
    x = states(6)[10:30]
    weights = torch.rand(20, generator=stream(2)).double()
    value = model.energy(x) - model.energy(model.chain_states).mean()
    expected = torch.autograd.grad((weights * value).sum(), list(model.parameters()))
    loss = model.loss(x)
    assert torch.allclose(loss, value)
    (weights * loss).sum().backward()
    for parameter, grad in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, grad)


def test_centred_direction_does_not_see_flipped_columns():
    x = (torch.rand(50, 6, generator=stream(3)) < torch.linspace(0.1, 0.9, 6)).double()
    flip = torch.tensor([1.0, 0, 1, 1, 0, 0]).double()
    one = machine(centred=True)
    two = machine(centred=True)
    sign = 1 - 2 * flip
    with torch.no_grad():
        two.weight.copy_(one.weight * sign[:, None])
        two.visible_bias.copy_(one.visible_bias * sign)
        two.visible_offset.copy_(flip + sign * one.visible_offset)
        two.chain_states.copy_(flip + sign * one.chain_states)
    one.loss(x).mean().backward()
    two.loss(flip + sign * x).mean().backward()
    assert torch.allclose(two.weight.grad, one.weight.grad * sign[:, None])
    assert torch.allclose(two.visible_bias.grad, one.visible_bias.grad * sign)
    assert torch.allclose(two.hidden_bias.grad, one.hidden_bias.grad)


def test_prepare_sets_biases_and_offsets_to_the_columns():
    x = (torch.rand(400, 3, generator=stream(4)) < torch.tensor([0.0, 0.3, 1.0])).double()
    model = machine(3, 2, centred=True)
    model.prepare(x, generator=stream(5))
    mean = (x.sum(0) + 1) / 402
    assert torch.allclose(model.visible_offset, mean)
    assert torch.allclose(model.visible_bias, torch.log(mean / (1 - mean)))


def test_annealing_agrees_with_enumeration():
    model = machine(30, 16, scale=0.5)
    model.base_bias.copy_(model.visible_bias.detach() / 2)
    log_z, bridge, generator = model.log_partition().value, model.bridge(), stream(6)
    times = torch.linspace(0, 1, 301).tolist()
    with torch.no_grad():
        forward, _ = anneal(bridge, bridge.base(200, generator), times, generator=generator)
        hidden = states(16)
        c = model.hidden_bias - model.visible_offset @ model.weight
        mass = hidden @ c + torch.nn.functional.softplus(model.visible_bias + hidden @ model.weight.T).sum(1)
        ends = torch.softmax(mass, 0).cumsum(0)
        picked = hidden[torch.searchsorted(ends, torch.rand(200, generator=generator).double())]
        v = (torch.rand(200, 30, generator=generator) < model.visible_probability(picked)).double()
        reverse, _ = anneal(bridge, bridge.state(v), times, reverse=True, generator=generator)
    log_z -= bridge.log_z_base()
    mean = torch.logsumexp(forward[:100], 0) - math.log(100)
    assert float(mean) == pytest.approx(log_z, abs=0.5)
    assert float(forward.mean()) < log_z + 3 * float(forward.std()) / math.sqrt(200)
    assert float(reverse.mean()) > log_z - 3 * float(reverse.std()) / math.sqrt(200)


@pytest.mark.parametrize("chains", ["persistent", "data"])
def test_interval_holds_the_enumerated_value(monkeypatch, chains):
    model = machine(20, 10, scale=0.5, chains=chains)
    model.prepare((torch.rand(50, 20, generator=stream(7)) < 0.5).double(), generator=stream(7))
    exact = model.log_partition().value
    monkeypatch.setattr("hexad.energy.restricted.ENUMERATED", 5)
    x = states(6)[:, [0, 1, 2, 3, 4, 5] + 14 * [0]]
    stated = model.log_likelihood(x, budget=60)
    assert stated.kind == "interval"
    assert stated.confidence == 0.95
    log_p = -model.energy(x).detach() - exact
    assert torch.all((stated.low < log_p) & (log_p < stated.high))
    assert float((stated.high - stated.low).max()) < 0.5
    assert 0 < stated.common_stderr < 0.2
    assert "effective sample size" in stated.protocol


@pytest.mark.parametrize("step", [1e-4, 0.009, 0.3, 1.0])
def test_ratios_of_small_and_large_steps_are_the_same_formula(step):
    model = machine(12, 9, scale=4.0, centred=True)
    bridge, v, zero = model.bridge(), states(12)[::7], torch.zeros(()).double()
    state, a = bridge.state(v), model.activation(v).detach()
    for t, u in ((0.0, step), (1.0 - step, 1.0), (step, 0.0)):
        known = (u - t) * (v @ bridge.tilt) + (torch.logaddexp(u * a, zero) - torch.logaddexp(t * a, zero)).sum(1)
        # softplus is linear above 20, which leaves out 2e-9
        assert torch.allclose(bridge.log_ratio(state, t, u), known, rtol=0, atol=1e-11 if step < 0.01 else 3e-8)


def test_batches_of_one_validation_share_one_anneal(monkeypatch):
    model, x = machine(20, 10), states(6)[:8].repeat(1, 4)[:, :20]
    monkeypatch.setattr("hexad.energy.restricted.ENUMERATED", 5)
    plain, calls = model.log_partition, []
    monkeypatch.setattr(model, "log_partition", lambda **given: (calls.append(given), plain(**given))[1])
    with torch.no_grad():
        first, again = (model.validate(rows, generator=stream(1)).value for rows in (x, x))
        assert first == again
        assert len(calls) == 1
        model.visible_bias += 1
        model.validate(x, generator=stream(1))
    assert len(calls) == 2


def test_exact_starts_make_both_directions_bounds(monkeypatch):
    model = machine(20, 10, scale=0.5)
    known, bridge = model.log_partition().value, model.bridge()
    hidden, uniform = states(10), stream(3)
    mass = hidden @ model.hidden_bias + torch.nn.functional.softplus(model.natural(hidden)).sum(1)
    ends = torch.softmax(mass, 0).cumsum(0).detach()

    def target(n, moves, generator):
        picked = hidden[torch.searchsorted(ends, torch.rand(n, generator=uniform).double()).clamp(max=len(ends) - 1)]
        return bridge.state(model.draw(model.natural(picked), generator).detach())

    monkeypatch.setattr(bridge, "target", target)
    found = annealed_partition(bridge, runs=60, temperatures=60, exact=True, generator=stream(4))
    assert found.low < known < found.high
    assert found.high - found.low < 0.3
    assert found.found.agree
    assert "exact samples" in found.protocol
    assert "spaced by a pilot" in found.protocol


def test_log_z_belongs_to_the_weights(monkeypatch):
    model, x = machine(20, 10), states(6)[:8].repeat(1, 4)[:, :20]
    monkeypatch.setattr("hexad.energy.restricted.ENUMERATED", 5)
    first = model.log_likelihood(x, budget=2)
    again = model.log_likelihood(x[:3], generator=stream(99), budget=2)
    assert torch.allclose(again.low, first.low[:3], rtol=0, atol=1e-9)
    with torch.no_grad():
        model.visible_bias += 1
    moved = model.log_likelihood(x, budget=2)
    # every state gained its number of ones, so log Z grew as well
    assert torch.all(moved.value < first.value + x.sum(1))


@pytest.mark.parametrize("chains", ["persistent", "tempered", "data"])
@pytest.mark.parametrize("centred", [False, True])
def test_training_reaches_the_data(chains, centred):
    with fork(8):
        model = RBM(Event.of(6, "binary"), 16, chains=chains, centred=centred)
    # three equal pairs of fair bits: 3 log 2 nats
    generator = stream(8)
    x = (torch.rand(512, 3, generator=generator) < 0.5).float().repeat(1, 2)
    model.prepare(x, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, fused=True)
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 500)
        batch = x[torch.randint(512, (100,), generator=generator)]
        optimizer.zero_grad()
        model.loss(batch, generator=generator).mean().backward()
        optimizer.step()
        model.after_step(batch, generator=generator)
    with torch.no_grad():
        found = model.validate(x)
    assert found.name == "log_prob"
    # one sweep from the data leaves a bias
    gap = 0.75 if chains == "data" else 0.45
    assert -3 * math.log(2) - gap < found.value < -3 * math.log(2) + 0.1
    pairs = model.sample(500, generator=generator)
    assert float((pairs[:, :3] == pairs[:, 3:]).float().mean()) > 0.85


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="takes binary columns"):
        RBM(Event.of(3, "real"))
    with pytest.raises(ValueError, match="persistent, tempered or data, got 'pcd'"):
        RBM(Event.of(3, "binary"), chains="pcd")
    with pytest.raises(ValueError, match="replicas: expected at least 2, the model and the base, got 1"):
        RBM(Event.of(3, "binary"), chains="tempered", replicas=1)
    with pytest.raises(ValueError, match="start: expected columns or zero, got 'data'"):
        RBM(Event.of(3, "binary"), start="data")
    assert "centred, chains=persistent, k=1" in repr(RBM(Event.of(3, "binary"), 2, centred=True))


def test_centred_beats_plain_on_images(real_data):
    """The published order (Melchior, Fischer and Wiskott, 2016) shows after 150 steps."""
    file = real_data / "mnist" / "t10k-images-idx3-ubyte.gz"
    if not file.exists():
        pytest.skip(f"no {file}")
    raw = torch.frombuffer(bytearray(gzip.decompress(file.read_bytes())[16:]), dtype=torch.uint8)
    x = (raw.reshape(-1, 784)[:4000] > 127).float()
    scores = {}
    for centred, flipped in ((False, True), (True, False), (True, True)):
        with fork(9):
            model = RBM(Event.of(784, "binary"), 16, centred=centred)
        generator, data = stream(9), 1 - x if flipped else x
        model.prepare(data, generator=generator)
        optimizer = torch.optim.Adam(model.parameters(), 5e-3, fused=True)
        for _ in range(150):
            batch = data[torch.randint(4000, (100,), generator=generator)]
            optimizer.zero_grad()
            model.loss(batch, generator=generator).mean().backward()
            optimizer.step()
            model.after_step(batch, generator=generator)
        with torch.no_grad():
            scores[centred, flipped] = model.validate(data[:1000]).value
    assert scores[True, True] > scores[False, True] + 1
    assert scores[True, True] == pytest.approx(scores[True, False], abs=4)
