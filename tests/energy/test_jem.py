"""A classifier as an energy: its three laws against quadrature, and a mixture whose p(y | x) is known."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import one_hot

import hexad
from hexad.energy import JEM
from hexad.event import Event, Support
from hexad.randomness import fork, stream
from hexad.testing import check_model

CENTRES = torch.tensor([[-2.0, 0.0], [1.0, 1.5], [1.5, -1.0]])


def labelled(n, seed=0):
    """Records of three normals of unit variance, and their classes one-hot."""
    generator = stream(seed, "labelled")
    y = torch.randint(3, (n,), generator=generator)
    return CENTRES[y] + torch.randn(n, 2, generator=generator), one_hot(y, 3).float()


def drawn(dims=2, classes=3, scale=1.0, weight=1.0, components=1):
    """A float64 model whose classifier is drawn."""
    with fork(0):
        model = JEM(Event.of(dims, "real"), classes, (16, 16), components, weight=weight).double()
        torch.nn.init.normal_(model.network.last.weight, std=scale)
        torch.nn.init.normal_(model.network.last.bias)
    x = torch.randn(500, dims, generator=stream(1), dtype=torch.float64) * torch.linspace(0.5, 2, dims).double() + 1
    model.prepare(x, generator=stream(1, "prepare"))
    return model, x


def classes(y, count=3):
    return one_hot(torch.as_tensor(y), count).double()


def test_marginal_energy_is_the_logsumexp_and_the_base_cancels_in_the_classifier():
    model, x = drawn()
    x, logits = x[:7], model.logits(x[:7])
    base = model.marginal.base.log_prob(model.marginal.whitened(x)) + model.marginal.whiten.slogdet()[1]
    assert torch.allclose(model.energy(x), -base - torch.logsumexp(logits, 1))
    joint = torch.stack([model.given(torch.tensor([y])).energy(x) for y in range(3)], 1)
    assert torch.allclose(joint, -base[:, None] - logits)
    assert torch.allclose(torch.softmax(-joint, 1), torch.softmax(logits, 1))
    rows = model.given(torch.tensor([0, 1, 2, 2, 1, 0, 0])).energy(x)
    assert torch.allclose(rows, joint[range(7), [0, 1, 2, 2, 1, 0, 0]])


def test_normalisers_of_the_classes_sum_to_that_of_all_and_bayes_rule_holds():
    model, x = drawn()
    parts, whole = model.log_partitions(), model.log_partition()
    assert all(part.exact for part in parts)
    log_z = torch.tensor([part.value for part in parts], dtype=torch.float64)
    assert float(torch.logsumexp(log_z, 0)) == pytest.approx(whole.value, abs=1e-6)
    y = torch.tensor([0, 1, 2, 2, 1])
    given, alone = model.log_likelihood(x[:5], context=classes(y)), model.log_likelihood(x[:5])
    assert (given.kind, alone.kind) == ("exact", "exact")
    prior = (log_z - whole.value)[y]
    posterior = torch.log_softmax(model.logits(x[:5]), 1)[range(5), y].detach()
    assert torch.allclose(given.value + prior, alone.value + posterior, atol=1e-6)


def test_density_given_a_class_integrates_to_one():
    model, _ = drawn(components=3)
    axes = [torch.linspace(-7, 9, 401).double(), torch.linspace(-20, 22, 401).double()]
    grid = torch.cartesian_prod(*axes)
    stated = model.log_likelihood(grid, context=classes([1]).expand(len(grid), -1))
    assert float(stated.value.exp().sum()) * (16 / 400) * (42 / 400) == pytest.approx(1, abs=1e-4)


def test_annealed_intervals_hold_the_normalisers_of_the_classes(monkeypatch):
    model, x = drawn()
    exact = [part.value for part in model.log_partitions()]
    monkeypatch.setattr("hexad.energy.jem._QUADRATURE", 0)
    found = model.log_partitions(generator=stream(2), effort=0.15)
    assert [part.confidence for part in found] == [0.95] * 3
    for part, value in zip(found, exact, strict=True):
        assert part.low - 0.05 < value < part.high + 0.05
        assert part.high - part.low < 1.0
    assert max(exact) - min(exact) > 0.5
    stated = model.log_likelihood(x[:3], context=classes([0, 1, 2]), budget=4)
    assert stated.kind == "interval"
    assert "a normaliser a class" in stated.protocol
    assert bool((stated.low < stated.value).all())


def test_samples_of_a_class_have_its_law():
    model, _ = drawn()
    axes = [torch.linspace(-7, 9, 301).double(), torch.linspace(-20, 22, 301).double()]
    grid = torch.cartesian_prod(*axes)
    model.marginal.sample_steps = 120
    y = torch.arange(3).repeat(1500)
    sample = model.sample(len(y), context=classes(y), generator=stream(3))
    for k in range(3):
        p = torch.softmax(-model.given(torch.tensor([k])).energy(grid).detach(), 0)
        mean = p @ grid
        spread = (p @ (grid - mean).square()).sqrt()
        assert bool(((sample[y == k].mean(0) - mean).abs() < 0.12 * spread).all())
        assert torch.allclose(sample[y == k].std(0), spread, rtol=0.12)
    path = model.path(4, context=classes([0, 1, 2, 0]), generator=stream(4))
    assert torch.equal(path.states[-1], model.sample(4, context=classes([0, 1, 2, 0]), generator=stream(4)))


def test_decisions_are_the_classes_of_least_energy():
    model, x = drawn()
    found, energies = model.decide(x[:9]), -model.logits(x[:9]).detach()
    order = energies.argsort(1)
    assert torch.equal(found.answer.argmax(1), order[:, 0])
    assert torch.equal(found.runner_up.argmax(1), order[:, 1])
    assert torch.allclose(found.energy, energies.amin(1))
    assert bool((found.runner_up_energy >= found.energy).all())
    assert model.answers == "context"


def test_loss_has_the_two_parts_that_it_names():
    model, x = drawn()
    y = classes([0, 1, 2, 0, 1])
    contrast = model.marginal.loss(x[:5], generator=stream(5))
    rate = -(torch.log_softmax(model.logits(x[:5]), 1) * y).sum(1)
    assert torch.allclose(model.loss(x[:5], context=y, generator=stream(5)), rate + contrast)
    assert torch.allclose(model.loss(x[:5], generator=stream(5)), contrast)
    plain, _ = drawn(weight=0.0)
    before = plain.marginal.chains.clone()
    plain.after_step(x[:5])
    assert torch.equal(before, plain.marginal.chains)
    assert torch.allclose(plain.loss(x[:5], context=y), -(torch.log_softmax(plain.logits(x[:5]), 1) * y).sum(1))
    assert plain.validate(x[:5], context=y).name == "log p(y | x)"
    assert plain.vitals(x[:5]) == ()


def test_training_finds_the_known_classes_and_the_known_density():
    x, y = labelled(4000)
    with fork(6):
        model = JEM(Event.of(2, "real"), 3, (64, 64))
    generator = stream(6)
    model.prepare(x, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 5e-3, fused=True)
    for _ in range(250):
        rows = torch.randint(len(x), (128,), generator=generator)
        optimizer.zero_grad()
        model.loss(x[rows], context=y[rows], generator=generator).mean().backward()
        optimizer.step()
        model.after_step(x[rows], generator=generator)
    test, own = labelled(4000, seed=1)
    joint = -0.5 * torch.cdist(test, CENTRES).square() - math.log(2 * math.pi) - math.log(3)
    known = torch.log_softmax(joint, 1)
    with torch.no_grad():
        gap = (known.exp() * (known - torch.log_softmax(model.logits(test), 1))).sum(1).mean()
        alone = torch.logsumexp(joint, 1) - model.log_likelihood(test).value
        given = (joint + math.log(3))[own.bool()] - model.log_likelihood(test, context=own).value
    assert float(gap) < 0.03
    assert -0.02 < float(alone.mean()) < 0.06
    assert -0.02 < float(given.mean()) < 0.08
    right = (model.decide(test).answer == own).all(1).float().mean()
    bayes = known.exp().amax(1).mean()
    assert float(right) > float(bayes) - 0.02
    assert model.validate(test, context=own).name == "log_prob, jointly"


def test_it_keeps_the_contract():
    x, _ = labelled(64)
    check_model(JEM(Event.of(2, "real"), 3, (8,), k=2, particles=16, sample_steps=20), x=x)


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="at least two classes"):
        JEM(Event.of(2, "real"), 1)
    with pytest.raises(ValueError, match="dequantise first"):
        JEM(Event.of(3, Support("real", step=0.1)), 2)
    x, _ = labelled(60)
    frame = pd.DataFrame(x.numpy(), columns=["a", "b"])
    with pytest.raises(hexad.InputError, match=r"jem models records with their labels: .*context=LABEL"):
        hexad.fit("jem", frame, steps=1, progress=False)
    data = hexad.load_data(frame.assign(c=np.linspace(0, 1, 60) ** 2), context="c")
    with pytest.raises(hexad.InputError, match="expected one column of a few values, at least two"):
        hexad.fit("jem", data, steps=1, progress=False)


def test_a_run_states_what_was_given_and_samples_a_class(tmp_path):
    x, y = labelled(200)
    frame = pd.DataFrame(x.numpy(), columns=["a", "b"]).assign(kind=[f"k{i}" for i in y.argmax(1).tolist()])
    data = hexad.load_data(frame, context="kind")
    fitted = hexad.fit("jem", data, steps=5, progress=False, out=tmp_path / "run", hidden=[8], k=2, components=2)
    stated = fitted.log_likelihood(data.test, context=["k0"] * len(data.test))
    assert (stated.kind, stated.given) == ("exact", "kind")
    loaded = hexad.load(tmp_path / "run")
    ours, theirs = (run.sample(3, seed=0, context=["k0", "k2", "k1"]) for run in (fitted, loaded))
    assert np.array_equal(ours.to_numpy(), theirs.to_numpy())
    assert repr(fitted.model).startswith("JEM(")
