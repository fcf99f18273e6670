"""The commands that measure: they list, they run without peers, and one writer keeps what others measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.speed.__main__ import main
from benchmarks.speed.contest import TASKS, Contest, run

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
    with pytest.raises(ValueError, match="expected one of published, speed, robustness"):
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
