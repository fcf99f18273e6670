"""The deep machine against enumeration of its record and both its layers."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import pytest
import torch

from exact import states
from hexad.energy import DBM
from hexad.event import Event
from hexad.randomness import fork, stream


def machine(dims=4, hidden=(3, 2), scale=0.8, seed=0, **options):
    """A float64 machine with weights and offsets of some size."""
    with fork(seed):
        model = DBM(Event.of(dims, "binary"), hidden, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=scale)
        if model.centred:
            model.visible_offset.uniform_()
            model.hidden_offset.uniform_()
    return model


def joint(model):
    """-E of every record, first and second layer, (2^D, 2^H, 2^G), from its definition."""
    dims = model.event.dims
    v, h, g = states(dims), states(model.hidden), states(model.second)
    b, d, mu, nu = (
        t[part] for t in (model.visible_bias, model.visible_offset) for part in (slice(dims), slice(dims, None))
    )
    below = (v @ b)[:, None] + h @ model.hidden_bias + (v - mu) @ model.weight[:dims] @ h.T
    above = (g @ d) + h @ ((g - nu) @ model.weight[dims:]).T
    return (below[:, :, None] + above).detach()


def bounded(monkeypatch):
    monkeypatch.setattr("hexad.energy.dbm._SUMMED", 0)


@pytest.mark.parametrize("centred", [False, True])
def test_log_likelihood_is_exact_by_enumeration(centred):
    model, v = machine(centred=centred), states(4)
    log_f = torch.logsumexp(joint(model), (1, 2))
    assert torch.allclose(-model.energy(v), log_f)
    stated = model.log_likelihood(v)
    assert stated.kind == "exact"
    assert torch.allclose(stated.value, log_f.log_softmax(0))
    assert float(stated.value.exp().sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("dims", "hidden"), [(12, (5, 5)), (4, (17, 3))])
def test_either_side_is_summed_for_log_z(dims, hidden):
    """Over h where it has few units; over v and g where these are fewer."""
    model = machine(dims, hidden, scale=0.4)
    v, g = states(dims), states(model.second)
    u = torch.cat([v.repeat_interleave(len(g), 0), g.repeat(len(v), 1)], 1)
    known = torch.logsumexp(-model.free_energy(u).detach(), 0)
    assert model.log_partition().value == pytest.approx(float(known), abs=1e-9)


@pytest.mark.parametrize("centred", [False, True])
def test_mean_field_bounds_the_free_energy(monkeypatch, centred):
    model, v = machine(centred=centred), states(4)
    exact = model.energy(v).detach()
    bounded(monkeypatch)
    gaps = []
    for updates in (0, 1, 2, 5, 200):
        model.updates = updates
        gaps.append(model.energy(v).detach() - exact)
    assert float(gaps[-1].min()) >= 0
    assert float(gaps[0].mean()) > 1.2 * float(gaps[-1].mean()) > 1e-3
    for worse, better in pairwise(gaps):  # block by block it never falls
        assert float((better - worse).max()) < 1e-12


def test_the_bound_is_tight_where_the_layers_do_not_meet(monkeypatch):
    model, v = machine(), states(4)
    with torch.no_grad():
        model.weight[4:] = 0
    exact = model.energy(v)
    bounded(monkeypatch)
    assert torch.allclose(model.energy(v), exact)


def test_likelihood_is_a_lower_bound_beyond_enumeration(monkeypatch):
    model, v = machine(8, (6, 4), scale=0.5), states(8)[:50]
    exact = model.log_likelihood(v)
    bounded(monkeypatch)
    stated = model.log_likelihood(v)
    assert stated.kind == "lower_bound"
    assert torch.all(stated.value <= exact.value)
    assert float((exact.value - stated.value).mean()) < 0.5
    monkeypatch.setattr("hexad.energy.restricted.ENUMERATED", 3)
    monkeypatch.setattr("hexad.energy.dbm.ENUMERATED", 3)
    model._partitions = {}
    model.log_partition = partial(model.log_partition, effort=0.1)
    model.start_chains(model.sweep(model.chain_states, 100, stream(1)), stream(1))
    annealed = model.log_likelihood(v, budget=40)
    assert annealed.kind == "lower_bound"
    assert annealed.protocol.startswith("mean-field lower bound over the hidden units, at the low end of the interval")
    assert torch.all(annealed.value < exact.value)
    assert float((stated.value - annealed.value).max()) < 0.5


def filled_chains(model, copies=40_000):
    """Put the law of u = (v, g) into the chains; return how far rounding takes them off it."""
    v, g = states(model.event.dims), states(model.second)
    u = torch.cat([v.repeat_interleave(len(g), 0), g.repeat(len(v), 1)], 1)
    law = torch.softmax(torch.logsumexp(joint(model), 1).flatten(), 0)
    counts = (law * copies).round().long()
    model.chain_states = u.repeat_interleave(counts, 0)
    return u, law, float((counts / counts.sum() - law).abs().max())


def test_gradient_is_that_of_the_cross_entropy():
    model, v = machine(centred=False), states(4)
    *_, rounding = filled_chains(model)
    p = torch.softmax(torch.randn(16, generator=stream(1)).double(), 0)
    parameters = list(model.parameters())
    exact = torch.autograd.grad(p @ model.energy(v) + torch.logsumexp(-model.energy(v), 0), parameters)
    found = torch.autograd.grad((p * model.loss(v)).sum(), parameters)
    for a, b in zip(found, exact, strict=True):
        assert torch.allclose(a, b, atol=64 * rounding)
        assert float(b.abs().max()) > 0.02


def test_gradient_of_the_bound_is_that_of_the_bound(monkeypatch):
    """Closed form against differences of the bound itself, less the chains' part, which does not see the records."""
    bounded(monkeypatch)
    model, v = machine(centred=False, updates=300), states(4)[3:9]
    model.loss(v).sum().backward()
    chains, step = model.chain_states, 1e-5
    for parameter in model.parameters():
        found = parameter.grad.flatten()
        for i in range(0, len(found), 3):
            values = []
            for sign in (1, -1):
                with torch.no_grad():
                    parameter.view(-1)[i] += sign * step
                    values.append(float(model.energy(v).sum() - len(v) * model.free_energy(chains).mean()))
                    parameter.view(-1)[i] -= sign * step
            assert float(found[i]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_sweeps_leave_the_law_of_record_and_second_layer_invariant():
    model = machine()
    u, law, _ = filled_chains(model, 100_000)
    moved = model.sweep(model.chain_states, 3, stream(2))
    place = 2.0 ** torch.arange(6).double()
    order = (u @ place).long()
    counts = torch.bincount((moved @ place).long(), minlength=64)[order]
    expected = law * len(moved)
    assert float(((counts - expected).square() / expected).sum()) < 63 + 5 * math.sqrt(2 * 63)


def test_samples_follow_the_law_of_records():
    model, n = machine(sample_steps=40), 5_000
    codes = (model.sample(n, generator=stream(3)) @ (2.0 ** torch.arange(4).double())).long()
    counts = torch.bincount(codes, minlength=16)
    expected = torch.softmax(torch.logsumexp(joint(model), (1, 2)), 0) * n
    assert float(((counts - expected).square() / expected).sum()) < 15 + 5 * math.sqrt(2 * 15)


@pytest.mark.parametrize("centred", [False, True])
def test_greedy_loss_is_the_contrast_of_two_machines_with_tied_copies(centred):
    """Its gradient towards the data is that of the copies' own laws, by enumeration: at records that follow it, 0."""
    model = machine(3, (2, 2), centred=centred)
    dims, v, h, g = 3, states(3), states(2), states(2)
    w, top = model.weight[:dims], model.weight[dims:]
    mu, nu = model.visible_offset[:dims], model.visible_offset[dims:]
    b, d = model.visible_bias[:dims], model.visible_bias[dims:]
    pairs = v[:, None] + v[None]  # both copies of the record
    first = pairs @ b + torch.logsumexp(
        (h @ model.hidden_bias) + torch.einsum("abd,dh,sh->abs", pairs - 2 * mu, w, h), 2
    )
    tops = g[:, None] + g[None]
    second = h @ model.hidden_bias.detach() + torch.logsumexp(
        (tops @ d)[..., None] + torch.einsum("abg,gh,sh->abs", tops - 2 * nu, top, h), (0, 1)
    )
    x, weights = v[2:6], torch.rand(4, generator=stream(4)).double()
    draws = 20_000
    with fork(0):
        many = x.repeat_interleave(draws, 0)
    (model.greedy_loss(many, stream(5)).reshape(4, draws).mean(1) * weights).sum().backward()
    found = [p.grad.clone() for p in model.parameters()]
    # the same expectation in closed form: h given 2 v, then both reconstructions given h
    p_h = torch.softmax(h @ model.hidden_bias + 2 * (x - mu) @ w @ h.T, 1).detach()
    eta = b + h @ w.T
    p_v = torch.softmax(eta @ v.T, 1).detach()
    p_g = torch.softmax((d + h @ top.T) @ g.T, 1).detach()
    back = torch.softmax(h @ model.hidden_bias + torch.einsum("abg,gh,sh->abs", tops - 2 * nu, top, h), 2).detach()
    again = torch.einsum("sa,sb,abt->st", p_g, p_g, back)
    model.zero_grad()
    value = torch.stack([-first[i, i] for i in range(2, 6)])
    value = value + torch.einsum("xs,sa,sb,ab->x", p_h, p_v, p_v, first)
    value = value - p_h @ second + p_h @ again @ second
    (value * weights).sum().backward()
    for a, parameter in zip(found, model.parameters(), strict=True):
        assert torch.allclose(a, parameter.grad, atol=0.03)
        assert float(parameter.grad.abs().max()) > 0.06


def test_pre_training_comes_first_and_counts_its_steps():
    model, x = machine(pretrain=2), states(4)
    for step in range(4):
        generator = stream(6, step)
        greedy = model.greedy_loss(x, stream(6, step))
        assert torch.equal(model.loss(x, generator=generator), greedy) == (step < 2)
        model.after_step(x, generator=generator)
    assert float(model.steps_taken) == 4
    assert "steps_taken" in model.state_dict()


@pytest.mark.parametrize("options", [{}, {"centred": False, "pretrain": 100}, {"chains": "tempered"}], ids=str)
def test_training_reaches_the_data(options, monkeypatch):
    with fork(8):
        model = DBM(Event.of(6, "binary"), (14, 6), **options)
    generator = stream(8)  # three equal pairs of fair bits: 3 log 2 nats
    x = (torch.rand(512, 3, generator=generator) < 0.5).float().repeat(1, 2)
    model.prepare(x, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, fused=True)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 300)
        batch = x[torch.randint(512, (100,), generator=generator)]
        optimizer.zero_grad()
        model.loss(batch, generator=generator).mean().backward()
        optimizer.step()
        model.after_step(batch, generator=generator)
    with torch.no_grad():
        found = model.validate(x)
        monkeypatch.setattr("hexad.energy.dbm._SUMMED", 16)
        exact = model.validate(x)
    assert (found.name, exact.name) == ("mean-field bound of log_prob", "log_prob")
    assert -3 * math.log(2) - 0.6 < found.value <= exact.value < -3 * math.log(2) + 0.1
    pairs = model.sample(500, generator=generator)
    assert float((pairs[:, :3] == pairs[:, 3:]).float().mean()) > 0.85


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="takes binary columns"):
        DBM(Event.of(3, "real"))
    with pytest.raises(ValueError, match="persistent or tempered, got 'data'"):
        DBM(Event.of(3, "binary"), chains="data")
    words = "visible=3, hidden=(4, 2), centred, chains=persistent, k=1, pretrain=0"
    assert words in repr(DBM(Event.of(3, "binary"), (4, 2)))
