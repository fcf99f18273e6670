"""The page: one file that loads nothing from anywhere, made from what a comparison kept."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from hexad.comparison.evaluation import CAPS, SCORED, Records
from hexad.comparison.evidence import Evidence
from hexad.comparison.figures import colour_of, curves
from hexad.comparison.ranking import RANKED, Difference, differences
from hexad.comparison.views import View, view_of
from hexad.data import Data
from hexad.recipes import FAMILIES, find_recipe
from hexad.train import replace_file

__all__ = ["Line", "page", "write_report"]

REAL = "#6b7280"
KINDS = {
    "exact": (
        "=",
        "exact",
        "computed, not estimated: the log-probability that the model gives to the record as recorded",
    ),
    "lower_bound": (
        "≥",
        "lower bound",
        "the true log-likelihood is at least this (and the bits at most that); the bound understates the model",
    ),
    "interval": (
        "∈",
        "interval",
        "the true value lies between two ends at the stated confidence; models are ranked by the low end",
    ),
    "upper_bound": ("≤", "upper bound", "the true value is at most this; it flatters, so it is not ranked"),
    "estimate": ("≈", "estimate", "neither side is guaranteed, so it is not ranked"),
}
FAMILY_WORDS = {
    "energy": "Energy-based",
    "vae": "Variational autoencoder",
    "gan": "Adversarial",
    "autoregressive": "Autoregressive",
    "flow": "Normalizing flow",
    "diffusion": "Diffusion",
    "baseline": "Baseline",
}


@dataclass(frozen=True)
class Line:
    """A row of the page's table, with its numbers placed.

    Args:
        evidence: what stands behind it.
        behind: its difference to the best it may be compared with, or None.
        place: of its likelihood between the worst shown (0) and the best (1), or None.
        span: places of the ends of an interval, or None.
        cut: whether the likelihood is worse than what is shown.
        sample_place: of its samples between shuffled columns (0) and real records (1), or None.
    """

    evidence: Evidence
    behind: Difference | None
    place: float | None = None
    span: tuple[float, float] | None = None
    cut: bool = False
    sample_place: float | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The row of ``results.json``."""
        return self.evidence.row

    @property
    def colour(self) -> str:
        """The family's accent."""
        return colour_of(self.row["family"])

    @property
    def family(self) -> str:
        """The family in words."""
        return FAMILY_WORDS.get(self.row["family"], self.row["family"])

    @property
    def name(self) -> str:
        """The model's name, or the family's where no model takes the data."""
        return self.row["model"] or f"no {self.row['family']} model"

    @property
    def baseline(self) -> bool:
        """Whether the model is a baseline."""
        return bool(self.row["family"] == "baseline")

    @property
    def sign(self) -> str:
        """The sign before the log-likelihood, by its kind."""
        return KINDS[self.row["log_likelihood"]["kind"]][0]

    @property
    def bits_sign(self) -> str:
        """The sign before the bits: they are fewer where the likelihood is more."""
        return {"≥": "≤", "≤": "≥"}.get(self.sign, self.sign)

    @property
    def best(self) -> bool:
        """Whether it is the best of those it may be compared with."""
        return self.behind is not None and self.behind.to == self.evidence.key

    @property
    def can(self) -> tuple[str, ...]:
        """What the model can do, in words."""
        recipe = find_recipe(self.row["model"] or "")
        return () if recipe is None else recipe.can


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
    replace_file(path, page(data, found, results, command).encode())
    return path


def page(data: Data, found: Sequence[Evidence], results: dict[str, Any], command: str) -> str:
    """Return the page as text."""
    ahead = differences({e.key: e.likelihood for e in found if e.likelihood is not None})
    lines = _placed([Line(evidence, ahead.get(evidence.key)) for evidence in found])
    view = view_of(data.event, data.tensor("train"))
    shown = [line for line in lines if line.evidence.done and line.row["seed"] == 0]
    count = min([len(data.test), *(len(line.evidence.samples) for line in shown if line.evidence.samples is not None)])
    cards = [_card(line, view, count) for line in _by_family(shown)]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "sig": significant,
        "error": with_error,
        "count": "{:,}".format,
        "span": duration,
        "memory": _megabytes,
    }
    template = environment.from_string((files("hexad.comparison") / "report.html.j2").read_text(encoding="utf-8"))
    kinds = [kind for kind in KINDS if any((line.row["log_likelihood"] or {}).get("kind") == kind for line in lines)]
    return template.render(
        results=results,
        data=data,
        described=data.describe(),
        lines=sorted(lines, key=_order),
        cards=cards,
        real=Markup(view.records(data.tensor("test")[:count], REAL, real=True)),
        strips=[strip for line in _by_family(shown) if not line.baseline and (strip := _strip(line, view))],
        charts=[chart for line in _by_family(shown) if (chart := _chart(line))],
        closed=[line.name for line in shown if not any("loss" in entry for entry in line.evidence.log)],
        caption=view.caption,
        truth=_truth(data),
        verdict=verdict(lines),
        kinds=[KINDS[kind] for kind in kinds],
        masses=data.event.measure == "mass",
        budget=_budget_words(results["budget"]),
        caps=CAPS,
        command=command,
        versions={"hexad": results["hexad"], "torch": torch.__version__, "python": platform.python_version()},
        machine=f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        made=date.today().isoformat(),
        memory=max((e.memory for e in found), default=0),
        seeds=sorted({line.row["seed"] for line in lines}),
    )


def verdict(lines: Sequence[Line]) -> list[str]:
    """Return what the comparison found, in sentences."""
    said = []
    best = next((line for line in lines if line.best and not line.baseline), next((x for x in lines if x.best), None))
    if best is not None:
        stated = best.row["log_likelihood"]
        low = stated["kind"] == "interval"  # whose point estimate is not guaranteed
        nats = stated["low"] if low else stated["nats"]
        masses = stated["bits_per_dim"] is not None
        bits = f", {-nats / (best.row['dims'] * math.log(2)):.2f} bits/dim" if masses else ""
        kind = f"{'low end of an ' if low else ''}{KINDS[stated['kind']][1]}"
        said.append(
            f"The highest likelihood that is guaranteed is {best.name}'s: {significant(nats)} nats a record"
            f"{bits} ({kind})."
        )
        rivals = [
            x for x in lines if x.behind and x.behind.to == best.evidence.key and x.row["model"] != best.row["model"]
        ]
        rivals = [x for x in rivals if x.row["log_likelihood"]["kind"] in RANKED]
        if rivals:
            second = max(rivals, key=lambda x: x.behind.value if x.behind else 0.0)
            assert second.behind is not None
            gap, error = -second.behind.value, second.behind.stderr
            told = f"{second.name} cannot be told apart from it" if second.behind.tied else f"{second.name} is next"
            said.append(f"{told}, {with_error(gap, error)} nats behind on the same test records.")
    near = [line for line in lines if line.sample_place is not None and not line.baseline]
    if near:
        first = min(near, key=lambda line: line.row["metrics"]["mmd2"]["value"])
        metric = first.row["metrics"]["mmd2"]
        said.append(
            f"By kernel distance the samples of {first.name} are the nearest to test records: "
            f"{significant(metric['value'], 2)}, between {significant(metric['floor'], 2)} for real records and "
            f"{significant(metric['baseline'], 2)} for shuffled columns."
            if metric["value"] < metric["baseline"]
            else "By kernel distance no model's samples are nearer to test records than records with shuffled columns."
        )
    failed = [line.name for line in lines if not line.evidence.done]
    if failed:
        said.append(f"Not measured: {', '.join(dict.fromkeys(failed))}; the table says why.")
    return said


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits, in plain notation where that is short; a real minus sign.

    >>> significant(-101.234), significant(0.00123, 2), significant(None)
    ('−101.2', '0.0012', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = int(np.floor(np.log10(abs(value))))
    text = f"{value:.{max(0, digits - 1 - size)}f}" if -5 < size < 7 else f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def with_error(value: float, error: float) -> str:
    """Return a number with its standard error, both to the error's second digit.

    >>> with_error(5.92308, 0.3969), with_error(-3, 0)
    ('5.92 ± 0.40', '−3.00 ± 0')
    """
    places = 2 if not (np.isfinite(error) and error > 0) else max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{places}f} ± {error:.{places if error else 0}f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """Return seconds in words.

    >>> duration(0.0123), duration(20.04), duration(300)
    ('12 ms', '20 s', '5.0 min')
    """
    if not seconds:
        return "–" if seconds is None else "0 s"
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MB" if size else "–"


def _budget_words(budget: dict[str, Any]) -> str:
    return f"{budget['steps']:,} steps" if "steps" in budget else duration(budget["time"])


def _placed(lines: Sequence[Line]) -> list[Line]:
    """Return the lines with likelihoods and sample distances placed between 0 and 1."""
    groups: dict[str, list[float]] = {}
    for line in lines:
        if line.behind is not None:
            groups.setdefault(line.behind.to, []).append(line.behind.value)
    placed = []
    for line in lines:
        place, span, cut = None, None, False
        if line.behind is not None:
            values = sorted(groups[line.behind.to])
            worst = max(
                values[0], 2 * values[len(values) // 4]
            )  # one that is far off shall not press the rest together
            reach = -worst or 1.0
            place, cut = max(0.0, 1 + line.behind.value / reach), line.behind.value < worst
            likelihood = line.evidence.likelihood
            if likelihood is not None and likelihood.kind == "interval":
                low, high = (float(end.mean()) for end in likelihood.ends)
                top = 1 + (line.behind.value + high - low) / reach
                span = (place, max(0.0, min(1.04, top))) if np.isfinite(top) else None
        metric = line.row["metrics"].get("mmd2", {})
        sample = None
        if all(metric.get(key) is not None for key in ("value", "floor", "baseline")):
            reach = metric["baseline"] - metric["floor"]
            sample = 1 - (metric["value"] - metric["floor"]) / reach if reach > 0 else None
            sample = None if sample is None else min(1.0, max(0.0, sample))
        placed.append(Line(line.evidence, line.behind, place, span, cut, sample))
    return placed


def _truth(data: Data) -> float | None:
    """Return the mean log-likelihood of the scored records under the law that made them; None: it is not known."""
    if data.truth is None:
        return None
    x = Records.of(data).capped(SCORED, data.event.layout == "series").x
    return float(data.truth(x).mean())


def _order(line: Line) -> tuple[int, float]:
    if not line.evidence.done:
        return 2, 0.0
    return (0, -line.behind.value) if line.behind is not None else (1, 0.0)


def _by_family(lines: Sequence[Line]) -> list[Line]:
    order = {family: i for i, family in enumerate(FAMILIES)}
    return sorted(lines, key=lambda line: order.get(line.row["family"], -1))


def _card(line: Line, view: View, count: int) -> dict[str, Any]:
    assert line.evidence.samples is not None
    return {"line": line, "picture": Markup(view.records(line.evidence.samples[:count], line.colour))}


def _strip(line: Line, view: View) -> dict[str, Any] | None:
    evidence = line.evidence
    if evidence.frames is None or len(evidence.frames) < 2:
        return None
    frames = [
        {"picture": Markup(view.frame(state, line.colour)), "label": label}
        for state, label in zip(evidence.frames, evidence.labels, strict=True)
    ]
    return {"line": line, "axis": evidence.axis, "frames": frames}


def _chart(line: Line) -> dict[str, Any] | None:
    drawn = curves(line.evidence.log, line.colour, f"learning curve of {line.name}")
    return None if drawn is None else {"line": line, "drawing": Markup(drawn)}
