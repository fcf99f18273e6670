"""Every kind of data is drawn, and its pictures are of the page's colours."""

from __future__ import annotations

import pytest
import torch

from hexad.comparison import views
from hexad.comparison.figures import COLOURS
from hexad.comparison.views import view_of
from hexad.event import Event, Support
from hexad.recipes import FAMILIES

REAL, BINARY, LEVELS = Support("real"), Support("binary"), Support("ordinal", levels=17)


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
    assert len(picture) < 40_000  # a page holds up to ten frames of each model


def test_ink_is_for_pictures_on_an_empty_ground_only() -> None:
    drawn = torch.zeros((20, 1, 8, 8))
    drawn[:, :, 2:6, 3:5] = 16
    assert view_of(Event.of((1, 8, 8), LEVELS), drawn).ink  # type: ignore[attr-defined]
    assert not view_of(Event.of((1, 8, 8), LEVELS), 16 - drawn).ink  # type: ignore[attr-defined]


def test_a_table_shows_the_columns_that_belong_together() -> None:
    x = torch.randn((300, 5), generator=torch.Generator().manual_seed(0))
    x[:, 3] = x[:, 1] ** 3
    assert view_of(Event.of(5, REAL), x).pair == (1, 3)  # type: ignore[attr-defined]


def test_names_of_columns_are_letters_and_no_formulas() -> None:
    x = torch.randn((50, 3), generator=torch.Generator().manual_seed(0))
    names = ("$\\foo$", "a$", "_{")
    view = view_of(Event((3,), (REAL,) * 3, names=names), x)
    assert view.records(x, "#2f80d0").startswith("data:image/png;base64,")
