"""Every model in turn: the same data, the same budget, the same measurement; a report that survives interruptions.

A comparison's folder holds ``comparison.json`` (what was asked for), a run folder a model and seed under ``models``,
and ``results.json``, which grows row by row; ``report.html`` is written at the end. Everything is checked before
anything is written, and what is finished is not done again.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import hexad
from hexad.checks import InputError, check_writable, one_line
from hexad.comparison.evaluation import CAPS, Records, yardstick
from hexad.comparison.evidence import Evidence
from hexad.comparison.ranking import differences
from hexad.comparison.report import write_report
from hexad.comparison.views import view_of
from hexad.data import Data, load_data
from hexad.fitted import pick_device, plan
from hexad.metrics import METRICS, Yardstick
from hexad.recipes import first_choices, recipe_of
from hexad.train import Budget, launched, read_json, read_log, write_json

__all__ = ["Comparison", "compare"]

FORMAT, DEFAULT_TIME = 1, "20s"
UNFINISHED = (".comparison.json.tmp", ".results.json.tmp", ".report.html.tmp")


@dataclass(frozen=True)
class Comparison:
    """What a comparison came to.

    Args:
        table: a row a model and seed, the highest likelihood that is guaranteed first.
        report: path of the page.
    """

    table: pd.DataFrame
    report: Path

    @property
    def done(self) -> bool:
        """Whether at least one model was trained and measured."""
        return bool((self.table["status"] == "done").any())


@dataclass(frozen=True)
class Entry:
    """A model and seed to compare, or the family that has no model for the data."""

    family: str
    model: str | None
    seed: int = 0
    reason: str = ""

    @property
    def name(self) -> str:
        """The name of its run folder."""
        return f"{self.model}-seed{self.seed}"


def compare(
    data: Any,
    *,
    models: str | Sequence[str] | None = None,
    time: str | float | None = None,
    steps: int | None = None,
    seeds: int = 1,
    out: str | Path | None = None,
    device: str = "auto",
    progress: bool = True,
    **options: Any,
) -> Comparison:
    """Train models on data at equal budget, measure each the same way, and write a page about it.

    An interrupted comparison continues where it stopped when the same call is made again; a finished one is recognised.

    Args:
        data: what ``load_data`` takes, or what it returned.
        models: names, in a list or with commas between them; None: the first choice of every family, and the baselines.
        time, steps: the budget of each model, one of them; neither is 20 s.
        seeds: runs of each model, with the seeds 0 to ``seeds - 1``.
        out: folder of the comparison; None: ``runs/compare-NAME``.
        device: ``auto``, ``cpu``, ``cuda``, ...
        progress: whether to show progress on standard error.
        options: of ``load_data``.

    Returns:
        The table and the page's path. A model that failed is a row with its reason.

    Raises:
        InputError: anything of it is wrong; nothing has been written by then.
        KeyboardInterrupt: it was interrupted; the state is saved.
    """
    if launched():
        raise InputError("compare: started as several processes, expected one; under torchrun use hexad train")
    loaded = load_data(data, **options)
    budget = Budget.of(steps, time, DEFAULT_TIME)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise InputError(f"seeds {seeds!r}: expected a whole number of at least 1")
    pick_device(device)
    entries = _entries(loaded, models, seeds)
    folder = Path(out) if out is not None else Path("runs") / f"compare-{loaded.name}"
    asked = _asked(loaded, budget, seeds, entries, device)
    _check_folder(folder, asked)
    entries = [_checked(entry, loaded, budget, folder, device, models is not None) for entry in entries]
    if _finished(folder, entries):
        found = [_read(folder, entry, loaded) for entry in entries]
        write_json(folder / "results.json", _results(loaded, budget, seeds, found))  # where it is damaged
        _say(f"{folder}: this comparison is finished, nothing to do; name another --out to repeat it", progress)
        return Comparison(table_of(found), folder / "report.html")
    _say(loaded.describe(), progress)
    _say(f"budget {budget} a model; {CAPS}", progress)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "comparison.json", asked)
    found = []
    by = yardstick(loaded.event, Records.of(loaded))
    for entry in entries:
        found.append(_one(entry, loaded, budget, folder, device, progress, by))
        gc.collect()
        write_json(folder / "results.json", _results(loaded, budget, seeds, found))
    write_report(
        folder, loaded, found, _results(loaded, budget, seeds, found), command_of(loaded, budget, seeds, models)
    )
    return Comparison(table_of(found), folder / "report.html")


def table_of(found: list[Evidence]) -> pd.DataFrame:
    """Return the rows as a frame: the highest guaranteed likelihood first, then those without one, then failures."""
    ahead = differences({e.key: e.likelihood for e in found if e.likelihood is not None})
    rows = []
    for evidence in sorted(found, key=lambda e: order_of(e, ahead)):
        row, stated = evidence.row, evidence.row["log_likelihood"] or {}
        metrics, cost = row["metrics"], row["cost"]
        behind = ahead.get(evidence.key)
        rows.append(
            {
                "model": row["model"],
                "family": row["family"],
                "seed": row["seed"],
                "kind": stated.get("kind"),
                "nats": stated.get("nats"),
                "stderr": stated.get("stderr"),
                "bits_per_dim": stated.get("bits_per_dim"),
                "behind": behind.value if behind else None,
                "behind_stderr": behind.stderr if behind else None,
                **{
                    f"{name}{suffix}": metrics.get(name, {}).get(key)
                    for name in METRICS
                    for key, suffix in (("value", ""), ("floor", "_floor"), ("baseline", "_baseline"))
                },
                "train_seconds": cost["train_seconds"],
                "sample_seconds": cost["sample_seconds_per_1000"],
                "parameters": cost["parameters"],
                "status": row["status"],
                "reason": row["reason"],
            }
        )
    frame = pd.DataFrame(rows)
    numbers = frame.columns.difference(["model", "family", "kind", "status", "reason"])
    return frame.astype({name: "Int64" if name in ("seed", "parameters") else "float64" for name in numbers})


def order_of(evidence: Evidence, ahead: dict[str, Any]) -> tuple[int, float]:
    """Return the place of a row: by its difference to the best, then without likelihood, then failed."""
    if not evidence.done:
        return 2, 0.0
    behind = ahead.get(evidence.key)
    return (0, -behind.value) if behind else (1, 0.0)


def command_of(data: Data, budget: Budget, seeds: int, models: str | Sequence[str] | None) -> str:
    """Return the line that makes this comparison again."""
    size = f"--steps {budget.steps}" if budget.steps is not None else f"--time {budget.time:g}s"
    extra = f" --seeds {seeds}" if seeds > 1 else ""
    if models is not None:
        extra += f" --models {models if isinstance(models, str) else ','.join(models)}"
    if data.source.get("path") is None:
        return f"hexad.compare(data, ...)  # {size}{extra}"
    for key, value in data.source.get("options", {}).items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        extra += f" --data {key}={text}"
    return f"hexad compare {data.source['path']} {size}{extra}"


def _entries(data: Data, models: str | Sequence[str] | None, seeds: int) -> list[Entry]:
    if models is None:
        chosen = [
            Entry(family, recipe.name if recipe else None, 0, why) for family, recipe, why in first_choices(data.event)
        ]
    else:
        names = models.split(",") if isinstance(models, str) else list(models)
        names = [name.strip() if isinstance(name, str) else name for name in names]
        if not names or len(set(names)) < len(names):
            raise InputError(f"models {models!r}: expected the names of models, each once")
        chosen = [Entry(recipe_of(name, data.event).family, name) for name in names]
    return [
        Entry(entry.family, entry.model, seed, entry.reason)
        for entry in chosen
        for seed in (range(seeds) if entry.model else [0])
    ]


def _asked(data: Data, budget: Budget, seeds: int, entries: list[Entry], device: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "data": data.name,
        "fingerprint": data.source.get("fingerprint"),
        "event": data.event.to_json(),
        "given": data.given,
        "budget": _budget(budget),
        "seeds": seeds,
        "models": list(dict.fromkeys(entry.model or f"no {entry.family} model" for entry in entries)),
        "device": device,
    }


def _budget(budget: Budget) -> dict[str, float | int]:
    return {"steps": budget.steps} if budget.steps is not None else {"time": budget.time or 0.0}


def _check_folder(folder: Path, asked: dict[str, Any]) -> None:
    """Check that a comparison may be written to a folder: it is empty, or holds this comparison."""
    check_writable(folder, ("comparison.json", "results.json", "report.html"))
    if not folder.exists() or not [path for path in folder.iterdir() if path.name not in UNFINISHED]:
        return
    if not (folder / "comparison.json").exists():
        raise InputError(f"--out {folder}: holds other files, expected an empty folder or a comparison; choose another")
    old = read_json(folder / "comparison.json")
    if not isinstance(old, dict):
        raise InputError(f"{folder / 'comparison.json'}: does not describe a comparison; choose another --out")
    for key, value in asked.items():
        if old.get(key) != value:
            raise InputError(
                f"--out {folder}: holds a comparison with another {key} ({_short(old.get(key))}, now {_short(value)}); "
                "choose another folder"
            )


def _short(value: Any) -> str:
    text = one_line(str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _checked(entry: Entry, data: Data, budget: Budget, folder: Path, device: str, explicit: bool) -> Entry:
    """Return the entry, or with its reason where a model that nobody asked for by name cannot be built.

    Raises:
        InputError: a model that was asked for cannot be built, or its folder is not its own.
    """
    if entry.model is None:
        return entry
    where = folder / "models" / entry.name
    if (where / "evaluation.json").exists():
        Evidence.read(where)  # one that is damaged is found before anything is written
        return entry
    try:
        _plan(entry, data, budget, where, device)
    except InputError as error:
        if explicit or where.exists():
            raise
        return Entry(entry.family, entry.model, entry.seed, one_line(error))
    return entry


def _plan(entry: Entry, data: Data, budget: Budget, where: Path, device: str) -> Any:
    assert entry.model is not None
    size = {"steps": budget.steps} if budget.steps is not None else {"time": budget.time}
    return plan(entry.model, data, **size, out=where, seed=entry.seed, device=device, resume=True)


def _finished(folder: Path, entries: list[Entry]) -> bool:
    if not (folder / "report.html").exists() or not (folder / "results.json").exists():
        return False
    wanted = [entry for entry in entries if entry.model is not None and not entry.reason]
    return all((folder / "models" / entry.name / "evaluation.json").exists() for entry in wanted)


def _one(
    entry: Entry, data: Data, budget: Budget, folder: Path, device: str, progress: bool, by: Yardstick
) -> Evidence:
    """Return the evidence of one model: read, or trained and measured now."""
    where = folder / "models" / entry.name
    if entry.model is None or entry.reason:
        _say(f"{entry.model or entry.family}: {entry.reason}", progress)
        return _read(folder, entry, data)
    if (where / "evaluation.json").exists():
        _say(f"{entry.name}: measured before", progress)
        return Evidence.read(where)
    try:
        fitted = _plan(entry, data, budget, where, device).train(progress)
        _say(f"{entry.name}: trained in {fitted.seconds:.1f} s, measuring", progress)
        evidence = Evidence.of(
            fitted, Records.of(data), view_of(data.event, data.tensor("train"), data.format.letters).path_rows, by
        )
    except OSError:  # a full disk is no fault of the model's
        raise
    except Exception as error:
        reason = one_line(error) or type(error).__name__
        _say(f"{entry.name}: failed, {reason}", progress)
        evidence = Evidence(_failed(entry, data, reason), log=read_log(where / "metrics.jsonl"))
    evidence.write(where)
    return evidence


def _read(folder: Path, entry: Entry, data: Data) -> Evidence:
    if entry.model is None or entry.reason:
        return Evidence(_failed(entry, data, entry.reason))
    return Evidence.read(folder / "models" / entry.name)


def _failed(entry: Entry, data: Data, reason: str) -> dict[str, Any]:
    """Return the row of a model that did not come to be measured."""
    return {
        "model": entry.model,
        "family": entry.family,
        "data": data.name,
        "split": "test",
        "n": len(data.test),
        "dims": data.event.dims,
        "log_likelihood": None,
        "log_likelihood_why": reason,
        "metrics": {},
        "cost": {"train_seconds": None, "sample_seconds_per_1000": None, "parameters": None},
        "seed": entry.seed,
        "status": "failed",
        "reason": reason,
    }


def _results(data: Data, budget: Budget, seeds: int, found: list[Evidence]) -> dict[str, Any]:
    about = {
        "name": data.name,
        "event": repr(data.event),
        "layout": data.event.layout,
        "dims": data.event.dims,
        "measure": data.event.measure,
        "given": data.given,
        "sizes": {split: len(data.split(split)) for split in ("train", "valid", "test")},
        "source": data.source,
    }
    rows = [evidence.row for evidence in found]
    return {"hexad": hexad.__version__, "data": about, "budget": {**_budget(budget), "seeds": seeds}, "models": rows}


def _say(text: str, show: bool) -> None:
    if show:
        print(text, file=sys.stderr, flush=True)
