"""Conditional models as regression: intervals that hold what they promise, densities that integrate to 1, one line."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import hexad
from hexad.fitted.prediction import ROWS, _draws
from hexad.model import Density, Trajectory
from hexad.randomness import fresh
from hexad.recipes import first_choices
from test_cli import HEAVY

KINDS = {"calm": 0.5, "rough": 1.0}


def wave(n, seed):
    """Return y = sin x + s noise, s = (0.2 + 0.2 |x|) times 0.5 or 1 by the kind, and s."""
    rng = np.random.default_rng(seed)
    x, kind = rng.uniform(-3, 3, n), rng.choice(list(KINDS), n)
    width = (0.2 + 0.2 * np.abs(x)) * np.vectorize(KINDS.get)(kind)
    return pd.DataFrame({"x": x, "kind": kind, "y": np.sin(x) + width * rng.normal(size=n)}), width


class Line(Density):
    """y given the context c is N(c, 1): the known answer."""

    players = ()

    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        pass

    def log_prob(self, x: Tensor, *, context: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(0.0, 1.0).log_prob(x - context).sum(1)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return context + torch.randn(n, 1, generator=fresh(generator))

    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        sample = self.sample(n, context=context, generator=generator)
        return Trajectory(torch.stack([context, sample]), "latent", ("mean", "sample"))


@pytest.fixture(scope="module")
def line():
    """Return the known law: given x, which is standardised, y is normal around it."""
    x = np.random.default_rng(0).normal(size=1000)
    x = (x - x.mean()) / x.std()
    data = hexad.load_data({"train": pd.DataFrame({"x": x, "y": x + 0.1 * x[::-1]})}, context="x")
    own = data.format.context.encoders[0]
    fitted = hexad.fit(Line(data.event), data, steps=1, progress=False)
    return fitted, lambda c: np.asarray(c) * own.std[0] + own.mean[0]


def test_mean_and_ends_are_those_of_the_law(line):
    fitted, x = line
    c = np.linspace(-2, 2, 11)
    found = fitted.predict(x(c), level=0.8, n=20_000)
    assert list(found.columns) == ["mean", "lower", "upper"]
    assert np.allclose(found["mean"], c, atol=4 / 20_000**0.5)
    error = (0.1 * 0.9 / 20_000) ** 0.5 / 0.1755  # of a tenth's quantile: the density there is 0.1755
    assert np.allclose(found[["lower", "upper"]] - c[:, None], [[-1.2816, 1.2816]], atol=4 * error)


def test_few_draws_promise_no_more_than_many(line):
    fitted, x = line
    c = np.zeros(4000)
    y = np.random.default_rng(1).normal(size=len(c))
    found = fitted.predict(x(c), level=0.9, n=19)  # the least and the largest of 19: 18 of 20 places are between
    assert abs(((y > found["lower"]) & (y < found["upper"])).mean() - 0.9) < 4 * (0.09 / len(c)) ** 0.5


def test_a_draw_depends_on_the_seed_its_row_and_its_number_alone(line):
    fitted, x = line
    rows = x(np.linspace(-1, 1, 2 * ROWS + 3))
    found = fitted.predict(rows, n=300)
    pd.testing.assert_frame_equal(found, fitted.predict(rows, n=300))
    pd.testing.assert_frame_equal(found.head(ROWS + 1), fitted.predict(rows[: ROWS + 1], n=300))
    assert not np.allclose(found["mean"], fitted.predict(rows, n=300, seed=1)["mean"], atol=1e-6)
    code = fitted.format.encode_context(rows[:ROWS])
    assert torch.equal(_draws(fitted, code, 300, 0, 0)[:40], _draws(fitted, code, 40, 0, 0))
    assert len(torch.unique(_draws(fitted, code, 300, 0, 0))) > 290 * ROWS


SMALL = {
    "maf": {"steps": 300, "transforms": 3, "hidden": [32, 32]},
    "nsf-ar": {"steps": 300, "transforms": 2, "hidden": [32, 32], "bins": 8},
    "made": {"steps": 600, "hidden": [32, 32]},
}


@pytest.mark.parametrize(("name", "options"), SMALL.items(), ids=SMALL.keys())
def test_intervals_hold_what_they_promise_and_densities_integrate(name, options):
    train, _ = wave(4000, 0)
    fitted = hexad.fit(name, hexad.load_data(train, context=["x", "kind"]), progress=False, **options)
    fresh_rows, width = wave(1000, 1)
    found = fitted.predict(fresh_rows, level=0.9, n=199)
    y = fresh_rows["y"]
    inside = (y > found["lower"]) & (y < found["upper"])
    assert abs(inside.mean() - 0.9) < 0.03 + 3 * (0.09 / len(y)) ** 0.5
    narrow = width < np.median(width)  # not by one width for all: then the wide rows would fall out
    assert abs(inside[narrow].mean() - inside[~narrow].mean()) < 0.12
    stated = fitted.log_likelihood(fresh_rows, context=fresh_rows)
    truth = -0.5 * ((y - np.sin(fresh_rows["x"])) / width) ** 2 - np.log(width) - 0.5 * np.log(2 * np.pi)
    behind = truth.to_numpy() - stated.value.numpy()
    assert -4 * behind.std() / len(y) ** 0.5 < behind.mean() < 0.15
    assert (stated.kind, stated.given) == ("exact", "x, kind")
    grid = np.linspace(-15, 15, 6001)
    for x, kind in ((-2.5, "calm"), (0.0, "rough"), (1.5, "calm")):
        density = np.exp(fitted.log_likelihood(grid[:, None], context=[x, kind]).value.numpy())
        assert abs(np.trapezoid(density, grid) - 1) < 2e-3


@pytest.mark.parametrize("name", ["nsf", "realnvp"])
def test_two_columns_given_two_integrate_to_one(name):
    frame, _ = wave(1000, 0)
    data = hexad.load_data(frame.assign(v=frame["y"] ** 2 + frame["x"]), context="x,kind")
    fitted = hexad.fit(name, data, steps=20, progress=False, transforms=2, hidden=[16], lr=2e-3)
    axis = np.linspace(-25, 25, 251)
    cells = pd.DataFrame(np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2), columns=["y", "v"])
    for context in ({"x": -1.0, "kind": "calm"}, {"x": 2.0, "kind": "rough"}):
        total = fitted.log_likelihood(cells, context=context).value.exp().sum() * (axis[1] - axis[0]) ** 2
        assert abs(float(total) - 1) < 2e-2
    names = [f"{column}_{what}" for column in ("y", "v") for what in ("mean", "lower", "upper")]
    assert list(fitted.predict(frame.head(3), n=50).columns) == names


def test_one_column_has_a_flow_and_a_coupling_names_those_that_can():
    data = hexad.load_data(wave(100, 0)[0], context="x,kind")
    chosen = {family: recipe for family, recipe, _ in first_choices(data.event)}
    assert chosen["flow"].name == "maf"
    assert chosen["flow"].conditional
    with pytest.raises(hexad.InputError, match=r"nsf needs at least 2 columns, not 1; .*maf, nsf-ar"):
        hexad.fit("nsf", data, steps=1)


@pytest.fixture
def run(command, tmp_path):
    """Return the folder of a small conditional run on a table, and the table."""
    frame = wave(200, 0)[0]
    frame.to_csv(tmp_path / "table.csv", index=False)
    argv = ("train", "made", tmp_path / "table.csv", "--steps", "5", "--set", "hidden=[8]", "--out", tmp_path / "run")
    assert command(*argv, "--data", "context=x,kind")[0] == 0
    return tmp_path / "run", frame


def test_the_command_reads_the_context_and_ignores_the_rest(command, run, tmp_path):
    folder, frame = run
    days = pd.date_range("2020-01-01", periods=9)[::-1].strftime("%Y-%m-%d")
    new = frame.head(9).assign(day=days, note="text", gap=np.nan)
    new[["day", "note", "gap", "kind", "x"]].to_csv(tmp_path / "new.csv", index=False)
    argv = ("predict", folder, tmp_path / "new.csv", "--level", "0.8", "--seed", "3", "-n", "60")
    status, out, err = command(*argv, "--out", tmp_path / "p.csv")
    assert (status, out) == (0, "")
    assert err == f"9 rows, 0.8 intervals: {tmp_path / 'p.csv'}\n"
    found = pd.read_csv(tmp_path / "p.csv")
    wanted = hexad.load(folder).predict(frame.head(9), 0.8, 60, 3)  # the file's dates run backwards, its rows do not
    pd.testing.assert_frame_equal(found, wanted)
    assert command(*argv, "--out", tmp_path / "p.npz")[0] == 0
    assert np.load(tmp_path / "p.npz")["x"].shape == (9, 3)


def test_a_run_of_several_columns_is_measured_and_sampled(command, run, tmp_path):
    folder, _ = run
    config = json.loads((folder / "config.json").read_text())
    assert config["data"]["given"] == "x, kind"
    stated = json.loads(command("evaluate", folder, "--json")[1])
    assert stated["log_likelihood"]["given"] == "x, kind"
    assert json.loads(command("evaluate", folder, tmp_path / "table.csv", "--json")[1])["n"] == 200
    for given in ('[1.5, "calm"]', '{"kind": "calm", "x": 1.5}'):
        argv = ("sample", folder, "-n", "3", "--seed", "1", "--context", given, "--out", tmp_path / "s.csv")
        assert command(*argv)[0] == 0
        fitted = hexad.load(folder)
        wanted = fitted.sample(3, seed=1, context=pd.DataFrame({"x": [1.5] * 3, "kind": "calm", "y": 0.0}))
        assert np.allclose(pd.read_csv(tmp_path / "s.csv")["y"], wanted["y"])
    data = hexad.load_data(tmp_path / "table.csv", context="x,kind")
    row = hexad.compare(data, models="made", steps=2, out=tmp_path / "cmp", progress=False).table.iloc[0]
    assert row["status"] == "done"


def test_a_run_of_one_column_is_written_as_it_always_was(command, run, tmp_path):
    argv = ("train", "made", tmp_path / "table.csv", "--steps", "2", "--set", "hidden=[8]", "--out", tmp_path / "one")
    assert command(*argv, "--data", "context=kind", "--data", "drop=x")[0] == 0
    data = json.loads((tmp_path / "one" / "config.json").read_text())["data"]
    form = {"name": "kind", "values": ["calm", "rough"], "mean": [], "std": []}
    assert data["format"]["context"] == form
    assert (data["given"], data["context_features"]) == ("kind", 2)
    assert data["source"]["options"] == {"context": "kind", "drop": ["x"]}
    assert len(hexad.load(tmp_path / "one").sample(2, context="calm")) == 2


WRONG = {
    "a missing column": (lambda f: f.drop(columns="kind"), (), "no column kind"),
    "a slip": (lambda f: f.rename(columns={"kind": "kin"}), (), "did you mean 'kin'"),
    "a gap": (lambda f: f.assign(x=f["x"].where(f.index != 2)), (), "x: missing or infinite values in rows 3"),
    "a new class": (lambda f: f.assign(kind="wild"), (), "unknown value 'wild'"),
    "level 0": (lambda f: f, ("--level", "0"), "level 0"),
    "level 1": (lambda f: f, ("--level", "1"), "level 1"),
    "few draws": (lambda f: f, ("-n", "18"), "from 19"),
    "a seed below 0": (lambda f: f, ("--seed", "-1"), "seed -1"),
}


@pytest.mark.parametrize(("change", "more", "words"), WRONG.values(), ids=WRONG.keys())
def test_wrong_predictions_are_one_line(change, more, words, command, run, tmp_path):
    change(run[1].head(5)).to_csv(tmp_path / "new.csv", index=False)
    argv = ("predict", run[0], tmp_path / "new.csv", "--out", tmp_path / "p.csv", *more)
    status, out, err = command(*argv)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert words in err
    assert not (tmp_path / "p.csv").exists()


def test_what_cannot_be_predicted_or_written_is_one_line(command, run, tmp_path):
    plain = tmp_path / "plain"
    assert command("train", "gaussian", tmp_path / "table.csv", "--data", "drop=kind", "--out", plain)[0] == 0
    for folder, data, out, words in (
        (plain, "table.csv", "p.csv", "unconditional"),
        (run[0], "none.csv", "p.csv", "no such file"),
        (run[0], "table.csv", "p.png", "png is for pictures"),
        (run[0], "table.csv", "none/p.csv", "does not exist"),
    ):
        status, printed, err = command("predict", folder, tmp_path / data, "--out", tmp_path / out)
        assert (status, printed, err.count("\n")) == (2, "", 1), err
        assert words in err


def test_help_imports_nothing_heavy():
    code = "import sys; from hexad.cli import main; main(['predict', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DATA" in done.stdout
    assert not {name.split(".")[0] for name in done.stderr.split()} & {*HEAVY} - {"pydantic"}
