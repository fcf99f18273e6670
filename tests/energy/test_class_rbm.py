"""The classification machine against enumeration of records, labels and hidden units."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

import hexad
from exact import states
from hexad.checks import InputError
from hexad.energy import ClassRBM
from hexad.event import Event
from hexad.model import Decider
from hexad.randomness import fork, stream


def machine(dims=4, classes=3, hidden=3, scale=0.8, seed=0, **options):
    """A float64 machine with weights of some size."""
    with fork(seed):
        model = ClassRBM(Event.of(dims, "binary"), classes, hidden, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=scale)
    return model


def joint(model):
    """-E of every record, label and hidden state, (2^D, C, 2^H), from its definition."""
    x, h, dims = states(model.event.dims), states(model.hidden), model.event.dims
    w, u = model.weight[:dims], model.weight[dims:]
    b, d = model.visible_bias[:dims], model.visible_bias[dims:]
    interaction = (x @ w)[:, None] + u + model.hidden_bias  # (2^D, C, H)
    return ((x @ b)[:, None, None] + d[:, None] + interaction @ h.T).detach()


def one_hot(model):
    return torch.eye(model.classes).double()


def all_pairs(model):
    """Every record beside every label, with the labels."""
    x = states(model.event.dims)
    return x.repeat_interleave(model.classes, 0), one_hot(model).repeat(len(x), 1)


def test_energies_and_posterior_by_enumeration():
    model, x = machine(), states(4)
    log_f = torch.logsumexp(joint(model), 2)
    assert torch.allclose(-model.class_energies(x), log_f)
    assert torch.allclose(-model.energy(x), torch.logsumexp(log_f, 1))
    assert torch.allclose(model.log_posterior(x), torch.log_softmax(log_f, 1))


@pytest.mark.parametrize(("dims", "hidden"), [(4, 3), (3, 5)])
def test_likelihood_given_the_label_sums_to_one_in_each_class(dims, hidden):
    model = machine(dims, 3, hidden)
    x, y = all_pairs(model)
    stated = model.log_likelihood(x, context=y)
    assert stated.kind == "exact"
    log_f = torch.logsumexp(joint(model), 2)
    assert torch.allclose(stated.value.reshape(-1, 3), log_f - torch.logsumexp(log_f, 0))
    assert torch.allclose(stated.value.exp().reshape(-1, 3).sum(0), torch.ones(3).double())


def test_likelihood_without_a_label_is_that_of_the_record():
    model, x = machine(), states(4)
    stated = model.log_likelihood(x)
    assert stated.kind == "exact"
    assert torch.allclose(stated.value.exp(), torch.softmax(torch.logsumexp(joint(model), (1, 2)), 0))
    assert model.log_partition().value == pytest.approx(float(torch.logsumexp(joint(model).flatten(), 0)), abs=1e-9)
    assert sum(map(len, model.visible_states())) == 48


def test_the_least_energy_is_decided_and_the_next_named():
    model, x = machine(), states(4)
    assert isinstance(model, Decider)
    found, energies = model.decide(x), model.class_energies(x).detach()
    assert model.answers == "context"
    assert torch.equal(found.answer.argmax(1), energies.argmin(1))
    assert torch.equal(found.energy, energies.min(1).values)
    assert torch.equal(found.runner_up.argmax(1), energies.argsort(1)[:, 1])
    assert torch.equal(found.runner_up_energy, energies.sort(1).values[:, 1])
    assert torch.equal(found.answer.sum(1), torch.ones(16).double())
    with pytest.raises(ValueError, match="search: expected exhaustive, got 'beam'"):
        model.decide(x, search="beam")


def filled_chains(model, copies=40_000):
    """Put the joint law of record and label into the chains; return how far rounding takes them off it."""
    x, y = all_pairs(model)
    law = torch.softmax(torch.logsumexp(joint(model), 2).flatten(), 0)
    counts = (law * copies).round().long()
    model.chain_states = torch.cat([x, y], 1).repeat_interleave(counts, 0)
    return float((counts / counts.sum() - law).abs().max())


@pytest.mark.parametrize("objective", ["generative", "discriminative", "hybrid"])
def test_gradient_of_each_objective_is_that_of_its_likelihood(objective):
    """-log p(x, y), -log p(y | x), and the second plus alpha times the first, by autograd through the enumeration."""
    model = machine(objective=objective, alpha=0.3)
    rounding = filled_chains(model)
    x, y = all_pairs(model)
    p = torch.softmax(torch.randn(48, generator=stream(1)).double(), 0)
    log_f = -model.class_energies(x)
    joined, conditional = (
        (log_f * y).sum(1) - torch.logsumexp(log_f[::3].flatten(), 0),
        (log_f.log_softmax(1) * y).sum(1),
    )
    share = {"generative": (1, 0), "discriminative": (0, 1), "hybrid": (0.3, 1)}[objective]
    parameters = list(model.parameters())
    exact = torch.autograd.grad(-(p * (share[0] * joined + share[1] * conditional)).sum(), parameters)
    found = torch.autograd.grad((p * model.loss(x, context=y)).sum(), parameters)
    for a, b in zip(found, exact, strict=True):
        assert torch.allclose(a, b, atol=48 * rounding)
        assert float(b.abs().max()) > 0.02


def test_gradient_without_labels_is_that_of_the_record():
    model, x = machine(), states(4)
    rounding = filled_chains(model)
    p = torch.softmax(torch.randn(16, generator=stream(1)).double(), 0)
    parameters = list(model.parameters())
    exact = torch.autograd.grad(p @ model.energy(x) + torch.logsumexp(-model.energy(x), 0), parameters)
    found = torch.autograd.grad((p * model.loss(x)).sum(), parameters)
    assert all(torch.allclose(a, b, atol=48 * rounding) for a, b in zip(found, exact, strict=True))


def counted(x, cells):
    return torch.bincount((x @ (2.0 ** torch.arange(x.shape[1])).to(x)).long(), minlength=cells).double()


def test_sweeps_leave_the_joint_law_invariant():
    model = machine()
    filled_chains(model, 100_000)
    moved = model.sweep(model.chain_states, 3, stream(2))
    assert torch.equal(moved[:, 4:].sum(1), torch.ones(len(moved)).double())
    counts = torch.stack([counted(moved[moved[:, 4 + c] == 1, :4], 16) for c in range(3)], 1).flatten()
    expected = torch.softmax(torch.logsumexp(joint(model), 2).flatten(), 0) * len(moved)
    assert float(((counts - expected).square() / expected).sum()) < 47 + 5 * math.sqrt(2 * 47)


def test_samples_of_a_class_follow_its_law():
    model = machine(scale=1.0, sample_steps=40)
    n = 5_000
    for label in range(3):
        context = one_hot(model)[label].expand(n, -1)
        counts = counted(model.sample(n, context=context, generator=stream(3, label)), 16)
        expected = torch.softmax(torch.logsumexp(joint(model), 2)[:, label], 0) * n
        assert float(((counts - expected).square() / expected).sum()) < 15 + 5 * math.sqrt(2 * 15)
    marginal = counted(model.sample(n, generator=stream(4)), 16)
    expected = torch.softmax(torch.logsumexp(joint(model), (1, 2)), 0) * n
    assert float(((marginal - expected).square() / expected).sum()) < 15 + 5 * math.sqrt(2 * 15)


def test_intervals_hold_the_enumerated_values(monkeypatch):
    model = machine(10, 3, 8, scale=0.6)
    x = states(5).repeat(1, 2)
    y = one_hot(model)[torch.arange(32) % 3]
    exact, marginal = model.log_likelihood(x, context=y).value, model.log_likelihood(x).value
    for room in ("restricted", "class_rbm"):
        monkeypatch.setattr(f"hexad.energy.{room}.ENUMERATED", 3)
    model._of_classes, model._partitions = {}, {}
    model.class_partitions = partial(model.class_partitions, effort=0.1)
    model.log_partition = partial(model.log_partition, effort=0.1)
    model.chain_states = model.sweep(model.chain_states, 100, stream(5))
    for stated, known in (
        (model.log_likelihood(x, context=y, budget=40), exact),
        (model.log_likelihood(x, budget=40), marginal),
    ):
        assert (stated.kind, stated.confidence) == ("interval", 0.95)
        assert torch.all((stated.low < known) & (known < stated.high))
        assert float((stated.high - stated.low).max()) < 0.5
    assert "one log Z a class" in model.log_likelihood(x, context=y, budget=40).protocol


def test_checkpoints_are_picked_by_what_is_trained():
    x, y = states(4)[:8], torch.eye(3).double()[torch.arange(8) % 3]
    for objective, name in (("generative", "log_prob given the label"), ("hybrid", "log_prob of the label")):
        model = machine(objective=objective)
        with torch.no_grad():
            found = model.validate(x, context=y)
        assert (found.name, found.direction) == (name, "higher")
        known = model.log_likelihood(x, context=y).value if objective == "generative" else None
        if known is None:
            known = (model.log_posterior(x).detach() * y).sum(1)
        assert found.value == pytest.approx(float(known.mean()))


@pytest.mark.parametrize("objective", ["generative", "hybrid"])
def test_training_reaches_the_bayes_rule(objective):
    """Class c has bits 2c and 2c + 1 set, and each of the six bits is flipped with probability 0.1."""
    generator = stream(8)
    label = torch.randint(3, (2048,), generator=generator)
    centre = torch.eye(3).repeat_interleave(2, 1)
    x = (centre[label] - (torch.rand(2048, 6, generator=generator) < 0.1).float()).abs()
    y = torch.eye(3)[label]
    away = (x[:, None] - centre).abs().sum(2)
    truth = away * math.log(0.1) + (6 - away) * math.log(0.9)
    with fork(8):
        model = ClassRBM(Event.of(6, "binary"), 3, 8, objective, alpha=0.1)
    model.prepare(x, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, fused=True)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 300)
        rows = torch.randint(2048, (100,), generator=generator)
        optimizer.zero_grad()
        model.loss(x[rows], context=y[rows], generator=generator).mean().backward()
        optimizer.step()
        model.after_step(x[rows], generator=generator)
    with torch.no_grad():
        lost = ((truth.log_softmax(1) - model.log_posterior(x)) * y).sum(1).mean()
    assert -0.05 < float(lost) < 0.07
    if objective == "generative":
        lost = (truth * y).sum(1) - model.log_likelihood(x, context=y).value
        assert -0.05 < float(lost.mean()) < 0.15


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="takes binary columns"):
        ClassRBM(Event.of(3, "real"), 2)
    with pytest.raises(ValueError, match="at least 2 classes, got 0"):
        ClassRBM(Event.of(3, "binary"), 0)
    with pytest.raises(ValueError, match="generative or discriminative, got 'both'"):
        ClassRBM(Event.of(3, "binary"), 2, objective="both")
    assert "visible=3, classes=2, hidden=4, objective=hybrid, alpha=0.01" in repr(ClassRBM(Event.of(3, "binary"), 2, 4))


def test_a_context_that_is_no_label_is_refused_in_a_line():
    x = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(int)
    frame = {f"b{i}": x[:, i] for i in range(3)} | {"amount": np.linspace(0, 1, 60), "kind": ["a", "b", "c"] * 20}
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(frame | {"same": "a"})
    cases = {
        "got no context; name it with --data context=LABEL": {"drop": "amount,kind,same"},
        "got the context amount": {"context": "amount", "drop": "kind,same"},
        "got the context kind, amount": {"context": "kind,amount", "drop": "same"},
        "got the context same": {"context": "same", "drop": "kind,amount"},
    }
    for words, options in cases.items():
        with pytest.raises(InputError, match="one column of a few values, at least two") as caught:
            hexad.fit("class-rbm", hexad.load_data(table, **options), steps=1, progress=False)
        assert words in str(caught.value)
    fitted = hexad.fit(
        "class-rbm", hexad.load_data(table, context="kind", drop="amount,same"), steps=2, hidden=4, progress=False
    )
    assert fitted.log_likelihood(table[["b0", "b1", "b2"]], context=table["kind"]).given == "kind"
