"""The command line, in one process through ``main(argv)``: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import hexad
from hexad.comparison import forecast_frame

HEAVY = ("torch", "numpy", "pandas", "sklearn", "matplotlib", "pydantic", "scipy")


@pytest.fixture
def table(tmp_path):
    """Write a small numeric table, and return its path."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"width": rng.normal(5, 1, 200).round(1), "count": rng.integers(0, 9, 200)})
    frame["height"] = frame["width"] * 2 + rng.normal(0, 0.3, 200)
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_help_imports_nothing_heavy():
    code = "import sys; from hexad.cli import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0].strip("'[] ") for name in done.stderr.split(",")}
    assert "compare" in done.stdout
    assert not loaded & set(HEAVY)


def test_training_starts_without_what_only_some_models_and_measures_need():
    code = "import sys, hexad.fitted; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"sklearn", "scipy", "pandas", "matplotlib", "sympy"} & {*loaded}  # seconds, of every command


def test_models_and_data_print_one_json_object(command):
    status, out, _ = command("models", "--json")
    rows = {row["model"]: row for row in json.loads(out)["models"]}
    assert status == 0
    assert set(rows["realnvp"]) == {"model", "family", "takes", "can", "options"}
    options = {"transforms": None, "hidden": None, "base": "normal", "dequantise": None, "multiscale": False}
    assert rows["realnvp"]["options"] == options
    assert rows["ar"]["takes"] == ["series"]
    status, out, _ = command("data", "--json")
    assert status == 0
    assert set(json.loads(out)) == {"data", "forms"}
    assert "digits" in [row["name"] for row in json.loads(out)["data"]]


def test_a_table_from_training_to_samples(command, table, tmp_path):
    run = tmp_path / "run"
    status, out, err = command("train", "realnvp", table, "--out", run, "--steps", "20", "--set", "hidden=[16,16]")
    assert (status, out) == (0, "")
    assert "step" in err
    names = {"config.json", "metrics.jsonl", "model.safetensors", "state.safetensors"}
    assert {path.name for path in run.iterdir()} == names
    assert command("sample", run, "-n", "7", "--out", tmp_path / "s.csv", "--seed", "1")[0] == 0
    frame = pd.read_csv(tmp_path / "s.csv")
    assert list(frame.columns) == ["width", "count", "height"]
    assert len(frame) == 7
    assert frame["count"].dtype == np.int64
    assert np.allclose(frame["width"] * 10, (frame["width"] * 10).round())
    first = command("evaluate", run, "--json")
    assert first[0] == 0
    result = json.loads(first[1])
    assert set(result) == {
        "model", "family", "data", "split", "n", "dims", "log_likelihood", "log_likelihood_why", "metrics", "cost",
    }  # fmt: skip
    assert set(result["log_likelihood"]) == {
        "kind", "nats", "stderr", "estimator_stderr", "low", "high", "confidence", "bits_per_dim", "measure", "given",
        "protocol",
    }  # fmt: skip
    assert result["log_likelihood"]["measure"] == "mixed"
    assert result["n"] == 40
    second = json.loads(command("evaluate", run, "--json")[1])
    assert second["log_likelihood"] == result["log_likelihood"]
    assert second["metrics"] == result["metrics"]
    assert command("evaluate", run, table)[0] == 0


def test_a_finished_run_resumes_to_itself_and_may_be_raised(command, table, tmp_path):
    run = tmp_path / "run"
    base = ("train", "realnvp", table, "--out", run, "--set", "hidden=[8,8]", "--set", "transforms=2")
    assert command(*base, "--steps", "5")[0] == 0
    weights = (run / "model.safetensors").read_bytes()
    status, _, err = command(*base, "--steps", "5", "--resume")
    assert status == 0
    assert "finished" in err
    assert (run / "model.safetensors").read_bytes() == weights
    assert command(*base, "--steps", "9", "--resume")[0] == 0
    status, _, err = command(*base, "--steps", "9", "--resume", "--seed", "3")
    assert status == 2
    assert "seed" in err


def test_forecast_follows_the_data(command, tmp_path):
    dates = pd.date_range("2000-01-01", periods=120, freq="MS").strftime("%Y-%m")
    values = np.sin(np.arange(120) / 4) + np.random.default_rng(0).normal(0, 0.1, 120)
    pd.DataFrame({"month": dates, "level": values.round(3)}).to_csv(tmp_path / "s.csv", index=False)
    run = tmp_path / "run"
    assert command("train", "ar", tmp_path / "s.csv", "--out", run, "--set", "order=4")[0] == 0
    out, picture = tmp_path / "f.csv", tmp_path / "f.png"
    status, _, err = command("forecast", run, "--steps", "6", "--out", out, "--plot", picture)
    assert status == 0
    assert "refitted" in err
    frame = pd.read_csv(out)
    assert list(frame.columns) == ["time", "mean", "lower", "upper"]
    assert list(frame["time"]) == ["2010-01", "2010-02", "2010-03", "2010-04", "2010-05", "2010-06"]
    assert (frame["lower"] < frame["mean"]).all()
    with Image.open(picture) as image:
        assert image.size[0] > 300
    _refused(command, "100,000", tmp_path / "g.csv", "forecast", run, "--steps", "1000000000")
    grown = pd.DataFrame({"month": [*dates, "2010-01"], "level": [*values.round(3), 0.5]})
    grown.to_csv(tmp_path / "grown.csv", index=False)
    assert command("forecast", run, tmp_path / "grown.csv", "--steps", "2", "--out", out)[0] == 0
    ahead = pd.read_csv(out)
    assert list(ahead["time"]) == ["2010-02", "2010-03"]
    refitted = hexad.fit("ar", tmp_path / "grown.csv", order=4, progress=False)
    expected = forecast_frame(refitted, hexad.load_data(tmp_path / "grown.csv"), 2)[0]
    pd.testing.assert_frame_equal(ahead, expected)
    other = tmp_path / "other.csv"
    grown.rename(columns={"level": "height"}).to_csv(other, index=False)
    words = "other is a series of height; expected a series of level"
    _refused(command, words, tmp_path / "g.csv", "forecast", run, other, "--steps", "2")
    grown.to_csv(tmp_path / "s.csv", index=False)
    _refused(command, "have changed since; give DATA", tmp_path / "g.csv", "forecast", run, "--steps", "2")
    (tmp_path / "p.png").mkdir()
    _refused(command, "is a folder", tmp_path / "g.csv", "forecast", run, "--steps", "3", "--plot", tmp_path / "p.png")


def test_a_summary_is_printed(command, table, tmp_path):
    values = np.cumsum(np.random.default_rng(0).normal(size=(90, 2)), 0).round(3)
    pd.DataFrame(values, columns=["bread", "milk"]).to_csv(tmp_path / "s.csv", index=False)
    run = tmp_path / "run"
    assert (
        command("train", "ar", tmp_path / "s.csv", "--out", run, "--set", "order=1", "--data", "layout=series")[0] == 0
    )
    status, out, _ = command("summary", run)
    assert status == 0
    for word in ("AR(1) of bread", "bread.L1", "AR(1) of milk", "std err", "AIC, BIC, HQIC", "log-likelihood"):
        assert word in out
    other = tmp_path / "other"
    assert command("train", "gaussian", table, "--out", other)[0] == 0
    status, out, err = command("summary", other)
    assert (status, out) == (2, "")
    assert err.strip().endswith("summary: gaussian has no table of coefficients; models that have one: ar, var")


# -- what the user may get wrong: exit 2, one line, nothing written --------------------------------------------------


def _numbers(rows: int = 60, columns: int = 3) -> pd.DataFrame:
    values = np.random.default_rng(1).normal(size=(rows, columns))
    return pd.DataFrame(values, columns=[f"c{i}" for i in range(columns)])


def _text_columns(path):
    _numbers().assign(city="Basel").to_csv(path / "d.csv", index=False)
    return path / "d.csv"


def _ragged(path):
    (path / "d.csv").write_text("a,b\n" + "1,2\n" * 30 + "1,2,3\n")
    return path / "d.csv"


def _missing_values(path):
    frame = _numbers()
    frame.loc[3, "c1"] = np.nan
    frame.to_csv(path / "d.csv", index=False)
    return path / "d.csv"


def _infinite(path):
    np.save(
        path / "d.npy", np.where(np.arange(90).reshape(30, 3) == 7, np.inf, np.random.default_rng(0).random((30, 3)))
    )
    return path / "d.npy"


def _few_rows(path):
    _numbers(10).to_csv(path / "d.csv", index=False)
    return path / "d.csv"


def _constant(path):
    _numbers().assign(flat=1.5).to_csv(path / "d.csv", index=False)
    return path / "d.csv"


def _duplicated(path):
    frame = _numbers()
    frame.assign(again=frame["c0"]).to_csv(path / "d.csv", index=False)
    return path / "d.csv"


def _empty(path):
    (path / "d.csv").write_text("")
    return path / "d.csv"


def _mixed_sizes(path):
    for i in range(24):
        Image.new("L", (8, 8 + i % 2)).save(path / f"{i}.png")
    return path


def _corrupt_png(path):
    for i in range(24):
        Image.new("L", (8, 8), i).save(path / f"{i}.png")
    (path / "3.png").write_bytes((path / "3.png").read_bytes()[:40])
    return path


def _truncated_gz(path):
    _numbers().to_csv(path / "d.csv.gz", index=False)
    content = (path / "d.csv.gz").read_bytes()
    (path / "d.csv.gz").write_bytes(content[: len(content) // 2])
    return path / "d.csv.gz"


BAD_DATA = [
    (lambda path: path / "nowhere.csv", "nowhere.csv"),
    (_empty, "empty"),
    (_text_columns, "city"),
    (_ragged, "32"),
    (_missing_values, "c1"),
    (_infinite, "infinite"),
    (_few_rows, "10 rows"),
    (_constant, "flat"),
    (_duplicated, "again"),
    (_mixed_sizes, "resize"),
    (_corrupt_png, "3.png"),
    (_truncated_gz, "d.csv.gz"),
]


@pytest.mark.parametrize(("make", "words"), BAD_DATA, ids=[make.__name__.strip("_<>") for make, _ in BAD_DATA])
def test_bad_data_is_one_line(make, words, command, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    _refused(command, words, tmp_path / "out", "train", "realnvp", make(folder), "--steps", "1")


BAD_ARGUMENTS = [
    (("train", "relnvp", "digits"), "did you mean 'realnvp'"),
    (("train", "realnvp", "digts"), "digits"),
    (("train", "realnvp", "digits", "--set", "hiden=[3]"), "did you mean 'hidden'"),
    (("train", "realnvp", "digits", "--set", "hidden=wide"), "hidden"),
    (("train", "realnvp", "digits", "--set", "transforms=0"), "transforms"),
    (("train", "realnvp", "digits", "--set", "lr=-1"), "lr"),
    (("train", "realnvp", "digits", "--set", "lr"), "key=value"),
    (("train", "gan", "digits", "--set", "compile=true"), "differentiates"),
    (("train", "realnvp", "digits", "--set", "schedule=cosin"), "schedule"),
    (("train", "realnvp", "digits", "--data", "level=3"), "did you mean 'levels'"),
    (("train", "realnvp", "digits", "--data", "support=reel"), "support"),
    (("train", "ddpm", "tree"), "nade"),
    (("train", "nade", "digits"), "made"),
    (("train", "ar", "digits"), "series"),
    (
        ("train", "made", "digits", "--set", "order=[0,0,1]"),
        "order: expected natural, random or a permutation of 0 to 63, got [0, 0, 1]",
    ),
    (("train", "nade", "tree", "--set", "order=natral"), "option order='natral' of nade"),
    (("train", "eonade", "tree", "--set", "orders=0"), "orders"),
    (("train", "realnvp", "digits", "--time", "0"), "time"),
    (("train", "realnvp", "digits", "--time", "-3"), "time"),
    (("train", "realnvp", "digits", "--steps", "0"), "steps"),
    (("train", "realnvp", "digits", "--steps", "-5"), "steps"),
    (("train", "realnvp", "digits", "--steps", "5", "--time", "5s"), "not both"),
    (("train", "realnvp", "digits", "--seed", "-1"), "seed"),
    (("train", "realnvp", "digits", "--device", "abacus"), "abacus"),
    (("compare", "digits", "--models", "realnvp,mode"), "did you mean"),
    (("compare", "digits", "--seeds", "0"), "seeds"),
    (("trian",), "train"),
    (("train", "ar", "ar2", "--set", "order=5000"), "of at most 2000"),
    (("train", "ar", "ar2", "--set", "period=50000"), "too few"),
    (("train", "realnvp", "digits", "--data", "source=x"), "unknown data option 'source'"),
    (("train", "independent", "digits", "--data", "levels=99999999999"), "65536"),
    (("train", "realnvp", ""), "expected a name or a path"),
    (("train", "realnvp", "no\nsuch.csv"), "no such.csv"),
]


@pytest.mark.parametrize(("argv", "words"), BAD_ARGUMENTS, ids=[" ".join(argv) for argv, _ in BAD_ARGUMENTS])
def test_bad_arguments_are_one_line(argv, words, command, tmp_path):
    if argv[0] == "trian":
        status, out, err = command(*argv)
        assert (status, out, err.count("\n")) == (2, "", 1)
        return
    _refused(command, words, tmp_path / "out", *argv)


def test_a_message_quotes_no_more_than_can_be_read(command, tmp_path):
    argv = ("train", "realnvp", "digits", "--set", "lr=" + "9" * 5000, "--out", tmp_path / "out")
    status, _, err = command(*argv)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("hexad: option lr=")
    assert len(err) < 1100


def test_too_many_samples_are_one_line(command, table, tmp_path):
    assert command("train", "gaussian", table, "--out", tmp_path / "run")[0] == 0
    status, _, err = command("sample", tmp_path / "run", "-n", str(10**12), "--out", tmp_path / "s.csv")
    assert (status, err.count("\n")) == (2, 1)
    assert "at most 333,333,333 records" in err
    assert not (tmp_path / "s.csv").exists()


def test_a_place_that_may_not_be_read_is_one_line(command, tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    status, _, err = command("evaluate", tmp_path / "run")
    assert (status, err.count("\n")) == (2, 1)
    assert "run: permission denied" in err


def test_an_output_that_cannot_be_written_to_is_one_line(command, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    wrong = (tmp_path / "nowhere", tmp_path / "loop", tmp_path / "loop" / "run", tmp_path / ("x" * 300))
    for out in (tmp_path / "file", tmp_path / "file" / "run", "", *wrong):
        for argv in (("train", "made", "tree", "--steps", "1"), ("compare", "tree", "--steps", "1")):
            status, printed, err = command(*argv, "--out", out)
            assert (status, printed, err.count("\n")) == (2, "", 1), err
    assert (tmp_path / "file").read_text() == "kept"


def _refused(command, words, out, *argv):
    status, printed, err = command(*argv, "--out", out)
    assert status == 2, err
    assert printed == ""
    assert err.startswith("hexad: ")
    assert err.count("\n") == 1
    assert words in err
    assert not out.exists()
