"""One model measured: the object of ``evaluate --json``, and the records that it is measured on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hexad
from hexad.comparison import describe_evaluation, evaluate
from hexad.comparison.evaluation import Records, _windows, finite, measure


@pytest.fixture(scope="module")
def pairs() -> np.ndarray:
    """Two columns that belong together: x, and x with a little noise."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1500, 1))
    return np.hstack([x, x + 0.1 * generator.normal(size=x.shape)])


@pytest.fixture(scope="module")
def saved(pairs: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a file of data and the folder of a run on it."""
    folder = tmp_path_factory.mktemp("saved")
    np.save(folder / "pairs.npy", pairs)
    hexad.fit("gaussian", folder / "pairs.npy", out=folder / "run", progress=False)
    return folder / "pairs.npy", folder / "run"


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "cost"}


def test_the_object_is_that_of_the_design(saved: tuple[Path, Path]) -> None:
    row = evaluate(hexad.load(saved[1]))
    assert list(row) == [
        "model", "family", "data", "split", "n", "dims", "log_likelihood", "log_likelihood_why", "metrics", "cost"
    ]  # fmt: skip
    assert list(row["log_likelihood"]) == [
        "kind", "nats", "stderr", "estimator_stderr", "low", "high", "confidence", "bits_per_dim", "measure", "given",
        "protocol",
    ]  # fmt: skip
    assert list(row["metrics"]) == ["mmd2", "c2st", "precision", "recall", "density", "coverage", "copies"]
    assert list(row["metrics"]["mmd2"]) == ["value", "floor", "baseline", "better", "p_value", "why"]
    assert list(row["cost"]) == ["train_seconds", "sample_seconds_per_1000", "parameters"]
    assert (row["model"], row["family"], row["data"], row["split"], row["n"]) == (
        "gaussian", "baseline", "pairs", "test", 300
    )  # fmt: skip
    json.dumps(row, allow_nan=False)
    assert "log-likelihood" in describe_evaluation(row)


def test_a_gaussian_gets_the_density_of_its_own_closed_form(pairs: np.ndarray) -> None:
    data = hexad.load_data(pairs)
    fitted = hexad.fit("gaussian", data, progress=False)
    train, test = np.asarray(data.train), np.asarray(data.test)
    law = torch.distributions.MultivariateNormal(
        torch.from_numpy(train.mean(0)), torch.from_numpy(np.cov(train.T, bias=True))
    )
    expected = float(law.log_prob(torch.from_numpy(test)).mean())
    assert evaluate(fitted, data)["log_likelihood"]["nats"] == pytest.approx(expected, abs=0.02)


def test_twice_the_same_answer_and_another_seed_another(saved: tuple[Path, Path]) -> None:
    fitted = hexad.load(saved[1])
    assert timeless(evaluate(fitted)) == timeless(evaluate(fitted))
    assert evaluate(fitted)["metrics"] != evaluate(fitted, seed=1)["metrics"]


def test_a_good_model_lies_at_the_floor_and_shuffled_columns_do_not(saved: tuple[Path, Path]) -> None:
    metric = evaluate(hexad.load(saved[1]))["metrics"]["mmd2"]
    assert abs(metric["floor"]) < 0.01
    assert metric["baseline"] > 0.03
    assert metric["value"] < metric["baseline"] / 3


def test_a_file_is_scored_whole_and_a_split_where_it_comes_with_one(saved: tuple[Path, Path], tmp_path: Path) -> None:
    fitted = hexad.load(saved[1])
    assert (evaluate(fitted, saved[0])["n"], evaluate(fitted, saved[0])["split"]) == (1500, "all")
    x = np.load(saved[0])
    np.savez(tmp_path / "parts.npz", train=x[:1000], valid=x[1000:1200], test=x[1200:])
    assert (evaluate(fitted, tmp_path / "parts.npz")["n"], evaluate(fitted, x[:7])["n"]) == (300, 7)


def test_data_that_changed_or_are_gone_are_one_line(pairs: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", pairs)
    fitted = hexad.fit("gaussian", tmp_path / "x.npy", out=tmp_path / "run", progress=False)
    np.save(tmp_path / "x.npy", pairs + 1)
    with pytest.raises(hexad.InputError, match="have changed since"):
        evaluate(fitted)
    (tmp_path / "x.npy").unlink()
    with pytest.raises(hexad.InputError, match="cannot be read again"):
        evaluate(fitted)
    assert evaluate(fitted, pairs)["metrics"]["mmd2"]["floor"] is None  # no training records: no floor
    with pytest.raises(hexad.InputError, match="in memory"):
        evaluate(hexad.fit("gaussian", pairs, progress=False))


def test_a_model_without_likelihood_says_why(pairs: np.ndarray) -> None:
    data = hexad.load_data(pairs)
    row = evaluate(hexad.fit("resample", data, progress=False), data)
    assert row["log_likelihood"] is None
    assert row["log_likelihood_why"]


def test_a_record_of_no_finite_density_is_named(pairs: np.ndarray) -> None:
    fitted = hexad.fit("gaussian", hexad.load_data(pairs), progress=False)
    far = np.array(pairs[:30], dtype=float)
    assert evaluate(fitted, far)["log_likelihood_why"] is None
    far[[6, 11]] = 1e300
    row = evaluate(fitted, far)
    assert row["log_likelihood"]["nats"] is None
    words = "log p is -inf of record 7 and 1 more of 30 (the first is 1)"
    assert row["log_likelihood_why"].startswith(words)
    assert f"log-likelihood: not finite, {words}" in describe_evaluation(row)


def test_caps_take_records_by_their_number_and_the_start_of_a_series() -> None:
    x = torch.arange(100.0)[:, None]
    records = Records(x, {"number": np.arange(100)}, "x", "test", None)
    chosen = records.capped(10, in_order=False)
    assert chosen.x[:, 0].tolist() == list(chosen.context["number"])
    assert chosen.x[:, 0].tolist() != list(range(10))
    assert records.capped(10, in_order=True).x[:, 0].tolist() == list(range(10))
    assert records.capped(100, in_order=False) is records


def test_the_cap_is_stated(pairs: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hexad.comparison.evaluation.SCORED", 50)
    data = hexad.load_data(pairs)
    row = measure(hexad.fit("gaussian", data, progress=False), Records.of(data)).row
    assert row["n"] == 50
    assert row["log_likelihood"]["protocol"].endswith("50 of 300 records")


def test_windows_keep_the_order_of_a_series() -> None:
    rows = torch.arange(40.0).reshape(20, 2)
    windows = _windows(rows, True)
    assert windows.shape == (13, 16)
    assert sorted(windows[3].tolist()) == list(map(float, range(6, 22)))
    assert _windows(rows, False) is rows
    assert _windows(rows, True, rows=12).shape == (15, 12)  # as wide as those of the shorter one


def test_a_short_series_is_measured() -> None:
    x = np.sin(np.arange(60) / 4)[:, None] + np.random.default_rng(0).normal(0, 0.2, (60, 1))
    data = hexad.load_data(x, layout="series")
    row = measure(hexad.fit("ar", data, progress=False), Records.of(data)).row
    assert row["n"] == 12
    assert math.isfinite(row["metrics"]["mmd2"]["floor"])


def test_what_is_not_finite_is_null() -> None:
    assert finite({"a": [math.nan, 1.0, {"b": math.inf}]}) == {"a": [None, 1.0, {"b": None}]}
