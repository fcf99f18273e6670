"""``Fitted.decide`` and ``hexad decide``: answers in the user's names and types, and what may be asked wrongly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import hexad
from hexad.data import Context
from hexad.energy import gradient
from hexad.model import Decider, Decision, Density, Trajectory
from hexad.randomness import fresh


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return a table whose answers follow from its questions: a class of three by x, a bit by the kind."""
    rng = np.random.default_rng(seed)
    x, kind = rng.uniform(-3, 3, n), rng.choice(["calm", "rough"], n)
    grade = np.digitize(x, [-1, 1]).astype(np.int32)
    return pd.DataFrame({"x": x, "kind": kind, "grade": grade, "flag": (kind == "rough").astype(np.int8)})


OPTIONS = {"context": ["x", "kind"], "support": {"grade": "ordinal", "flag": "binary"}}


@pytest.fixture(scope="module")
def fitted() -> hexad.Fitted:
    data = hexad.load_data(table(600), **OPTIONS)
    return hexad.fit("decision", data, steps=150, progress=False, hidden=[16], lr=2e-2, loss="hinge")


def test_decisions_come_in_the_users_names_and_types(fitted):
    asked = table(150, 1)
    found = fitted.decide(asked)
    names = ["grade", "flag", "energy", "grade_runner_up", "flag_runner_up", "runner_up_energy"]
    assert list(found.columns) == names
    assert [str(found[name].dtype) for name in ("grade", "flag", "grade_runner_up")] == ["int32", "int8", "int32"]
    assert (found["grade"] == asked["grade"]).mean() > 0.9
    assert (found["flag"] == asked["flag"]).mean() > 0.95
    assert (found["energy"] <= found["runner_up_energy"]).all()
    assert ((found["grade"] != found["grade_runner_up"]) | (found["flag"] != found["flag_runner_up"])).all()
    pd.testing.assert_frame_equal(found.head(70), fitted.decide(asked.head(70)))  # a row answers for itself


def test_searches_agree_where_answers_are_few(fitted):
    sure = fitted.decide(table(80, 2), search="exhaustive")
    for search in ("coordinate", "beam", "annealing"):
        found = fitted.decide(table(80, 2), search=search, seed=3)
        pd.testing.assert_frame_equal(found, sure, rtol=1e-4, atol=1e-5)


def test_one_column_has_plain_names_and_a_name_that_is_taken_gets_an_underscore():
    frame = table().drop(columns="flag").rename(columns={"grade": "energy"})
    data = hexad.load_data(frame, context="x,kind", support="ordinal")
    found = hexad.fit("decision", data, steps=2, progress=False, hidden=[4]).decide({"x": 0.5, "kind": "calm"})
    assert list(found.columns) == ["energy", "energy_", "runner_up", "runner_up_energy"]
    assert len(found) == 1


class Parabola(Density):
    """y given the context c has the energy (y - c)^2 / 2 and is decided by gradient descent: the answer is c."""

    players = ()

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(x - context).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return context + torch.randn(n, 1, generator=fresh(generator))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        sample = self.sample(n, context=context, generator=generator)
        return Trajectory(torch.stack([context, sample]), "latent", ("mean", "sample"))


class Descending(Parabola, Decider):
    """The parabola as one that decides."""

    searches = ("gradient",)

    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        return gradient(lambda y: 0.5 * (y - x[:, None]).square().sum(2), torch.zeros(len(x), 1), generator=generator)


class ByClass(Parabola, Decider):
    """A model of records whose class is decided: that of the nearest whole number, in the one-hot context."""

    answers = "context"

    def decide(self, x: Tensor, *, search: str | None = None, generator: torch.Generator | None = None) -> Decision:
        energies = (x - torch.arange(3.0)).square()
        two = energies.topk(2, dim=1, largest=False)
        eye = torch.eye(3)
        return Decision(eye[two.indices[:, 0]], two.values[:, 0], eye[two.indices[:, 1]], two.values[:, 1])


def test_real_answers_by_gradient_descent_have_no_runner_up_where_there_is_one_minimum():
    x = np.random.default_rng(0).normal(size=200)
    data = hexad.load_data(pd.DataFrame({"x": x, "y": x + 0.1 * x[::-1]}), context="x", step=0)
    found = hexad.fit(Descending(data.event), data, steps=1, progress=False).decide([-1.0, 0.0, 2.0])
    own = data.format.context.encoders[0]
    assert np.allclose(found["y"] * own.std[0] + own.mean[0], [-1, 0, 2], atol=1e-3)
    assert found["runner_up"].isna().all()
    assert np.isinf(found["runner_up_energy"]).all()
    assert found["y"].dtype == np.float64


@pytest.fixture(scope="module")
def by_class() -> hexad.Fitted:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 300)
    place = pd.Series(kind).map({"a": 0.0, "b": 1.0, "c": 2.0}) + 0.1 * rng.normal(size=300)
    data = hexad.load_data(pd.DataFrame({"place": place, "kind": kind}), context="kind", step=0)
    return hexad.fit(ByClass(data.event), data, steps=1, progress=False)


def test_the_class_of_a_record_is_decided_in_its_own_words(by_class):
    found = by_class.decide(pd.DataFrame({"place": [0.9, 2.2, -1.0]}))
    assert found["kind"].tolist() == ["b", "c", "a"]
    assert found["runner_up"].tolist() == ["a", "b", "b"]
    assert np.allclose(found["energy"], [0.01, 0.04, 1.0], atol=1e-6)
    with pytest.raises(hexad.InputError, match="records: no column place"):
        by_class.decide(pd.DataFrame({"plaice": [1.0]}))


def test_a_context_is_decoded_to_what_was_encoded():
    rng = np.random.default_rng(0)
    columns = {"kind": rng.choice(["a", "b"], 50), "year": rng.integers(0, 9, 50), "x": rng.normal(size=50)}
    context = Context.fit({name: {"train": values} for name, values in columns.items()})
    back = context.decode(context.encode(columns))
    assert list(back) == list(columns)
    assert (back["kind"] == columns["kind"]).all()
    assert (back["year"] == columns["year"]).all()
    assert np.allclose(back["x"], columns["x"], atol=1e-6)
    wide = Context.fit({"v": {"train": rng.normal(size=(20, 2))}})
    assert list(wide.decode(torch.zeros(1, 2))) == ["v_0", "v_1"]
    with pytest.raises(ValueError, match=r"expected \(n, 12\), got \(3, 2\)"):
        context.decode(torch.zeros(3, 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder of a run and of its table."""
    path = tmp_path_factory.mktemp("decide")
    hexad.fit("decision", hexad.load_data(table(), **OPTIONS), steps=3, progress=False, hidden=[8], out=path / "run")
    hexad.fit("gaussian", hexad.load_data(table()[["x", "grade"]], step=0), progress=False, out=path / "plain")
    return path


def test_the_command_decides_a_table_and_ignores_its_other_columns(command, folder):
    table(9, 3).assign(day="2020-01-01", gap=np.nan).to_csv(folder / "new.csv", index=False)
    argv = ("decide", folder / "run", folder / "new.csv", "--search", "beam", "--out", folder / "d.csv")
    status, out, err = command(*argv)
    assert (status, out) == (0, "")
    assert err == f"9 decisions: {folder / 'd.csv'}\n"
    wanted = hexad.load(folder / "run").decide(table(9, 3), "beam")
    pd.testing.assert_frame_equal(pd.read_csv(folder / "d.csv"), wanted, check_dtype=False)


def test_the_command_trains_a_model_that_decides(command, tmp_path):
    table().to_csv(tmp_path / "t.csv", index=False)
    argv = ("train", "decision", tmp_path / "t.csv", "--steps", "2", "--set", "hidden=[4]", "--out", tmp_path / "r")
    data = ("--data", "context=x,kind", "--data", "support=ordinal")
    assert command(*argv, *data, "--set", "loss=square-square")[0] == 0
    assert command("decide", tmp_path / "r", tmp_path / "t.csv", "--out", tmp_path / "d.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "d.csv")) == 200
    status, out, err = command(*argv)
    assert (status, out, err.count("\n")) == (2, "", 1)


WRONG = {
    "a missing column": ("run", lambda f: f.drop(columns="kind"), (), "no column kind"),
    "a slip": ("run", lambda f: f.rename(columns={"kind": "kin"}), (), "did you mean 'kin'"),
    "a new class": ("run", lambda f: f.assign(kind="wild"), (), "unknown value 'wild'"),
    "a gap": ("run", lambda f: f.assign(x=np.nan), (), "missing or infinite values in rows 1"),
    "an unknown search": ("run", lambda f: f, ("--search", "exhaustiv"), "did you mean 'exhaustive'"),
    "a seed below 0": ("run", lambda f: f, ("--seed", "-1"), "seed -1"),
    "no decider": ("plain", lambda f: f, (), "gaussian gives no energies to answers, it decides nothing"),
    "no file": ("run", None, (), "no such file"),
}


@pytest.mark.parametrize(("run", "change", "more", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_questions_are_one_line(run, change, more, words, command, folder, tmp_path):
    if change is not None:
        change(table(5)).to_csv(tmp_path / "new.csv", index=False)
    status, out, err = command("decide", folder / run, tmp_path / "new.csv", "--out", tmp_path / "p.csv", *more)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "p.csv").exists()


def test_too_many_answers_for_the_exhaustive_search_are_one_line():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 2, (60, 30)), columns=[f"y{i}" for i in range(30)]).assign(
        x=rng.normal(size=60)
    )
    data = hexad.load_data(frame, context="x")
    with pytest.raises(hexad.InputError, match="loss=nll sums over all answers"):
        hexad.fit("decision", data, steps=1)
    fitted = hexad.fit("decision", data, steps=1, progress=False, loss="log", hidden=[4])
    with pytest.raises(hexad.InputError, match=r"1,073,741,824 answers of 30 columns are too many .* annealing"):
        fitted.decide({"x": 0.0}, search="exhaustive")
    assert fitted.decide({"x": 0.0}).shape == (1, 62)
    with pytest.raises(hexad.InputError, match="has no likelihood: 1,073,741,824 answers"):
        fitted.log_likelihood(data.test, context=data.known("test"))
    with pytest.raises(hexad.InputError, match="no records"):
        fitted.decide({"x": []})


def test_a_class_cannot_be_decided_without_classes(by_class):
    data = hexad.load_data(pd.DataFrame({"place": np.random.default_rng(0).normal(size=60)}), step=0)
    plain = hexad.fit(ByClass(data.event), data, steps=1, progress=False)
    with pytest.raises(hexad.InputError, match="was trained without answers; name their columns"):
        plain.decide(pd.DataFrame({"place": [0.0]}))
