"""The page in a real browser: it asks for nothing but itself, its slider moves every path, and its tables sort."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hexad
from hexad.comparison.evidence import Evidence

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FAILING = "gaussian"


def missing(reason: str) -> None:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    measured = Evidence.of

    def of(fitted: Any, *rest: Any) -> Evidence:
        if fitted.name == FAILING:
            raise RuntimeError("<script>alert(1)</script>")
        return measured(fitted, *rest)

    out = tmp_path_factory.mktemp("browser")
    models = f"made,gan,realnvp,independent,resample,{FAILING}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Evidence, "of", of)
        return hexad.compare("digits", models=models, steps=8, out=out / "cmp", progress=False).report


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install playwright")
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        missing(f"no browser: expected one of {', '.join(BROWSERS)} on the path")
    with sync_playwright() as playwright:
        # as root its sandbox is refused; what it opens here is a file of our own
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Any]:
    """Return a function that opens the report at a width, and check at the end that nothing went wrong meanwhile."""
    trouble: list[str] = []
    pages = []

    def start(width: int = 1280, **options: Any) -> Any:
        page = browser.new_page(viewport={"width": width, "height": 844}, **options)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.on("request", lambda request: trouble.append(request.url) if foreign(request.url) else None)
        pages.append(page)
        page.goto(report.as_uri())
        return page

    def foreign(url: str) -> bool:
        return url != report.as_uri() and not url.startswith("data:image/")

    yield start
    for page in pages:
        page.close()
    assert trouble == []


def shown(page: Any) -> list[str]:
    """Return what the frame that each path shows is called."""
    frames = page.locator(".path .frame").filter(visible=True)
    return frames.locator("img").evaluate_all("images => images.map(image => image.alt)")


def names(page: Any, table: str) -> list[str]:
    return page.locator(f"{table} tbody tr:not(.pinned) .name").all_inner_texts()


def test_one_slider_moves_every_path(opened: Any) -> None:
    page = opened()
    slider = page.get_by_role("slider", name="step of all paths")
    last, cards = int(slider.get_attribute("max")), page.locator(".path").count()
    assert cards == 3
    ends = shown(page)
    assert len(ends) == cards
    assert (
        page.locator(".path .frame")
        .filter(visible=True)
        .locator("img")
        .evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    )
    slider.focus()
    for _ in range(last):
        page.keyboard.press("ArrowLeft")
    starts = shown(page)
    assert len(starts) == cards
    assert all(start != end for start, end in zip(starts, ends, strict=True))
    assert slider.get_attribute("aria-valuetext") == f"step 0 of {last}"
    page.keyboard.press("End")
    assert shown(page) == ends


def test_play_goes_from_the_first_step_to_the_sample_and_nothing_moves_by_itself(opened: Any) -> None:
    page = opened(reduced_motion="reduce")
    page.clock.install(time=0)
    page.clock.pause_at(1_000)  # else it goes on between the calls, and a slow machine sees a step more
    ends = shown(page)
    page.clock.run_for(5_000)
    assert shown(page) == ends
    page.get_by_role("button", name="play all paths").click()
    starts = shown(page)
    assert all(start != end for start, end in zip(starts, ends, strict=True))
    page.clock.run_for(1_000)
    between = shown(page)
    assert between not in (starts, ends)
    page.get_by_role("button", name="pause").click()
    page.clock.run_for(5_000)
    assert shown(page) == between
    page.get_by_role("button", name="play all paths").click()
    page.clock.run_for(20_000)
    assert shown(page) == ends
    assert page.get_by_role("button", name="play all paths").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_headers_sort_and_failures_stay_at_the_bottom(opened: Any, width: int) -> None:
    page = opened(width)
    table = page.locator("table.main")
    before = names(page, "table.main")
    assert before[-1] == FAILING
    header = table.get_by_role("columnheader", name="1,000 samples")
    values = table.locator("tbody tr:not(.failed) td:last-child")
    header.get_by_role("button").click()
    seconds = [float(text) for text in values.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
    assert seconds == sorted(seconds)
    assert len(seconds) == len(before) - 1
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page, "table.main")[-1] == FAILING
    page.keyboard.press("Enter")  # the button has the focus
    again = [float(text) for text in values.evaluate_all("cells => cells.map(cell => cell.dataset.value)")]
    assert again == seconds[::-1]
    assert header.get_attribute("aria-sort") == "descending"
    assert names(page, "table.main")[-1] == FAILING
    assert table.locator("[aria-sort=ascending], [aria-sort=descending]").count() == 1
    page.keyboard.press("Enter")  # the quick ones, which have no likelihood, are above the others now
    assert names(page, "table.main")[0] in ("gan", "resample")
    likelihood = table.get_by_role("columnheader", name="log-likelihood").get_by_role("button")
    for _ in range(2):  # who has none is below those who have, in both directions
        likelihood.click()
        assert set(names(page, "table.main")[-3:-1]) == {"gan", "resample"}
    likelihood.click()
    assert [name for name in names(page, "table.main") if name not in ("gan", "resample")] == [
        name for name in before if name not in ("gan", "resample")
    ]
    table.get_by_role("columnheader", name="model").get_by_role("button").click()
    assert names(page, "table.main")[:-1] == sorted(before[:-1])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_is_as_wide_as_the_window_in_both_colours(opened: Any, width: int, scheme: str) -> None:
    page = opened(width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (lightness(paper) > lightness(ink)) == (scheme == "light")
    assert abs(lightness(paper) - lightness(ink)) > 150


def lightness(colour: str) -> float:
    parts = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    return sum(parts) / 3


@pytest.mark.parametrize("width", [390, 1280])
def test_names_in_the_pictures_of_cost_cover_nothing(opened: Any, width: int) -> None:
    page = opened(width)
    boxes = page.locator(".charts.wide svg").evaluate_all(
        """pictures => pictures.map(picture => [...picture.querySelectorAll("text")].map(text => {
            const box = text.getBoundingClientRect();
            return [text.textContent, box.left, box.top, box.right, box.bottom];
        }))"""
    )
    assert boxes
    for picture in boxes:
        assert {"made", "realnvp"} <= {name for name, *_ in picture}
        for i, (a, left, top, right, bottom) in enumerate(picture):
            for b, *other in picture[:i]:
                across = min(right, other[2]) - max(left, other[0])
                up = min(bottom, other[3]) - max(top, other[1])
                assert not (across > 2 and up > 3), (a, b)


def test_without_script_all_frames_are_there_and_no_dead_controls(opened: Any) -> None:
    page = opened(java_script_enabled=False)
    strips = page.locator(".path .film")
    assert strips.count() == 3
    frames = page.locator(".path .frame")
    assert frames.filter(visible=True).count() == frames.count() > 10
    assert page.get_by_role("slider").count() == 0
    assert page.get_by_role("button").count() == 0
