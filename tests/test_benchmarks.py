"""The commands that measure: they list, they run without peers, and one writer keeps what others measured."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hexad
from benchmarks import results
from benchmarks.speed.__main__ import main
from benchmarks.speed.contest import TASKS, Contest, run
from hexad.autoregressive import AR
from hexad.event import Event
from hexad.randomness import stream

SPEED: dict[str, Any] = {
    "protocol": "a step",
    "ours": 2.0,
    "peer": None,
    "bare": 1.9,
    "unit": "ms per step",
    "ratio_peer": None,
    "ratio_bare": 2.0 / 1.9,
    "repeats": 3,
    "threads": 1,
    "command": "python -m benchmarks.speed a|b",
}


def _rows(page: str, title: str) -> list[list[str]]:
    """Return the cells of a section's table, its heading first."""
    text = page.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in row.replace(r"\|", "/").strip("|").split("|")] for row in rows]


def test_a_row_is_written_and_others_are_kept(tmp_path: Path) -> None:
    results.record("robustness", "kills", {"figure": "0 of 100 lost", "command": "kills.py"}, folder=tmp_path)
    results.record("speed", "first", SPEED, folder=tmp_path)
    results.record("speed", "second", SPEED | {"peer": 3.0, "ratio_peer": 1.5}, folder=tmp_path)
    results.record("speed", "first", SPEED | {"ours": 2.5}, folder=tmp_path)

    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {"robustness", "speed"}
    assert list(kept["speed"]) == ["first", "second"]
    assert kept["speed"]["first"]["ours"] == 2.5
    assert kept["speed"]["first"]["hexad"]

    page = (tmp_path / "RESULTS.md").read_text()
    heading, first, second = _rows(page, "Speed")
    assert heading[:2] == ["name", "what"]
    assert {"peer / ours", "ours / bare", "threads", "machine", "command"} <= set(heading)
    assert len(heading) == len(first) == len(second)
    assert first[heading.index("ours / bare")] == "1.05"
    assert (first[heading.index("peer / ours")], second[heading.index("peer / ours")]) == ("", "1.5")
    assert [row[1] for row in _rows(page, "Robustness")] == ["figure", "0 of 100 lost"]
    assert "## Published numbers" not in page


def test_there_is_no_other_section(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one of published, speed, tables, forecasting, robustness"):
        results.record("pace", "first", SPEED, folder=tmp_path)


def test_the_committed_page_is_that_of_the_committed_rows(tmp_path: Path) -> None:
    folder = Path(results.__file__).parent
    rows = json.loads((folder / "results.json").read_text())
    section, name = next((section, name) for section in rows for name in rows[section])
    (tmp_path / "results.json").write_text(json.dumps(rows))
    results.record(section, name, rows[section][name], folder=tmp_path)
    assert (tmp_path / "RESULTS.md").read_text() == (folder / "RESULTS.md").read_text()


def test_tasks_are_listed_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["LIST"]) == 0
    listed = capsys.readouterr().out.split()
    assert listed == list(TASKS)
    assert {f"train-{name}" for name in ("rbm", "ebm", "vae", "gan", "made", "nade", "realnvp", "ddpm")} <= set(listed)
    assert main(["train-nothing"]) == 2
    assert "train-nothing" in capsys.readouterr().err


def test_a_task_runs_without_its_peer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    assert main(["realnvp-density-zuko", "train-rbm-small", "--smoke"]) == 0
    printed = capsys.readouterr()
    density, training = (json.loads(line) for line in printed.out.splitlines())
    assert density["ours"] > 0
    assert density["peer"] is density["ratio_peer"] is None
    assert next(line for line in printed.err.splitlines() if "zuko" in line).startswith("no peer: zuko")
    assert training["ratio_bare"] == pytest.approx(training["ours"] / training["bare"])
    assert (training["unit"], training["repeats"], training["threads"]) == ("ms per step", 1, 1)


def test_compiled_flows_are_measured_beside_a_bare_loop(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["maf-step-d6-compiled", "maf-density-d6-compiled", "nsf-ar-sampling-d21-compiled"]
    assert main([*names, "--smoke"]) == 0  # small, so that nothing is compiled
    step, density, sampling = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert step["ratio_bare"] == pytest.approx(step["ours"] / step["bare"])
    assert density["ours"] > 0
    assert density["bare"] is None
    assert sampling["ours"] > 0


def test_figures_are_medians_of_turns_taken_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def side(name: str, seconds: list[float]) -> Any:
        left = iter([9.0, *seconds])  # the first turn does not count
        return lambda: turns.append(name) or next(left)

    contest = Contest(
        "a step",
        side("ours", [1, 2, 6]),
        side("peer", [4, 4, 1]),
        side("bare", [1, 1, 5]),
        count=2,
        unit="s",
        repeats=3,
    )
    monkeypatch.setitem(TASKS, "made-up", lambda small: contest)
    row = run("made-up")
    assert turns == ["ours", "peer", "bare"] * 4
    assert (row["ours"], row["peer"], row["bare"]) == (1.0, 2.0, 0.5)
    assert (row["ratio_peer"], row["ratio_bare"]) == (2.0, 2.0)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the command, whose table kin8nm is a small one made here, and whose rows go into a folder of their own."""
    monkeypatch.syspath_prepend(Path(results.__file__).parent)
    module = __import__("tables")
    table = np.random.default_rng(0).normal(size=(120, 3)) @ np.triu(np.ones((3, 3)))
    (tmp_path / "uci_regression" / "kin8nm").mkdir(parents=True)
    np.savetxt(tmp_path / "uci_regression" / "kin8nm" / "data.txt", table)
    monkeypatch.setenv("HEXAD_DATA", str(tmp_path))
    monkeypatch.setattr(module.results, "FOLDER", tmp_path)
    return module


def _tables(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())["tables"]


def test_tables_write_a_row_after_each_seed_and_go_on(tables: Any, tmp_path: Path) -> None:
    pytest.importorskip("zuko")
    run = ["kin8nm", "--models", "maf", "--time", "0.2"]
    tables.main([*run, "--seeds", "1"])
    row = _tables(tmp_path)["kin8nm maf"]
    first = row["runs"]["0"]
    assert first["gap"] == pytest.approx(first["ours"] - first["peer"])
    assert min(first["steps"]) >= 1
    ours, theirs = first["parameters"]
    assert abs(ours - theirs) <= 0.05 * ours
    assert (first["kind"], first["measure"], first["records"], row["seeds"]) == ("exact", "density", 24, "0")
    assert "## Tables" in (tmp_path / "RESULTS.md").read_text()

    tables.main([*run, "--seeds", "2"])  # goes on: the first seed is not measured again
    row = _tables(tmp_path)["kin8nm maf"]
    assert (row["runs"]["0"], row["seeds"]) == (first, "0, 1")
    assert row["ours"].startswith(f"{(first['ours'] + row['runs']['1']['ours']) / 2:.3f} ±")

    row["runs"]["0"]["ours"] = math.inf
    results.record("tables", "kin8nm maf", row, folder=tmp_path)
    tables.main([*run, "--seeds", "2"])  # a full row is measured again
    assert math.isfinite(_tables(tmp_path)["kin8nm maf"]["runs"]["0"]["ours"])


def test_the_peer_trains_and_keeps_the_weights_that_validate_best(tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    flows = pytest.importorskip("zuko.flows")
    seen: list[float] = []

    class Watched(tables.Zuko):  # type: ignore[misc, name-defined]
        def log_prob(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
            found = super().log_prob(x, **options)
            if not torch.is_grad_enabled():
                seen.append(float(found.mean()))
            return found

    run = tables.plan("maf", tables.load("kin8nm"), time=1, seed=0)
    torch.manual_seed(0)
    peer = Watched(run.preprocessing.event, flows.MAF(3, transforms=1, hidden_features=(8, 8)))
    monkeypatch.setattr(tables, "LR", 0.1)  # restless, so that the best weights are not the last
    assert tables.train_peer(peer, run, 0.5) > 10
    assert len(seen) > 3
    assert seen[-1] < max(seen)
    with torch.no_grad():
        kept = float(peer.log_prob(run.preprocessing.encode(run.data.tensor("valid"))[0]).mean())
    assert kept == max(seen[:-1])
    assert kept > seen[0]


def test_the_peer_s_samples_follow_its_density(tables: Any) -> None:
    flows = pytest.importorskip("zuko.flows")
    torch.manual_seed(0)
    peer = tables.Zuko(hexad.Event.of(2, "real"), flows.MAF(2, transforms=1, hidden_features=(8, 8)))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        x = peer.sample(20_000, generator=generator)
        narrow = torch.distributions.Normal(x.mean(0), 0.5 * x.std(0))
        weight = (narrow.log_prob(x).sum(1) - peer.log_prob(x)).exp()
    assert abs(float(weight.mean()) - 1) < 5 * float(weight.std()) / 20_000**0.5


def test_sizes_are_matched_or_refused(tables: Any) -> None:
    assert tables.parameters(tables.sized(lambda width: nn.Linear(10, width), 1000)) == 990 + 11  # 91 units
    with pytest.raises(ValueError, match="no width gives 1000 parameters: the nearest model has 1600"):
        tables.sized(lambda width: nn.Linear(1599 if width < 3 else 3199, 1), 1000)


def test_a_table_without_a_density_is_a_row_that_says_so(tables: Any, tmp_path: Path) -> None:
    folder = tmp_path / "uci_regression" / "naval-propulsion-plant"
    folder.mkdir()
    np.savetxt(folder / "data.txt", np.column_stack([np.random.default_rng(0).normal(size=50), np.ones(50)]))
    tables.main(["naval-propulsion-plant"])
    row = _tables(tmp_path)["naval-propulsion-plant"]
    assert row["protocol"].startswith("naval-propulsion-plant: columns that are constant on the training rows: x1")


def test_forecasts_are_scored_on_the_rows_after_each_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(results.__file__).parent)
    forecasting = __import__("forecasting")
    assert forecasting.origins(100, 200, 3) == [100, 138, 176]
    x = torch.arange(7.0).repeat(30)[:, None].double()
    crps, squares = forecasting.of_season(7, x, [50, 93])
    assert crps.shape == (2, 24, 1)
    assert float(squares.max()) == 0  # a season that repeats itself is foreseen
    assert float(forecasting.of_season(5, x, [50])[0].min()) > 0
    linear = AR(Event.of((1,), "real", "series"), order=0)
    linear.prepare(x)
    crps, squares = forecasting.of_linear(linear, x, [50, 93])
    deviation = linear.variance.sqrt()
    paths = linear.mean + deviation * torch.randn(20_000, 24, 1, generator=stream(0, "p"), dtype=torch.float64)
    drawn = forecasting.of_paths(paths, x[93:117])
    assert float((drawn[0] - crps[1]).abs().max()) < 0.1
    assert float((drawn[1] - squares[1]).abs().max()) < 0.3
