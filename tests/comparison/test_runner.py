"""A comparison: rows, failures, interruptions, and folders that are not its own."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hexad
from hexad.comparison import runner
from hexad.recipes import RECIPES

MODELS = "gaussian,resample,independent"


@pytest.fixture(scope="module")
def data() -> hexad.Data:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 1))
    return hexad.load_data(np.hstack([x, x + 0.3 * generator.normal(size=x.shape)]))


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a page without pictures: those have tests of their own, and take most of the time."""
    monkeypatch.setattr(runner, "write_report", lambda folder, *rest: (folder / "report.html").write_text("page"))


@pytest.fixture(scope="module")
def finished(data: hexad.Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished comparison, to be left as it is."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "write_report", lambda folder, *rest: (folder / "report.html").write_text("page"))
        run(data, folder)
    return folder


def run(data: hexad.Data, out: Path, models: Any = MODELS, **options: Any) -> hexad.Comparison:
    return hexad.compare(data, models=models, out=out, progress=False, **{"steps": 4, **options})


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def break_model(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Let a model's fit end in an error."""

    def build(event: hexad.Event) -> hexad.GenerativeModel:
        model = RECIPES_BEFORE[name].build(event)

        def prepare(x: Any, *, generator: Any = None) -> None:
            raise error

        monkeypatch.setattr(model, "prepare", prepare)
        return model

    monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], build=build))


RECIPES_BEFORE = dict(RECIPES)


def test_rows_table_and_files(data: hexad.Data, tmp_path: Path) -> None:
    result = run(data, tmp_path / "cmp", seeds=2)
    assert result.done
    assert result.report == tmp_path / "cmp" / "report.html"
    results = json.loads((tmp_path / "cmp" / "results.json").read_text())
    assert list(results) == ["hexad", "data", "budget", "models"]
    assert results["budget"] == {"steps": 4, "seeds": 2}
    assert [(row["model"], row["seed"]) for row in results["models"]] == [
        (name, seed) for name in MODELS.split(",") for seed in (0, 1)
    ]
    assert all((row["status"], row["reason"]) == ("done", None) for row in results["models"])
    assert result.table["model"].tolist()[0] == "gaussian"
    assert result.table["model"].tolist()[-1] == "resample"  # no likelihood: after those that have one
    assert result.table["behind"].iloc[0] == 0


def test_the_row_is_what_evaluate_says_of_the_run(data: hexad.Data, tmp_path: Path) -> None:
    run(data, tmp_path, "gaussian")
    row = json.loads((tmp_path / "results.json").read_text())["models"][0]
    again = hexad.evaluate(hexad.load(tmp_path / "models" / "gaussian-seed0"), data)
    assert {key: row[key] for key in again if key != "cost"} == {k: v for k, v in again.items() if k != "cost"}


def test_by_default_every_family_has_a_row(data: hexad.Data) -> None:
    entries = runner._entries(data, None, 1)
    assert {entry.family for entry in entries} == {
        "energy", "vae", "gan", "autoregressive", "flow", "diffusion", "baseline"
    }  # fmt: skip


def test_a_family_without_a_model_is_a_row_with_its_reason(
    data: hexad.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("flow", None, "no flow takes this"), ("baseline", RECIPES["gaussian"], "")]
    monkeypatch.setattr(runner, "first_choices", lambda event: rows)
    run(data, tmp_path, None)
    flow, gaussian = json.loads((tmp_path / "results.json").read_text())["models"]
    assert (flow["model"], flow["family"], flow["status"], flow["reason"]) == (
        None, "flow", "failed", "no flow takes this"
    )  # fmt: skip
    assert gaussian["status"] == "done"


def test_a_model_that_fails_is_a_row_and_the_others_go_on(
    data: hexad.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_model(monkeypatch, "gaussian", RuntimeError("boom <b>\nhere"))
    table = run(data, tmp_path).table.set_index("model")
    assert table["status"].to_dict() == {"gaussian": "failed", "resample": "done", "independent": "done"}
    assert table.loc["gaussian", "reason"] == "boom <b> here"


def test_conditional_models_are_given_the_context_of_the_test_records(tmp_path: Path) -> None:
    digits = hexad.load_data("digits", context="label")
    assert run(digits, tmp_path, "realnvp", steps=2).table["status"].tolist() == ["done"]
    row = json.loads((tmp_path / "results.json").read_text())["models"][0]
    assert row["log_likelihood"]["given"] == "label"


def test_no_model_done_is_told(data: hexad.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_model(monkeypatch, "gaussian", RuntimeError("boom"))
    assert not run(data, tmp_path, "gaussian").done


def test_a_full_disk_is_no_failure_of_the_model(
    data: hexad.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_model(monkeypatch, "gaussian", OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space"):
        run(data, tmp_path)


def test_a_finished_comparison_is_recognised(
    data: hexad.Data, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(finished)
    result = hexad.compare(data, models=MODELS, out=finished, steps=4)
    assert contents(finished) == before
    rows = json.loads((finished / "results.json").read_text())["models"]
    stated = {row["model"]: (row["log_likelihood"] or {}).get("nats") for row in rows}
    shown = result.table.set_index("model")["nats"].to_dict()
    assert {name: None if np.isnan(value) else value for name, value in shown.items()} == stated
    assert "finished" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["evaluation.json", "evaluation.safetensors"])
def test_a_damaged_measurement_is_told_before_anything_is_written(
    name: str, data: hexad.Data, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished, tmp_path / "cmp")
    path = tmp_path / "cmp" / "models" / "independent-seed0" / name
    path.write_bytes(path.read_bytes().replace(b"exact", b"exalt", 1))
    before = contents(tmp_path / "cmp")
    with pytest.raises(hexad.InputError, match="not as they were written"):
        run(data, tmp_path / "cmp")
    assert contents(tmp_path / "cmp") == before


def test_damaged_results_are_written_again(data: hexad.Data, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "cmp")
    (tmp_path / "cmp" / "results.json").write_text("{")
    run(data, tmp_path / "cmp")
    assert (tmp_path / "cmp" / "results.json").read_bytes() == (finished / "results.json").read_bytes()


@pytest.mark.parametrize(
    ("place", "is_folder"), [("report.html", True), ("models", False), ("models/gaussian-seed0", False)]
)
def test_what_stands_in_the_way_is_told_first(place: str, is_folder: bool, data: hexad.Data, tmp_path: Path) -> None:
    run(data, tmp_path / "cmp", "gaussian")
    path = tmp_path / "cmp" / place
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.mkdir() if is_folder else path.write_text("a file")
    with pytest.raises(hexad.InputError, match=r"report\.html|no folder|is a file"):
        run(data, tmp_path / "cmp", "gaussian")


def test_an_interrupted_comparison_continues_where_it_stopped(
    data: hexad.Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        break_model(patched, "resample", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path)
    assert [row["model"] for row in json.loads((tmp_path / "results.json").read_text())["models"]] == ["gaussian"]
    assert not (tmp_path / "report.html").exists()
    before = contents(tmp_path / "models" / "gaussian-seed0")
    assert run(data, tmp_path).table["status"].tolist() == ["done"] * 3
    assert contents(tmp_path / "models" / "gaussian-seed0") == before


@pytest.mark.parametrize(
    ("change", "key"),
    [({"steps": 5}, "budget"), ({"seeds": 2}, "seeds"), ({"models": "gaussian"}, "models")],
)
def test_other_settings_on_the_same_folder_are_refused(
    data: hexad.Data, finished: Path, change: dict[str, Any], key: str
) -> None:
    before = contents(finished)
    with pytest.raises(hexad.InputError, match=f"another {key}"):
        run(data, finished, **change)
    assert contents(finished) == before


def test_other_data_on_the_same_folder_are_refused(finished: Path) -> None:
    other = hexad.load_data(np.random.default_rng(1).normal(size=(400, 2)))
    with pytest.raises(hexad.InputError, match="another fingerprint"):
        run(other, finished)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": "gausian"}, "did you mean 'gaussian'"),
        ({"models": "gaussian,gaussian"}, "each once"),
        ({"models": "gaussian,rbm"}, "rbm takes"),
        ({"models": ""}, "unknown model"),
        ({"seeds": 0}, "seeds 0"),
        ({"steps": -1}, "steps -1"),
        ({"time": "1s"}, "not both"),
        ({"device": "nothing"}, "device 'nothing'"),
    ],
)
def test_wrong_input_writes_nothing(data: hexad.Data, tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(hexad.InputError, match=words):
        run(data, tmp_path / "cmp", **options)
    assert not (tmp_path / "cmp").exists()


def test_a_folder_with_other_files_is_left_alone(data: hexad.Data, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(hexad.InputError, match="holds other files"):
        run(data, tmp_path)
    with pytest.raises(hexad.InputError, match="is a file"):
        run(data, tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
