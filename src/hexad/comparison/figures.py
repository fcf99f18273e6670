"""From arrays and matplotlib figures to pictures inside the page: data URIs, and SVG in the page's own colours."""

from __future__ import annotations

import base64
import html
import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["COLOURS", "GREY", "INK", "canvas", "colour_of", "picture_uri", "png_uri", "svg"]

# of middle lightness, so that each reads on white and on black
COLOURS = {
    "energy": "#e4572e",
    "vae": "#8a63d2",
    "gan": "#d39b0b",
    "autoregressive": "#2a9d6e",
    "flow": "#2f80d0",
    "diffusion": "#d6478c",
    "baseline": "#957a63",
}
GREY = "#8b9099"
INK = "#010203"  # in SVG: becomes the colour of the text around it
HEAVY = 200_000  # bytes of a PNG above which a picture is stored with loss


def colour_of(family: str) -> str:
    """Return the accent colour of a family."""
    return COLOURS.get(family, "#5b6470")


def canvas(width: float, height: float, rows: int = 1, columns: int = 1, **layout: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure of its own, outside pyplot's state, and its axes (rows, columns); sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def bare(axes: Axes, colour: str = GREY) -> None:
    """Take ticks away and leave a thin frame."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=0.6, alpha=0.5)
    axes.patch.set_alpha(0)


def png_uri(figure: Figure, dpi: int = 150) -> str:
    """Return a figure as a PNG data URI with nothing behind it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, transparent=True, metadata={"Software": None})
    return _uri(buffer.getvalue(), "png")


def svg(figure: Figure, title: str) -> str:
    """Return a figure as an SVG element whose ink is the colour, and whose letters are those, of the page around it."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "hexad"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)


def picture_uri(picture: np.ndarray, width: int = 480, heavy: int = HEAVY) -> str:
    """Return an array (height, width, 3 or 4) of values in [0, 1] as a data URI.

    Pixels are repeated up to about ``width``; what is more than ``heavy`` bytes is stored with loss.
    """
    pixels = (255 * np.clip(np.nan_to_num(picture), 0, 1) + 0.5).astype(np.uint8)
    times = max(1, round(width / pixels.shape[1]))
    image = Image.fromarray(pixels.repeat(times, 0).repeat(times, 1))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    if buffer.tell() <= heavy:
        return _uri(buffer.getvalue(), "png")
    small = io.BytesIO()
    Image.fromarray(pixels).save(small, "webp", quality=80)
    return _uri(small.getvalue(), "webp")


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
