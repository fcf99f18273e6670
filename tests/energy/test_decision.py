"""The energy of answers given questions: its formula, its law, its losses, and what it decides."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from conftest import source
from hexad.energy.decision import ConditionalEnergy
from hexad.energy.losses import DECISION_LOSSES, most_offending
from hexad.energy.searches import codes
from hexad.event import Event, Support
from hexad.model import Decider
from hexad.randomness import fork, stream
from hexad.recipes import first_choices, recipe_of
from hexad.testing import check_model

LEVELS = (3, 2, 4)
EVENT = Event((3,), tuple(Support("ordinal", levels=n) for n in LEVELS))
LARGE = Event.of(20, Support("ordinal", levels=3))


def build(event: Event = EVENT, spread: float = 5, **options: object) -> ConditionalEnergy:
    """Return a model of energies that differ by some units, in double precision."""
    with fork(0):
        model = ConditionalEnergy(event, 2, hidden=(16,), **options).double()
        for parameter in model.network.layers[-1].parameters():
            parameter.data.mul_(spread)
    return model


def questions(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 2, generator=stream(seed), dtype=torch.float64)


def test_the_energy_is_its_formula() -> None:
    model, x = build(), questions(24)
    every = codes(0, 24, LEVELS)
    out, starts = model.network(x), [0, 3, 5]
    for row in range(24):
        y = every[row].tolist()
        unary = sum(out[row, starts[i] + y[i]] for i in range(3))
        squares = [sum(model.forms[starts[i] + y[i], r] for i in range(3)) ** 2 for r in range(16)]
        wanted = unary + sum(out[row, 9 + r] * squares[r] for r in range(16))
        assert model.energy(every[row : row + 1].double(), x[row : row + 1])[0].item() == pytest.approx(wanted.item())


def test_all_ways_to_an_energy_are_one() -> None:
    model, x = build(), questions(7)
    answers, every = model.candidates(x), codes(0, 24, LEVELS)
    shared, each = answers.energy(every[None]), answers.energy(every[None].expand(7, -1, -1))
    assert torch.allclose(shared, each)
    with torch.no_grad():
        walk = answers.walk(answers.draw(5, stream(1)))
        for step in range(12):
            column = step % 3
            tried = walk.y[:, :, None].repeat(1, 1, LEVELS[column], 1)
            tried[..., column] = torch.arange(LEVELS[column])
            assert torch.allclose(walk.energies(column), answers.energy(tried.flatten(1, 2)).unflatten(1, (5, -1)))
            walk.put(column, torch.randint(LEVELS[column], (7, 5), generator=stream(2, step)))


@pytest.mark.parametrize(("loss", "beta"), [("nll", 1.0), ("nll", 2.5), ("hinge", 2.5)])
def test_the_law_is_that_of_its_energy_and_samples_follow_it(loss: str, beta: float) -> None:
    model, x = build(spread=1, criterion=loss, beta=beta, sweeps=20), questions(1)
    every, n = codes(0, 24, LEVELS).double(), 8_000
    energies = model.energy(every, x.expand(24, -1)).detach()
    p = torch.softmax(-(beta if loss == "nll" else 1.0) * energies, 0)
    stated = model.log_likelihood(every, context=x.expand(24, -1))
    assert (stated.kind, stated.measure) == ("exact", "mass")
    assert torch.allclose(stated.value.exp(), p)
    if loss == "nll":  # beta times the loss is -log p
        assert torch.allclose(beta * model.loss(every, context=x.expand(24, -1)), -p.log())
    for enumerated in (True, False):  # exactly, and by Gibbs sweeps
        model.enumerated = enumerated
        y = model.sample(n, context=x.expand(n, -1), generator=stream(3))
        seen = torch.bincount((y * torch.tensor([8, 4, 1])).sum(1).long(), minlength=24) / n
        assert ((seen - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-12).all()


@pytest.mark.parametrize("loss", [name for name in DECISION_LOSSES if name not in ("nll", "mee")])
def test_losses_by_search_are_those_of_all_answers(loss: str) -> None:
    model, x = build(criterion=loss), questions(60)
    y = torch.stack([torch.randint(n, (60,), generator=stream(4, n)) for n in LEVELS], 1).double()
    whole = model.loss(y, context=x)
    model.enumerated = False
    found = model.loss(y, context=x, generator=stream(5))
    assert torch.isclose(found, whole).double().mean() > 0.9
    if loss == "hinge":  # what a search misses is no more offending
        assert (found <= whole + 1e-9).all()


def test_what_offends_most_is_a_wrong_answer() -> None:
    model, x = build(criterion="hinge"), questions(50)
    table = model.candidates(x).energy(codes(0, 24, LEVELS)[None]).detach()
    best = model.decide(x).answer
    model.enumerated = False
    unary, weights = model._terms(x, 50)
    wrong = model._offending(best.long(), unary, weights, stream(6))
    assert (wrong != best).any(1).all()
    second = most_offending(table, model._number(best.long()))
    assert torch.isclose(model.energy(wrong.double(), x), second).double().mean() > 0.9


@pytest.mark.parametrize("search", ["exhaustive", "coordinate", "beam", "annealing"])
def test_decisions_are_the_least_of_all_energies(search: str) -> None:
    model, x = build(), questions(40)
    table = model.candidates(x).energy(codes(0, 24, LEVELS)[None]).detach().sort(1)
    found = model.decide(x, search=search, generator=stream(7))
    assert isinstance(model, Decider)
    assert torch.isclose(found.energy, table.values[:, 0]).double().mean() >= 0.9
    if search == "exhaustive":
        assert torch.allclose(found.runner_up_energy, table.values[:, 1])
        assert torch.equal(found.answer, codes(0, 24, LEVELS)[table.indices[:, 0]].double())


@pytest.mark.parametrize("options", [{}, {"criterion": "lvq2"}, {"criterion": "mee"}])
def test_it_keeps_the_contract(options: dict[str, str]) -> None:
    check_model(build(**options).float())


def test_it_keeps_the_contract_where_answers_are_many() -> None:
    with fork(0):
        model = ConditionalEnergy(Event.of(12, Support("ordinal", levels=3)), 2, "log", hidden=(8,), rank=4, sweeps=12)
    assert not model.enumerated
    check_model(model)
    assert "531,441 answers are too many to be summed over, at most 65,536" in model.why_no_likelihood


@pytest.mark.parametrize(
    ("event", "options", "words"),
    [
        (LARGE, {"criterion": "nll"}, "loss=nll sums over all answers, and 3,486,784,401 of 20 columns are too many"),
        (LARGE, {"criterion": "mee"}, "losses that do not: energy, perceptron, hinge, log, lvq2, mce, square-square"),
        (EVENT, {"criterion": "hinges"}, "did you mean 'hinge'"),
        (EVENT, {"search": "bean"}, "unknown search 'bean'; did you mean 'beam'"),
        (Event.of(2, "real"), {}, "binary or ordinal columns"),
    ],
)
def test_what_cannot_be_built_is_said(event: Event, options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        ConditionalEnergy(event, 2, **options)
    with pytest.raises(ValueError, match="needs a question"):
        ConditionalEnergy(EVENT, 0)
    with pytest.raises(ValueError, match=r"expected \(batch, 2\), got \(4, 3\)"):
        build().candidates(torch.zeros(4, 3))


def test_it_does_not_beat_the_truth_and_comes_near_it() -> None:
    data = source("tree given x0,x1,x2")
    joint = source("tree")
    fitted = hexad.fit("decision", data, steps=250, progress=False, hidden=[32], lr=1e-2)
    test = joint.tensor("test")[:2000]
    every = codes(0, 2**7, (2,) * 7).to(test.dtype)
    given = test[:, None, :3].expand(-1, len(every), -1)
    all_of = joint.truth(torch.cat([given, every.expand(len(test), -1, -1)], 2).flatten(0, 1)).unflatten(0, (-1, 128))
    truth = joint.truth(test) - torch.logsumexp(all_of, 1)
    known = {name: values[:2000] for name, values in data.known("test").items()}
    behind = truth - fitted.log_likelihood(data.test[:2000], context=known).value
    error = float(behind.std()) / len(behind) ** 0.5
    assert -4 * error < float(behind.mean()) < 0.08


def exclusive(n: int, seed: int) -> pd.DataFrame:
    """Return two bits of which each is fair and, given x, one is the other or its opposite: only a joint term knows."""
    rng = np.random.default_rng(seed)
    x, a = rng.normal(size=n), rng.integers(0, 2, n)
    return pd.DataFrame({"x": x, "a": a, "b": np.where(x > 0, a, 1 - a)})


def test_columns_that_depend_on_each_other_need_the_joint_term() -> None:
    data = hexad.load_data(exclusive(2000, 0), context="x", support="binary")
    stated = []
    for rank in (4, 0):
        fitted = hexad.fit("decision", data, steps=150, progress=False, hidden=[16], rank=rank, lr=2e-2)
        stated.append(float(fitted.log_likelihood(data.test, context=data.known("test")).value.mean()))
        if rank:
            found = fitted.decide({"x": [-1.0, -0.5, 0.5, 1.0]})
            assert (found["a"] == found["b"]).tolist() == [False, False, True, True]
    assert -math.log(2) - 0.1 < stated[0] < -math.log(2) + 0.02
    assert abs(stated[1] + 2 * math.log(2)) < 0.1


def test_it_is_no_first_choice_and_says_why_it_cannot_without_a_context() -> None:
    data = source("tree")
    chosen = {family: recipe for family, recipe, _ in first_choices(data.event)}
    assert chosen["energy"].name == "rbm"
    ordinal = {family: why for family, recipe, why in first_choices(Event.of(3, Support("ordinal", levels=300)))}
    assert "decision" not in ordinal["energy"]
    with pytest.raises(hexad.InputError, match="no column is the question; name its columns with --data context=a,b"):
        hexad.fit("decision", data, steps=1)
    with pytest.raises(hexad.InputError, match="no column is the question"):
        hexad.compare(data, models="decision", steps=1, progress=False)
    mixed = Event((2,), (Support("binary"), Support("real")), names=("a", "b"))
    with pytest.raises(hexad.InputError, match="not real ones; real are b"):
        recipe_of("decision", mixed)
    assert math.isinf(recipe_of("decision").first_up_to)
