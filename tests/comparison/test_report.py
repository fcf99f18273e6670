"""The page loads nothing from anywhere, and says of every model and metric what is known and what is not."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from hexad.comparison.evidence import Evidence
from hexad.comparison.report import page
from hexad.metrics import METRICS
from hexad.recipes import RECIPES

MODELS = ("realnvp", "independent", "resample")
Change = Callable[[list[Evidence]], Any]


class Page(HTMLParser):
    """Collects what a page could load, its scripts, and its tables' rows as a list of (attributes, text) a cell."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.rows: dict[str, list[list[tuple[dict[str, str | None], str]]]] = {}
        self._table, self._inside = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attributes)
        loads = ("src", "href", "srcset", "data", "action")
        self.links += [v or "" for k, v in attributes if k.split(":")[-1] in loads]
        if tag == "script":
            self.scripts.append((found, ""))
        if tag == "table":
            self._table = (found.get("class") or "").split()[-1]
            self.rows[self._table] = []
        if tag == "tr":
            self.rows[self._table].append([])
        if tag in ("td", "th"):
            self.rows[self._table][-1].append((found, ""))
        self._inside = tag if tag in ("script", "td", "th") else self._inside

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self._inside:
            attributes, before = self.rows[self._table][-1][-1]
            self.rows[self._table][-1][-1] = (attributes, before + data)

    def row(self, table: str, model: str) -> list[tuple[dict[str, str | None], str]]:
        """Return the cells of a model's row, its name first."""
        (found,) = [row for row in self.rows[table] if row[0][0].get("data-value") == model]
        return found


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "cmp"
    result = hexad.compare("digits", models=",".join(MODELS), steps=45, out=out, progress=False)
    assert result.report.stat().st_size < 8e6
    return out


@pytest.fixture(scope="module")
def text(compared: Path) -> str:
    return (compared / "report.html").read_text()


@pytest.fixture
def written(compared: Path) -> Callable[[Change], str]:
    """Return a function that writes the page again from changed evidence."""

    def write(change: Change) -> str:
        found = [Evidence.read(compared / "models" / f"{name}-seed0") for name in MODELS]
        found = change(found) or found
        data = hexad.load_data("digits")
        results = json.loads((compared / "results.json").read_text())
        return page(data, found, results, "hexad compare digits")

    return write


def entry(value: float | None, **more: Any) -> dict[str, Any]:
    return {"value": value, "floor": 0.0, "baseline": 0.08, "better": "lower", "p_value": None, "why": None} | more


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    found = Page(text)
    assert found.links
    assert all(link.startswith(("data:image/", "#")) for link in found.links)
    assert not found.tags & {"link", "iframe", "object", "embed", "base"}
    outside = re.sub(r'"data:image/[^"]*"', "", text).replace("http-equiv", "")
    assert "http" not in outside
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", outside))
    assert "@import" not in outside


def test_the_only_script_is_the_constant_one_that_the_policy_names(text: str) -> None:
    ((attributes, script),) = Page(text).scripts
    assert not attributes
    assert script == (files("hexad.comparison") / "template" / "script.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text


def test_the_page_says_what_the_design_asks(text: str) -> None:
    kinds = ("lower bound", "exact", "all probability lies on")
    facts = ("1,257", "1,000", "torch", "Real test records", "<b>layer</b>", "learning curve of realnvp")
    for words in (*kinds, *facts, "hexad compare digits --steps 45"):
        assert words.lower() in text.lower(), words
    assert "What the guard saw" not in text


def test_bits_are_at_most_where_the_likelihood_is_at_least(text: str) -> None:
    row = text[text.index('<span class="name">realnvp</span>') :]
    first, second = re.findall(r'class="sign">(.)<', row)[:2]
    assert (first, second) == ("≤", "≥")


def test_ids_that_nothing_refers_to_are_gone(text: str) -> None:
    outside = re.sub(r'"data:image/[^"]*"', "", text)
    used = set(re.findall(r"#([\w-]+)", outside)) | set(re.findall(r'aria-labelledby="([^"]*)"', outside))
    assert set(re.findall(r' id="([^"]*)"', outside)) <= used


def test_every_path_is_a_card_and_one_slider_reaches_all_frames(text: str) -> None:
    card = text[text.index('<article class="path"') : text.index('<div class="scrub"')]
    frames = card.count('<figure class="frame">')
    assert 2 <= frames <= 16
    assert text.count('type="range"') == 1
    assert f'type="range" min="0" max="{frames - 1}"' in text


def test_every_metric_is_a_column_and_none_is_0_where_it_is_not_defined(written: Callable[[Change], str]) -> None:
    def change(found: list[Evidence]) -> None:
        for i, evidence in enumerate(found):
            evidence.row["metrics"] = {
                "mmd2": entry(0.02 + i),
                "recall": entry(0.5, floor=0.9, baseline=0.1, better="higher"),
                "copies": entry(None, why="too few records") if i == 0 else entry(0.25, baseline=1.0, p_value=0.3),
                "own_score": entry(3.0, floor=1.0, baseline=5.0),
                "density": entry(None, why="never defined"),
            }

    found = Page(written(change))
    head = [cell[1].strip() for cell in found.rows["metrics"][0]]
    titles = [METRICS[name].title for name in ("mmd2", "recall", "copies")]
    assert head == ["model", *titles, "own score"]
    _, mmd2, recall, copies, own = found.row("metrics", "realnvp")
    assert (mmd2[0]["data-value"], mmd2[1].strip()) == ("0.02", "0.020")
    assert recall[0]["data-value"] == "0.5"
    assert (copies[0]["data-value"], copies[1].strip()) == ("", "not defined: too few records")
    assert own[1].strip() == "3.00"
    assert found.row("metrics", "resample")[3][1].split() == ["0.250", "p", "0.30"]
    assert "never defined" in written(change)


def test_rows_without_metrics_or_of_one_model_alone_make_a_page(written: Callable[[Change], str]) -> None:
    def bare(found: list[Evidence]) -> list[Evidence]:
        for evidence in found:
            evidence.row["metrics"] = {}
        return found

    assert "metrics" not in Page(written(bare)).rows
    alone = written(lambda found: bare(found)[:1])
    assert "Quality against cost" not in alone
    assert len(Page(alone).rows["main"]) == 2


def test_seeds_of_one_model_are_one_row_of_means(written: Callable[[Change], str]) -> None:
    def change(found: list[Evidence]) -> list[Evidence]:
        failed = Evidence(found[0].row | {"seed": 1, "status": "failed", "reason": "ran <away>"})
        likelihood = found[1].likelihood
        assert likelihood is not None
        better = likelihood.shifted(torch.full_like(likelihood.value, 2.0))
        row = found[1].row | {"seed": 1, "log_likelihood": better.to_json(64), "metrics": {"mmd2": entry(0.03)}}
        found[1].row["metrics"] = {"mmd2": entry(0.01)}
        return [*found, failed, Evidence(row, better, found[1].samples)]

    before = Page(written(lambda found: None)).row("main", "independent")[1][1]
    text = written(change)
    found = Page(text)
    assert len(found.rows["main"]) == 1 + len(MODELS)
    _, nats, _, mmd2, *_ = found.row("main", "independent")
    first, mean = (float(re.findall(r"−([\d.]+) ± ", said)[0]) for said in (before, nats[1]))
    assert mean == pytest.approx(first - 1, abs=0.006)
    assert mmd2[0]["data-value"] == "0.02"
    assert "0.010 to 0.030" in mmd2[1]
    assert "2 seeds" in found.row("main", "independent")[0][1]
    assert "seed 1 not measured: ran &lt;away&gt;" in text


def test_what_the_guard_saw_is_told_and_resumptions_are_not(written: Callable[[Change], str]) -> None:
    def change(found: list[Evidence]) -> None:
        found[0].log.append({"event": "resumed", "step": 77})
        found[0].log.append(
            {"event": "rollback", "step": 1400, "to": 1000, "reason": "loss <nan>", "did": "half the rate"}
        )
        found[1].log.append({"event": "diverged", "step": 3, "reason": "no end"})

    text = written(change)
    section = text[text.index("What the guard saw") : text.index("What each can do")]
    said = " ".join(re.sub(r"<[^>]*>", " ", section).split())
    assert "realnvp step 1,400, went back: loss &lt;nan&gt;. Done: back to step 1,000; half the rate." in said
    assert "independent step 3, gave up: no end." in said
    assert "77" not in said


def test_abilities_are_those_of_the_recipes(text: str) -> None:
    rows = Page(text).rows["matrix"]
    columns = [cell[1] for cell in rows[0]]
    for name in MODELS:
        recipe = RECIPES[name]
        (row,) = [row for row in rows if row[0][1] == name]
        said = {column: cell[1] for column, cell in zip(columns, row, strict=True)}
        for word in recipe.can:
            assert said[word] not in ("no", ""), (name, word)
        for word in set(columns[3:-2]) - set(recipe.can):
            assert said[word] == "no", (name, word)
        assert said["conditional"] == ("yes" if recipe.conditional else "no")
        assert said["takes"] == ", ".join(recipe.takes)
    assert {row[0][1]: row[2][1] for row in rows[1:]} == {
        "realnvp": "≥lower bound",
        "independent": "=exact",
        "resample": "no",
    }


def test_models_that_are_not_in_a_picture_are_named(text: str) -> None:
    assert "Without a likelihood: resample." in text


def test_nothing_of_the_users_is_markup_or_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("<b>boom")

    x = np.random.default_rng(0).normal(size=(100, 2))
    frame = pd.DataFrame(x, columns=["<script>alert(1)</script>", "b"])
    monkeypatch.setattr(Evidence, "of", fail)
    result = hexad.compare(frame, models="gaussian", steps=1, out=tmp_path / "cmp", progress=False)
    text = result.report.read_text()
    assert "&lt;b&gt;boom" in text
    assert "<b>boom" not in text
    assert "&lt;script&gt;" in text
    ((_, script),) = Page(text).scripts
    assert "alert" not in script
