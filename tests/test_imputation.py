"""Missing values: the laws that they are drawn from, and records that come back as they were given."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from exact import states
from hexad.autoregressive import MADE, NADE, EnsembleMADE
from hexad.baselines import ChowLiu, Gaussian, GaussianMixture, Independent
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.model import Imputer
from hexad.randomness import fork, stream

NAN = float("nan")


def law_of_missing(model, x):
    """Return all completions of one record of bits, and their exact probabilities given what is observed."""
    all_states = states(len(x))
    fits = ((all_states == x) | x.isnan()).all(1)
    log_p = model.log_prob(all_states[fits].to(model.dtype)).double().detach()
    return all_states[fits], torch.softmax(log_p, 0)


def frequencies(values, completions):
    return (values[:, None] == completions).all(2).double().mean(0)


def nade(order="natural"):
    with fork(1):
        model = NADE(Event.of(6, "binary"), 12, order)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return model.eval()


def made(order="natural"):
    with fork(2):
        model = MADE(Event.of(6, "binary"), (24,), order)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return model.eval()


def ensemble():
    first = made("random")
    with fork(3):
        return EnsembleMADE(first, [first.order.tolist(), *(torch.randperm(6).tolist() for _ in range(3))]).eval()


def tree():
    x = (torch.rand(400, 6, generator=stream(3)) < 0.5).double()
    x[:, 1], x[:, 4] = x[:, 0], 1 - x[:, 2]
    x = torch.where(torch.rand(400, 6, generator=stream(4)) < 0.2, 1 - x, x)
    model = ChowLiu(Event.of(6, "binary"))
    model.prepare(x)
    return model


@pytest.mark.parametrize("make", [nade, lambda: nade("random"), made, lambda: made("random"), ensemble, tree])
@pytest.mark.parametrize(
    "record", [[1, NAN, 0, NAN, 1, 1], [NAN, 1, NAN, 0, NAN, 1], [NAN, NAN, NAN, 1, 1, 0], [NAN] * 6]
)
def test_bits_are_drawn_from_the_enumerated_law(make, record):
    model, x = make(), torch.tensor(record)
    completions, law = law_of_missing(model, x)
    batch = x.expand(400, -1).to(model.dtype)
    values = model.impute(batch, draws=10, generator=stream(5)).values.flatten(0, 1)
    assert torch.equal(values[:, ~x.isnan()], x[~x.isnan()].expand(4000, -1).to(values))
    found = frequencies(values.double(), completions)
    # 4,000 draws, ten a record from one set of particles
    assert float((found - law).abs().sum()) < 0.15


def test_draws_are_exact_where_all_that_is_missing_comes_last():
    model = made()
    found = model.impute(torch.tensor([[1, 0, 1, NAN, NAN, NAN]]), generator=stream(6))
    assert float(found.effective) == pytest.approx(found.particles)
    hard = model.impute(torch.tensor([[NAN, NAN, NAN, 1, 0, 1]]), generator=stream(6))
    assert float(hard.effective) < 0.9 * hard.particles


def gaussian(dims=4):
    root = torch.randn(dims, dims, generator=stream(7)).double()
    model = Gaussian(Event.of(dims, "real"))
    model.mean.copy_(torch.arange(dims))
    model.factor.copy_(torch.linalg.cholesky(root @ root.T + 0.1 * torch.eye(dims)))
    return model


def test_a_gaussian_is_conditioned_by_its_precision():
    model, x = gaussian(), torch.tensor([[0.5, NAN, 1.0, NAN], [NAN, NAN, NAN, NAN], [1.0, 2.0, 3.0, 4.0]]).double()
    values = model.impute(x, draws=60_000, generator=stream(8)).values
    precision = torch.linalg.inv(model.factor @ model.factor.T)
    m, o = torch.tensor([1, 3]), torch.tensor([0, 2])
    covariance = torch.linalg.inv(precision[m][:, m])
    mean = model.mean[m] - covariance @ precision[m][:, o] @ (x[0, o] - model.mean[o])
    drawn = values[:, 0, m]
    assert torch.allclose(drawn.mean(0), mean, atol=4 * float(covariance.diagonal().max() / 60_000) ** 0.5)
    assert torch.allclose(torch.cov(drawn.T), covariance, rtol=0.03, atol=0.01 * float(covariance.max()))
    assert torch.equal(values[:, 0, o], x[0, o].expand(60_000, -1))
    assert torch.equal(values[:, 2], x[2].expand(60_000, -1))
    assert torch.allclose(torch.cov(values[:, 1].T), model.factor @ model.factor.T, rtol=0.05, atol=0.05)


def test_a_mixture_is_conditioned_as_quadrature_says():
    model = GaussianMixture(Event.of(2, "real"), 3)
    model.means.copy_(torch.tensor([[-2.0, 1], [0, -1], [2, 2]]))
    model.factors.copy_(torch.tensor([[[0.6, 0], [0.3, 0.4]], [[1.0, 0], [-0.5, 0.3]], [[0.5, 0], [0, 0.8]]]))
    x = torch.tensor([[0.7, NAN]]).double()
    grid = torch.linspace(-6, 6, 4001).double()
    density = model.log_prob(torch.stack([torch.full_like(grid, 0.7), grid], 1)).exp()
    density /= density.sum()
    drawn = model.impute(x, draws=40_000, generator=stream(9)).values[:, 0, 1]
    mean = float(density @ grid)
    spread = float(density @ (grid - mean).square()) ** 0.5
    assert float(drawn.mean()) == pytest.approx(mean, abs=4 * spread / 200)
    for level in (0.1, 0.5, 0.9):
        quantile = grid[int((density.cumsum(0) < level).sum())]
        assert float((drawn < quantile).double().mean()) == pytest.approx(level, abs=0.012)


def test_independent_columns_are_drawn_from_their_marginals():
    model = Independent(Event((2,), (Support("binary"), Support("ordinal", levels=3))))
    model.prepare(torch.tensor([[1, 0], [1, 2], [0, 2], [1, 2]]))
    values = model.impute(torch.tensor([[1, NAN]]).double(), draws=20_000, generator=stream(1)).values[:, 0]
    expected = model.log_mass[1].exp()
    assert torch.allclose(torch.bincount(values[:, 1].long(), minlength=3).double() / 20_000, expected, atol=0.015)
    assert (values[:, 0] == 1).all()


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    a = rng.normal(10, 2, 400).round(1)
    return pd.DataFrame({"a": a, "n": (3 * a).round().astype(int), "town": "x", "b": a - 7 + rng.normal(0, 0.3, 400)})


@pytest.fixture(scope="module")
def fitted(table):
    return hexad.fit("gaussian", hexad.load_data(table, drop=["town"]))


def test_no_rows_are_no_rows(table, fitted):
    done = fitted.impute(table.iloc[:0])
    assert list(done.data.columns) == list(table.columns)
    assert (len(done.data), done.cells) == (0, 0)


def test_a_frame_comes_back_as_it_was_with_the_gaps_filled(table, fitted):
    holes = table.astype({"n": float}).head(20)
    holes.loc[[2, 5], "n"] = np.nan
    holes.loc[[5, 7], "b"] = np.nan
    done = fitted.impute(holes, seed=1)
    assert (done.cells, done.rows, done.particles) == (4, 3, 0)
    assert "4 empty cells in 3 rows, drawn directly, without weights" in str(done)
    assert list(done.data.columns) == list(table.columns)
    assert done.data["n"].dtype == np.int64
    kept = holes.notna()
    assert (done.data.where(kept) == holes.where(kept)).where(kept, True).all(axis=None)
    # n is three times a, to the rounding
    assert (done.data["n"] - 3 * done.data["a"]).abs().max() < 4
    again = fitted.impute(holes, seed=1).data
    pd.testing.assert_frame_equal(done.data, again)
    assert not done.data["b"].equals(fitted.impute(holes, seed=2).data["b"])
    assert holes["n"].isna().sum() == 2  # what was given is not touched


def test_several_draws_differ_and_their_center_has_less_spread(table, fitted):
    holes = table.copy()
    holes["b"] = np.nan
    copies = fitted.impute(holes, draws=3).data
    assert len(copies) == 3
    assert not copies[0]["b"].equals(copies[1]["b"])
    center = fitted.impute(holes, fill="center").data
    assert (center["b"] - (table["a"] - 7)).std() < 0.12 < (copies[0]["b"] - (table["a"] - 7)).std()


def test_arrays_and_records_without_gaps():
    x = (np.random.default_rng(1).random((300, 5)) < 0.4).astype(np.uint8)
    run = hexad.fit("nade", x, steps=20)
    holes = x[:6].astype(float)
    assert np.array_equal(run.impute(holes).data, x[:6])
    assert str(run.impute(holes)) == "no empty cells"
    holes[0, [1, 3]] = np.nan
    done = run.impute(holes, draws=2)
    assert done.data[0].dtype == np.uint8
    assert done.effective.shape == (1,)
    assert "effective sample size" in str(done)
    assert isinstance(run.model, Imputer)


def test_wrong_input_is_one_line(table, fitted):
    with pytest.raises(InputError, match=r"vae does not impute; models that can: .*made"):
        hexad.fit("vae", hexad.load_data(table, drop=["town"]), steps=1).impute(table)
    with pytest.raises(InputError, match="no column n"):
        fitted.impute(table[["a", "b"]])
    with pytest.raises(InputError, match="did you mean 'center'"):
        fitted.impute(table, fill="centre")
    with pytest.raises(InputError, match="draws 0: expected a whole number of at least 1"):
        fitted.impute(table, draws=0)
    with pytest.raises(InputError, match=r"column a: 400 values are missing .* or infinite"):
        fitted.impute(table.assign(a=np.inf))


def test_from_the_command_line(table, tmp_path, command):
    table.drop(columns="town").to_csv(tmp_path / "t.csv", index=False)
    holes = table.astype({"n": float}).head(30)
    holes.loc[3, "n"] = np.nan
    holes.to_csv(tmp_path / "holes.csv", index=False)
    run, out = tmp_path / "run", tmp_path / "full.csv"
    assert command("train", "made", str(tmp_path / "t.csv"), "--out", str(run), "--steps", "30")[0] == 0
    status, _, err = command("impute", str(run), str(tmp_path / "holes.csv"), "--out", str(out))
    assert status == 2
    assert "unknown columns town" in err
    holes.drop(columns="town").to_csv(tmp_path / "holes.csv", index=False)
    status, _, err = command("impute", str(run), str(tmp_path / "holes.csv"), "--out", str(out))
    assert status == 0
    assert "1 empty cells in 1 rows" in err
    full = pd.read_csv(out)
    assert full.notna().all(axis=None)
    assert full["n"].dtype == np.int64
    status, _, err = command("impute", str(run), str(tmp_path / "holes.csv"), "--out", str(out), "--fill", "mean")
    assert status == 2
    assert err.count("\n") == 1
    pictures = np.random.default_rng(0).integers(0, 2, (60, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "p.npz", pictures)
    gaps = pictures[:3].astype(float)
    gaps[1, :2] = np.nan
    np.savez(tmp_path / "gaps.npz", gaps)
    options = ("--out", str(tmp_path / "nade"), "--steps", "5")
    assert command("train", "nade", str(tmp_path / "p.npz"), *options)[0] == 0
    out = tmp_path / "filled.npz"
    status, _, err = command("impute", str(tmp_path / "nade"), str(tmp_path / "gaps.npz"), "--out", str(out))
    assert status == 0, err
    filled = np.load(out)["x"]
    assert filled.dtype == np.uint8
    assert np.array_equal(filled[[0, 2]], pictures[[0, 2]])
    assert np.array_equal(filled[1, 2:], pictures[1, 2:])
    status, out, _ = command("models", "--json")
    can = {row["model"]: row["can"] for row in json.loads(out)["models"]}
    assert "impute" in can["made"]
    assert "impute" not in can["vae"]
