"""Every model of the table keeps the contract, inside (check_model) and as the user sees it (Fitted)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from cases import CASES, SOURCES
from conftest import known, source
from hexad.recipes import FAMILIES, RECIPES
from hexad.testing import check_model
from hexad.train import Settings

PAIRS = [pytest.param(case, kind, id=f"{case}-{kind}") for case in CASES for kind in case.kinds]


@pytest.fixture(autouse=True)
def _short_anneals(monkeypatch):
    """A contract is about calls, not about how wide an interval is."""
    for module in ("ebm", "jem"):
        monkeypatch.setattr(f"hexad.energy.{module}.TEMPERATURES", 100)


def test_every_recipe_has_a_case_and_every_family_a_recipe():
    assert {case.name for case in CASES} == set(RECIPES)
    assert {recipe.family for recipe in RECIPES.values()} == set(FAMILIES)


def test_options_of_recipes_and_of_the_loop_never_overlap():
    for recipe in RECIPES.values():
        assert not set(recipe.options) & set(Settings.model_fields), recipe.name


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_model_keeps_the_contract(case, kind, run):
    fitted = run(case.name, kind)
    raw = source(SOURCES[kind]).tensor("valid")[:64]
    generator = torch.Generator().manual_seed(0)
    x = fitted.preprocessing.encode(raw, generator=generator, dtype=fitted.model.dtype)[0]
    check_model(fitted.model, x=x)


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_sample_i_does_not_depend_on_n(case, kind, run):
    fitted = run(case.name, kind)
    data = source(SOURCES[kind])
    few, many = (fitted.sample(n, seed=1, context=known(data, n)) for n in (3, 300))
    assert np.array_equal(np.asarray(few), np.asarray(many)[:3])
    other = fitted.sample(300, seed=2, context=known(data, 300))
    assert not np.array_equal(np.asarray(many), np.asarray(other))


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_samples_come_back_in_the_users_types(case, kind, run):
    fitted, data = run(case.name, kind), source(SOURCES[kind])
    train, sample = data.train, fitted.sample(5, seed=0, context=known(data, 5))
    assert type(sample) is type(train)
    assert sample.shape == (5, *train.shape[1:])
    if isinstance(train, pd.DataFrame):
        assert list(sample.columns) == list(train.columns)
        assert list(sample.dtypes) == list(train.dtypes)
    else:
        assert sample.dtype == train.dtype


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_path_ends_at_the_sample(case, kind, run):
    fitted, given = run(case.name, kind), known(source(SOURCES[kind]), 4)
    path = fitted.path(4, seed=3, context=given)
    assert path.states.shape[1] == 4
    assert len(path.labels) == len(path.states) >= 2
    assert np.array_equal(path.states[-1].numpy(), np.asarray(fitted.sample(4, seed=3, context=given), dtype=float))


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_likelihood_is_stated_the_same_twice_and_with_its_measure(case, kind, run):
    fitted, data = run(case.name, kind), source(SOURCES[kind])
    test, given = data.test[:50], known(data, 50)
    if fitted.model.log_likelihood(fitted.preprocessing.encode(fitted.format.encode(test))[0]) is None:
        with pytest.raises(hexad.InputError, match="has no likelihood"):
            fitted.log_likelihood(test, context=given)
        return
    first, second = (fitted.log_likelihood(test, context=given) for _ in range(2))
    assert torch.equal(first.value, second.value)
    assert first.measure == fitted.event.measure
    for name in ("value", "low", "high", "mc_stderr"):
        tensor = getattr(first, name)
        assert tensor.dtype == torch.float64
        assert tensor.shape == (50,)


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_a_loaded_run_is_the_run(case, kind, tmp_path):
    data = source(SOURCES[kind])
    fitted = hexad.fit(case.name, data, steps=3, out=tmp_path / "run", progress=False, **case.options)
    loaded = hexad.load(tmp_path / "run")
    same = [np.asarray(one.sample(4, seed=0, context=known(data, 4))) for one in (fitted, loaded)]
    assert np.array_equal(*same)
    assert repr(loaded).startswith(f"Fitted({case.name}, ")
    for name, tensor in fitted.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name]), name


def test_what_is_no_model_no_seed_and_no_record_is_said(run):
    fitted = run("made", "binary")
    with pytest.raises(hexad.InputError, match="expected a name"):
        hexad.fit(3, source("tree"))
    with pytest.raises(hexad.InputError, match="seed -1"):
        fitted.sample(2, seed=-1)
    with pytest.raises(hexad.InputError, match="no records"):
        fitted.log_likelihood(source("tree").test[:0])
