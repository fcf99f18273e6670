"""What all restricted machines share, on Bernoulli, Gaussian and Potts units, against enumeration and quadrature."""

from __future__ import annotations

import math

import pytest
import torch

import hexad
from hexad.energy import RBM, GaussianRBM, PottsRBM
from hexad.energy.restricted import binary_states
from hexad.energy.tempered import exchange
from hexad.event import Event, Support
from hexad.randomness import fork, stream
from hexad.train import read_tensors

LEVELS = (2, 4, 3)
EVENTS = {
    RBM: Event.of(5, "binary"),
    GaussianRBM: Event.of(2, "real"),
    PottsRBM: Event((3,), tuple(Support("ordinal", n) for n in LEVELS)),
}
KINDS = list(EVENTS)


def machine(kind, hidden=3, scale=0.8, seed=0, **options):
    """A float64 machine with parameters of some size."""
    with fork(seed):
        model = kind(EVENTS[kind], hidden, **options).double()
        for name, parameter in model.named_parameters():
            torch.nn.init.normal_(parameter, std=0.3 if name == "log_scale" else scale)
    return model


def records(model, n, seed=1):
    """Records that follow no machine."""
    return model.draw(
        torch.randn(n, len(model.visible_bias), generator=stream(seed)).to(model.dtype), stream(seed, "draw")
    )


def exact_samples(model, n, seed=2):
    """Draws of the model: hidden states by enumeration, then visible units."""
    h = binary_states(model.hidden, model.weight)[0]
    ends = torch.softmax(model._log_weight_hidden(h), 0).cumsum(0)
    generator = stream(seed)
    picked = h[torch.searchsorted(ends, torch.rand(n, generator=generator).double()).clamp(max=len(h) - 1)]
    with torch.no_grad():
        return model.draw(model.natural(picked), generator)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_is_the_gradient_of_the_log_normaliser(kind):
    model = machine(kind)
    eta = torch.randn(4, len(model.visible_bias), generator=stream(3)).double().requires_grad_()
    (slope,) = torch.autograd.grad(model.log_normaliser(eta).sum(), eta)
    assert torch.allclose(slope, model.mean(eta), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_mean_of_their_parameters(kind):
    model = machine(kind)
    eta = torch.randn(1, len(model.visible_bias), generator=stream(3)).double()
    drawn = model.statistics(model.draw(eta.expand(40_000, -1), stream(4))).detach()
    error = drawn.std(0) / 200
    assert float(((drawn.mean(0) - model.mean(eta)[0]).abs() / error).max()) < 4.5


@pytest.mark.parametrize("centred", [False, True])
def test_gaussian_log_p_integrates_to_one(centred):
    model = machine(GaussianRBM, centred=centred)
    if centred:
        model.visible_offset.uniform_(-1, 1)
    axis = torch.linspace(-16, 16, 801, dtype=torch.float64)
    stated = model.log_likelihood(torch.cartesian_prod(axis, axis))
    assert (stated.kind, stated.measure) == ("exact", "density")
    assert float(stated.value.exp().sum()) * 0.04**2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("hidden", [3, 6])
def test_potts_log_p_sums_to_one_from_either_side(hidden):
    model = machine(PottsRBM, hidden)
    (v,) = model.visible_states()
    assert len(v) == math.prod(LEVELS)
    stated = model.log_likelihood(v)
    assert stated.kind == "exact"
    assert ("hidden" if hidden == 3 else "visible") in stated.protocol
    assert float(stated.value.exp().sum()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("chains", ["persistent", "data"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_what_autograd_makes_of_the_free_energies(kind, chains):
    model = machine(kind, chains=chains)
    x, weights = records(model, 20), torch.rand(20, generator=stream(5)).double()
    if chains == "persistent":
        model.chain_states.copy_(records(model, 100, seed=6))
        negative = model.chain_states
    else:
        with torch.no_grad():
            negative = model.sweep(x, 1, stream(7))
    value = model.energy(x) - model.energy(negative).mean()
    expected = torch.autograd.grad((weights * value).sum(), list(model.parameters()))
    loss = model.loss(x, generator=stream(7))
    assert torch.allclose(loss, value)
    (weights * loss).sum().backward()
    for parameter, grad in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, grad, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_that_of_the_exact_likelihood(kind):
    """Negatives drawn from the model make the gradient of the mean of -log p, through log Z by enumeration."""
    model, n = machine(kind, scale=0.6), 100_000
    x = records(model, 8)
    (h,) = binary_states(model.hidden, model.weight)
    log_z = torch.logsumexp(model._log_weight_hidden(h), 0)
    expected = torch.autograd.grad(model.energy(x).mean() + log_z, list(model.parameters()))
    model.chain_states = exact_samples(model, n)
    model.loss(x).mean().backward()
    for (name, parameter), exact in zip(model.named_parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, exact, atol=6 / math.sqrt(n) * (3 if kind is GaussianRBM else 1)), name


@pytest.mark.parametrize("kind", [GaussianRBM, PottsRBM])
def test_annealing_brackets_the_enumerated_value(kind, monkeypatch):
    model = machine(kind, 4, scale=0.6)
    x = records(model, 400)
    model.prepare(x, generator=stream(8))
    torch.nn.init.normal_(model.weight, std=0.7, generator=stream(9))
    exact = model.log_partition()
    assert exact.exact
    monkeypatch.setattr("hexad.energy.restricted.ENUMERATED", 0)
    monkeypatch.setattr("hexad.energy.potts_rbm.ENUMERATED", 0)
    found = model.log_partition(generator=stream(10), budget=100, effort=0.05)
    assert not found.exact
    assert found.low < exact.value < found.high
    assert found.high - found.low < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_sweeps_and_chains_keep_the_law(kind):
    model, n = machine(kind, particles=40_000), 40_000
    start = exact_samples(model, n)
    with torch.no_grad():
        model.start_chains(start, stream(11))
        for k in range(3):
            model.after_step(start[:10], generator=stream(12, str(k)))
        told = [model.statistics(v) for v in (start, model.sweep(start, 3, stream(12)), model.chain_states)]
    h = binary_states(model.hidden, model.weight)[0]
    p = torch.softmax(model._log_weight_hidden(h), 0)
    mean = (p @ model.mean(model.natural(h))).detach()
    for t in told:
        assert float(((t.mean(0) - mean).abs() / (t.std(0) / n**0.5)).max()) < 5


def two_modes(chains, **options):
    """Eight bits that are nearly all on or nearly all off, 7 to 3."""
    with fork(0):
        model = RBM(Event.of(8, "binary"), 2, chains=chains, **options).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([5.0, 5.0]).expand(8, 2))
        model.visible_bias.fill_(-5.0)
        model.hidden_bias.fill_(-19.8)
    return model


def test_tempered_chains_find_the_mode_that_a_plain_chain_does_not():
    v = binary_states(8, torch.zeros(1).double())[0]
    on = v.sum(1) > 4
    share = {}
    for chains in ("persistent", "tempered"):
        model = two_modes(chains, particles=50)
        law = torch.softmax(-model.energy(v), 0).detach()
        assert float(law[(v.sum(1) > 1) & (v.sum(1) < 7)].sum()) < 0.06
        assert 0.2 < float(law[on].sum()) < 0.8
        model.start_chains(torch.zeros_like(model.chain_states), stream(13))
        found = []
        for step in range(500):
            model.after_step(v[:2], generator=stream(14, str(step)))
            if step >= 100:
                found.append((model.negatives().sum(1) > 4).double().mean())
        share[chains] = float(torch.stack(found).mean())
    assert share["persistent"] < 0.02
    assert share["tempered"] == pytest.approx(float(law[on].sum()), abs=0.05)
    assert 0.02 < float(model.swap_acceptance.min()) < 0.95
    names = {vital.name: vital for vital in model.vitals(v[:100])}
    assert names["swap acceptance"].well
    assert {"chain_states", "chain_hidden", "swap_acceptance"} <= model.state_dict().keys()


def test_every_replica_keeps_the_law_of_its_temperature():
    model = machine(RBM, particles=400, chains="tempered", replicas=4)
    model.base_bias.copy_(torch.linspace(-1, 1, 5))
    v, bridge = binary_states(5, model.weight)[0], model.bridge()
    counts = torch.zeros(4, 32, dtype=torch.float64)
    for step in range(120):
        model.after_step(v[:2], generator=stream(15, str(step)))
        if step >= 20:
            codes = (model.chain_states @ 2 ** torch.arange(5).double()).long().reshape(4, 400)
            counts += torch.nn.functional.one_hot(codes, 32).sum(1)
    with torch.no_grad():
        state = bridge.state(v)
        log_f0 = v @ model.base_bias
        for t, found in zip((1, 2 / 3, 1 / 3, 0), counts / counts.sum(1, keepdim=True), strict=True):
            law = torch.softmax(log_f0 + bridge.log_ratio(state, 0.0, t), 0)
            assert float((found - law).abs().sum()) / 2 < 0.02
    assert torch.allclose(torch.softmax(-model.energy(v), 0), law_at_one(model, bridge, state, log_f0))


def law_at_one(model, bridge, state, log_f0):
    with torch.no_grad():
        return torch.softmax(log_f0 + bridge.log_ratio(state, 0.0, 1.0), 0)


def test_an_exchange_is_sure_where_it_gains_and_impossible_where_it_loses():
    v = torch.tensor([[[1.0]], [[0.0]], [[0.0]]])
    for sign, expected in ((1.0, [0.0, 0.0, 1.0]), (-1.0, [1.0, 0.0, 0.0])):

        def rise(v, a, t, u, sign=sign):
            return sign * 1e4 * (t - u)[..., 0] * v[..., 0]

        moved, same, accepted = exchange(v, v, rise, torch.tensor([1.0, 0.5, 0.0]), stream(0))
        assert moved.flatten().tolist() == same.flatten().tolist() == expected
        assert len(accepted) == 2


@pytest.mark.parametrize("chains", ["persistent", "tempered"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_chains_remember_is_what_would_be_computed(kind, chains):
    model = machine(kind, chains=chains, particles=20)
    x = records(model, 10)
    model.prepare(x, generator=stream(16))
    model.after_step(x, generator=stream(17))
    assert model._recall() is not None
    remembered = model.loss(x)
    other = machine(kind, chains=chains, particles=20)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.loss(x), remembered)
    with torch.no_grad():
        model.weight.mul_(1.5)
    assert model._recall() is None
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.loss(x), other.loss(x))
    assert not torch.equal(model.loss(x), remembered)


@pytest.mark.parametrize("options", [{}, {"centred": True, "optimizer": "sgd"}, {"chains": "tempered", "replicas": 3}])
def test_a_run_that_stopped_goes_on_to_the_same_bytes(options, tmp_path):
    short = {"hidden": 6, "particles": 8, "schedule": "constant", "progress": False, **options}
    hexad.fit("rbm", "tree", steps=7, out=tmp_path / "whole", **short)
    hexad.fit("rbm", "tree", steps=4, out=tmp_path / "cut", **short)
    hexad.fit("rbm", "tree", steps=7, out=tmp_path / "cut", resume=True, **short)
    whole, cut = ((tmp_path / name / "state.safetensors") for name in ("whole", "cut"))
    found, expected = read_tensors(cut)[0], read_tensors(whole)[0]
    assert "model.chain_hidden" in expected
    assert all(torch.equal(found[name], expected[name]) for name in expected if not name.startswith(("good", "best")))


def test_a_gaussian_machine_learns_the_deviations():
    generator = stream(18)
    means = torch.tensor([[1.5, 0.0], [-1.5, 0.0]])
    deviations = torch.tensor([0.3, 0.6])
    x = means[torch.randint(2, (2000,), generator=generator)] + deviations * torch.randn(2000, 2, generator=generator)
    with fork(18):
        model = GaussianRBM(EVENTS[GaussianRBM], 4, chains="tempered", replicas=5)
    model.prepare(x, generator=generator)
    assert torch.allclose(model.scale, x.std(0, correction=0) / 2)
    # the hidden units are fair coins that leave the mean where it is
    assert torch.allclose(model.sample(4000, generator=generator).mean(0), x.mean(0), atol=0.15)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, fused=True)
    for step in range(500):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 500)
        batch = x[torch.randint(2000, (100,), generator=generator)]
        optimizer.zero_grad()
        model.loss(batch, generator=generator).mean().backward()
        optimizer.step()
        model.after_step(batch, generator=generator)
    # the columns' own are 1.5 and 0.6
    assert torch.allclose(model.scale, deviations, rtol=0.5)
    truth = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(2)),
        torch.distributions.Independent(torch.distributions.Normal(means, deviations), 1),
    )
    gap = float(truth.log_prob(x).mean()) - float(model.log_likelihood(x).value.mean())
    assert -0.01 < gap < 0.2


def test_what_they_cannot_take_is_said():
    with pytest.raises(ValueError, match=r"a Gaussian RBM takes a real event without steps, got .*: dequantise first"):
        GaussianRBM(Event.of(2, Support("real", step=0.1)))
    with pytest.raises(ValueError, match="a Potts RBM takes ordinal or binary columns, got"):
        PottsRBM(Event.of(2, "real"))
    assert "visible=3, hidden=2, chains=persistent, k=1" in repr(PottsRBM(EVENTS[PottsRBM], 2))


def test_biases_may_start_at_zero():
    model = machine(PottsRBM, start="zero")
    model.prepare(records(model, 50), generator=stream(19))
    assert not model.visible_bias.any()
    assert torch.allclose(model.mean(model.base_bias[None]).sum(), torch.tensor(3.0).double())
