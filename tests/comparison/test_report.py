"""The page loads nothing from anywhere, and draws every kind of data."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import hexad
from hexad.comparison import views
from hexad.comparison.evidence import Evidence
from hexad.comparison.figures import COLOURS, curves
from hexad.comparison.ranking import Difference
from hexad.comparison.report import Line, verdict
from hexad.comparison.views import view_of
from hexad.event import Event, Support
from hexad.likelihood import LogLikelihood
from hexad.recipes import FAMILIES

REAL, BINARY, LEVELS = Support("real"), Support("binary"), Support("ordinal", levels=17)


class Links(HTMLParser):
    """Collects whatever a page could load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [
            v or "" for k, v in attributes if k.split(":")[-1] in ("src", "href", "srcset", "data", "action")
        ]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("page")
    result = hexad.compare("digits", models="realnvp,independent,resample", steps=45, out=out / "cmp", progress=False)
    assert result.report.stat().st_size < 8e6
    return result.report.read_text()


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    page = Links()
    page.feed(text)
    assert page.found
    assert all(link.startswith(("data:image/", "#")) for link in page.found)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base"}
    outside = re.sub(r'"data:image/[^"]*"', "", text)
    assert "http" not in outside
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", outside))
    assert "@import" not in outside


def test_the_page_says_what_the_design_asks(text: str) -> None:
    kinds = ("lower bound", "exact", "all probability lies on")
    facts = ("1,257", "1,000", "torch", "Real test records", "along the", "learning curve of realnvp")
    for words in (*kinds, *facts, "hexad compare digits --steps 45"):
        assert words in text, words


def test_the_verdict_names_the_end_of_an_interval_that_is_guaranteed() -> None:
    value = torch.tensor([-10.0, -12.0])
    ends = {"low": value - 3, "high": value + 1, "confidence": 0.95}
    stated = LogLikelihood(value, "interval", measure="mass", **ends).to_json(dims=10)
    row = {"model": "rbm", "family": "energy", "seed": 0, "status": "done", "dims": 10, "log_likelihood": stated}
    line = Line(Evidence(row), Difference("rbm-seed0", 0.0, 0.0))
    (said,) = verdict([line])
    assert "rbm's: −14.00 nats a record, 2.02 bits/dim (low end of an interval)" in said


def test_bits_are_at_most_where_the_likelihood_is_at_least(text: str) -> None:
    row = text[text.index('<span class="name">realnvp</span>') :]
    first, second = re.findall(r'class="sign">(.)<', row)[:2]
    assert (first, second) == ("≤", "≥")


def test_ids_that_nothing_refers_to_are_gone(text: str) -> None:
    outside = re.sub(r'"data:image/[^"]*"', "", text)
    used = set(re.findall(r"#([\w-]+)", outside))
    assert all(name in used for name in re.findall(r' id="([^"]*)"', outside))


def test_every_family_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(FAMILIES)
    assert len(set(COLOURS.values())) == len(COLOURS)


EVENTS = {
    "Pictures": Event.of((1, 8, 8), LEVELS),
    "Pictures of colours": Event.of((3, 60, 50), Support("ordinal", levels=256)),
    "Plane": Event.of(2, REAL),
    "Table": Event.of(5, REAL),
    "Bits": Event.of(30, BINARY),
    "Histogram": Event.of(1, REAL),
    "Lines": Event.of(2, REAL, "series"),
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_kind_of_data_is_drawn_also_where_samples_are_not_finite(name: str) -> None:
    event = EVENTS[name]
    levels = event.levels
    generator = torch.Generator().manual_seed(0)
    real = torch.rand((64, *event.shape), generator=generator, dtype=torch.float64)
    real = (real * levels).floor() if levels else real
    view = view_of(event, real)
    assert type(view) is getattr(views, name.split()[0])
    samples = real.clone()
    samples[0], samples[1] = torch.nan, torch.inf
    for picture in (
        view.records(real, "#6b7280", real=True),
        view.records(samples, "#2f80d0"),
        view.frame(samples, "#2f80d0"),
    ):
        assert picture.startswith(("data:image/png;base64,", "data:image/webp;base64,"))


def test_ink_is_for_pictures_on_an_empty_ground_only() -> None:
    drawn = torch.zeros((20, 1, 8, 8))
    drawn[:, :, 2:6, 3:5] = 16
    assert view_of(Event.of((1, 8, 8), LEVELS), drawn).ink  # type: ignore[attr-defined]
    assert not view_of(Event.of((1, 8, 8), LEVELS), 16 - drawn).ink  # type: ignore[attr-defined]


def test_a_table_shows_the_columns_that_belong_together() -> None:
    x = torch.randn((300, 5), generator=torch.Generator().manual_seed(0))
    x[:, 3] = x[:, 1] ** 3
    assert view_of(Event.of(5, REAL), x).pair == (1, 3)  # type: ignore[attr-defined]


def test_curves_are_of_the_page_and_closed_forms_have_none() -> None:
    log = [{"step": i, "seconds": i / 10, "loss": {"critic": np.sin(i), "generator": 1.0}} for i in range(1, 400)]
    log.append({"step": 400, "seconds": 40.0, "valid": {"mmd2": 0.1}})
    drawn = curves(log, "#d39b0b", "a curve")
    assert drawn is not None
    assert "currentColor" in drawn
    assert "http" not in drawn
    assert len(drawn) < 60_000
    assert curves([{"step": 0, "seconds": 0.0, "valid": {"log_prob": 1.0}}], "#000000", "none") is None


def test_nothing_of_the_users_is_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("<b>boom")

    x = np.random.default_rng(0).normal(size=(100, 2))
    frame = pd.DataFrame(x, columns=["<script>alert(1)</script>", "b"])
    monkeypatch.setattr(Evidence, "of", fail)
    result = hexad.compare(frame, models="gaussian", steps=1, out=tmp_path / "cmp", progress=False)
    assert "&lt;b&gt;boom" in result.report.read_text()
    assert "<script>" not in result.report.read_text()
