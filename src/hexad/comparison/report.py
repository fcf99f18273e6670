"""The page: one file that loads nothing from anywhere, made from what a comparison kept."""

from __future__ import annotations

import base64
import hashlib
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hexad.comparison.abilities import abilities
from hexad.comparison.evaluation import CAPS, SCORED, Records
from hexad.comparison.evidence import Evidence
from hexad.comparison.figures import COLOURS
from hexad.comparison.learning import curves, incidents, vitals
from hexad.comparison.pareto import Trade, likelihood_trade, pareto, sample_trade
from hexad.comparison.standing import Standing, by_family, metric_names, standings
from hexad.comparison.verdict import verdict
from hexad.comparison.views import View, view_of
from hexad.comparison.words import AXES, KINDS, budget_words, duration, megabytes, significant, with_error
from hexad.data import Data
from hexad.metrics import METRICS, Measure
from hexad.train import replace_file

__all__ = ["page", "write_report"]

REAL = "#6b7280"
COSTS = {"train_seconds": "time to train", "sample_seconds": "time for 1,000 samples"}


def write_report(folder: Path, data: Data, found: Sequence[Evidence], results: dict[str, Any], command: str) -> Path:
    """Write ``report.html`` into a comparison's folder and return its path.

    Args:
        folder: of the comparison.
        data: that the models were trained on.
        found: what is known of each model and seed.
        results: the content of ``results.json``.
        command: the line that makes the comparison again.
    """
    path = folder / "report.html"
    replace_file(path, page(data, found, results, command).encode(errors="backslashreplace"))
    return path


def page(data: Data, found: Sequence[Evidence], results: dict[str, Any], command: str) -> str:
    """Return the page as text."""
    models = standings(found)
    measures, undefined = _measures(models)
    first = dict(list(measures.items())[:2])
    shown = by_family(model for model in models if model.done)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            data=data,
            described=data.describe(),
            command=command,
            colours=[colour for family, colour in COLOURS.items() if family != "baseline"],
            models=models,
            measures=measures,
            undefined=undefined,
            first=first,
            ends=_ends(models, measures),
            tops=_tops(models, measures),
            verdict=verdict(models, first),
            kinds=[KINDS[kind] for kind in KINDS if any((m.stated or {}).get("kind") == kind for m in models)],
            truth=_truth(data),
            masses=data.event.measure == "mass",
            pictures=_pictures(shown, data),
            trades=_trades(models, measures),
            charts=[chart for model in shown if (chart := _chart(model))],
            closed=[model.name for model in shown if not any("loss" in entry for entry in model.done[0].log)],
            incidents=[(m, seed, seen) for m in models for seed, seen in _incidents(m)],
            abilities=abilities(shown),
            **_circumstances(found, results),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hexad.comparison", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "sig": significant,
        "error": with_error,
        "count": "{:,}".format,
        "span": duration,
        "memory": megabytes,
        "percent": lambda part: f"{100 * part:.1f}%",
        "capitalised": lambda text: text[:1].upper() + text[1:],
    }
    folder = files("hexad.comparison") / "template"
    # the page's own style and script are constants: what comes from data stands in elements and attributes, escaped
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"style": Markup(style), "script": Markup(script), "script_hash": f"sha256-{digest}"}
    return environment


def _circumstances(found: Sequence[Evidence], results: dict[str, Any]) -> dict[str, Any]:
    """Return what the page says about how it was made."""
    return {
        "budget": budget_words(results["budget"]),
        "caps": CAPS,
        "versions": {"hexad": results["hexad"], "torch": torch.__version__, "python": platform.python_version()},
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        "made": date.today().isoformat(),
        "memory": max((e.memory for e in found), default=0),
        "seeds": sorted({e.row["seed"] for e in found}),
    }


def _measures(models: Sequence[Standing]) -> tuple[dict[str, Measure], list[tuple[Measure, str]]]:
    """Return the metrics that a model has a value of, by name, and with their reasons those that none has.

    One that is not known is called by its name.
    """
    names = metric_names(models, METRICS)
    rows = [run.row["metrics"] for model in models for run in model.done]
    better = {name: entry.get("better", "lower") for row in rows for name, entry in row.items()}
    known = {name: METRICS.get(name) or Measure(name, name.replace("_", " "), better[name], "") for name in names}
    scores = {name: [score for model in models if (score := model.scores.get(name))] for name in names}
    empty = [name for name in names if all(score.value is None for score in scores[name])]
    return {n: m for n, m in known.items() if n not in empty}, [(known[n], scores[n][0].why) for n in empty]


def _ends(models: Sequence[Standing], measures: Mapping[str, Measure]) -> dict[str, dict[str, Any] | None]:
    """Return the two ends of each metric's scale, and whether it is one; None where they are not known."""
    found: dict[str, dict[str, Any] | None] = {}
    for name in measures:
        scores = [score for model in models if (score := model.scores.get(name))]
        known = [s for s in scores if s.floor is not None and s.baseline is not None]
        scaled = any(score.bar for score in scores)
        found[name] = {"baseline": known[0].baseline, "floor": known[0].floor, "scaled": scaled} if known else None
    return found


def _tops(models: Sequence[Standing], measures: Mapping[str, Measure]) -> set[tuple[str, str]]:
    """Return (metric, model) of the best value of each metric among models that are no baselines."""
    found = set()
    for name, measure in measures.items():
        values = {m.name: s.value for m in models if not m.baseline and (s := m.scores.get(name)) and s.bar}
        known = {model: value for model, value in values.items() if value is not None}
        if len(known) > 1:
            found.add((name, (max if measure.better == "higher" else min)(known, key=known.__getitem__)))
    return found


def _truth(data: Data) -> float | None:
    """Return the mean log-likelihood of the scored records under the law that made them; None: it is not known."""
    if data.truth is None:
        return None
    x = Records.of(data).capped(SCORED, data.event.layout == "series").x
    return float(data.truth(x).mean())


def _pictures(shown: Sequence[Standing], data: Data) -> dict[str, Any]:
    """Return real records, the samples of each model, and the paths of those that are no baselines, as pictures."""
    # the test split of a series is its end, which may lie beyond all that was before
    parts = ("train", "test") if data.event.layout == "series" else ("train",)
    view = view_of(data.event, torch.cat([data.tensor(part) for part in parts]), data.format.letters)
    drawn = [(model, samples) for model in shown if (samples := model.done[0].samples) is not None]
    count = min([len(data.test), *(len(samples) for _, samples in drawn)])
    return {
        "real": Markup(view.records(data.tensor("test")[:count], REAL, real=True)),
        "caption": view.caption,
        "cards": [(model, Markup(view.records(samples[:count], model.colour))) for model, samples in drawn],
        "paths": [path for model in shown if not model.baseline and (path := _path(model, view))],
    }


def _path(model: Standing, view: View) -> dict[str, Any] | None:
    evidence = model.done[0]
    if evidence.frames is None or len(evidence.frames) < 2:
        return None
    frames = [
        (Markup(view.frame(state, model.colour)), label)
        for state, label in zip(evidence.frames, evidence.labels, strict=True)
    ]
    return {"model": model, "axis": evidence.axis, "words": AXES.get(evidence.axis, ""), "frames": frames}


def _trades(models: Sequence[Standing], measures: Mapping[str, Measure]) -> list[dict[str, Any]]:
    """Return quality against cost: the likelihood, and one metric of samples; a picture a cost."""
    name = "c2st" if "c2st" in measures else next(iter(measures), None)
    trades: list[tuple[str, Trade | None]] = [("Likelihood", likelihood_trade(models))]
    if name is not None:
        trades.append(("Samples", sample_trade(models, name, measures[name])))
    found = []
    for title, trade in trades:
        drawn = {} if trade is None else {words: pareto(trade, cost, words) for cost, words in COSTS.items()}
        pictures = [(words, Markup(picture)) for words, picture in drawn.items() if picture]
        if trade is not None and pictures:
            found.append({"title": title, "label": trade.label, "pictures": pictures, "left_out": trade.left_out})
    return found


def _chart(model: Standing) -> dict[str, Any] | None:
    log = model.done[0].log
    drawn = curves(log, model.colour, f"learning curve of {model.name}")
    return None if drawn is None else {"model": model, "drawing": Markup(drawn), "vitals": vitals(log)}


def _incidents(model: Standing) -> list[tuple[int, list[dict[str, Any]]]]:
    """Return what the guard saw in each run, with its seed; runs that went well are not among them."""
    return [(run.row["seed"], seen) for run in model.runs if (seen := incidents(run.log))]
