"""The README's picture: the top of a report, down to its table, with the slider of the paths half way.

    hexad compare digits --out runs/compare-digits
    python benchmarks/picture.py runs/compare-digits/report.html docs/report.png

Needs playwright (an extra of `dev`) and a chromium on the path.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--width", type=int, default=900, help="of the window, in pixels")
    parser.add_argument("--until", default="table.main", help="what the picture ends with: a selector of the page")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    asked = parser.parse_args()
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        # as root its sandbox is refused; what it opens here is a file of our own
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": asked.width, "height": 900}, color_scheme=asked.scheme)
        page.goto(asked.report.resolve().as_uri())
        # as tall as the page, so that what sticks to the window's edge lies where it belongs
        page.set_viewport_size({"width": asked.width, "height": page.evaluate("document.documentElement.scrollHeight")})
        slider = page.get_by_role("slider")
        if slider.count():
            slider.evaluate("s => { s.value = Math.round(s.max / 2); s.dispatchEvent(new Event('input')); }")
        box = page.locator(asked.until).first.bounding_box()
        height = box["y"] + box["height"] + 16 if box else 1400
        page.screenshot(path=asked.out, clip={"x": 0, "y": 0, "width": asked.width, "height": height})
        browser.close()


if __name__ == "__main__":
    main()
