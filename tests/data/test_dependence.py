"""Singular columns are named: constant and equal ones refused, linear functions of others told of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hexad
from hexad.checks import InputError, warn
from hexad.data import load_data
from hexad.data.dependence import dependent_columns

RNG = np.random.default_rng(6)
FRAME = pd.DataFrame(RNG.normal(size=(300, 4)) * [1.0, 1e-6, 1e5, 3.0] + [0.0, 1.0, -7e5, 40.0], columns=list("abcd"))
SINGULAR = FRAME.assign(cents=100 * FRAME["d"], total=2 - FRAME["a"] - 3e-5 * FRAME["c"])


def test_linear_functions_of_other_columns_are_named():
    (note,) = load_data(SINGULAR).notes
    assert "cents (of d), total (of a, c)" in note
    assert "--data drop=cents,total" in note
    assert "\n" not in note
    assert load_data(SINGULAR, drop="cents,total").notes == ()


def test_what_is_nearly_one_is_not_named():
    near = FRAME.assign(near=FRAME["a"] + 1e-4 * RNG.normal(size=300))
    assert load_data(near).notes == ()
    assert load_data(FRAME.assign(square=FRAME["a"] ** 2)).notes == ()
    assert load_data("digits").notes == ()


def test_columns_with_a_step_have_masses_whatever_they_depend_on():
    whole = FRAME.assign(age=RNG.integers(0, 90, 300))
    assert load_data(whole.assign(born=2000 - whole["age"])).notes == ()
    assert load_data(SINGULAR, step={"cents": 1, "total": 0.1}).notes == ()
    constant = FRAME.assign(flat=1.5)
    with pytest.raises(InputError, match=r"constant on the training rows: flat.*drop=flat, or give their grid with"):
        load_data(constant)
    data = load_data(constant, step={"flat": 0.5})
    stated = hexad.fit("made", data, steps=20, progress=False).log_likelihood(data.test)
    assert bool(stated.value.isfinite().all())


def test_fewer_rows_than_columns_tell_nothing():
    x = RNG.normal(size=(20, 30))
    assert dependent_columns(x, [False] * 30) == {}
    assert dependent_columns(np.concatenate([x.T, x.T[:, :1]], 1), [False] * 21) == {20: [0]}


def test_the_warning_is_said_once_where_training_begins(command, tmp_path, capsys):
    SINGULAR.to_csv(tmp_path / "d.csv", index=False)
    warn.cache_clear()
    status, _, err = command("train", "nsf", tmp_path / "d.csv", "--steps", "30", "--out", tmp_path / "run")
    assert status == 0
    assert err.count("hexad: warning: columns that are linear functions of others") == 1
    warn.cache_clear()
    status, _, err = command("train", "nsf", tmp_path / "d.csv", "--steps", "0", "--out", tmp_path / "other")
    assert (status, err.count("\n"), "warning" in err) == (2, 1, False)  # an error stays one line
    hexad.fit("gaussian", SINGULAR)
    assert "warning: columns that are linear functions" in capsys.readouterr().err
    hexad.fit("gaussian", SINGULAR)
    assert "warning" not in capsys.readouterr().err
    warn.cache_clear()
    hexad.fit("gaussian", SINGULAR, progress=False)
    assert capsys.readouterr().err == ""
