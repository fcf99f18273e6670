"""From arrays and matplotlib figures to pictures inside the page: data URIs, and SVG in the page's own colours."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

__all__ = ["COLOURS", "GREY", "INK", "canvas", "colour_of", "curves", "picture_uri", "png_uri", "svg"]

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
    return text.replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def picture_uri(picture: np.ndarray, width: int = 480) -> str:
    """Return an array (height, width, 3 or 4) of values in [0, 1] as a data URI.

    Pixels are repeated up to about ``width``; what stays heavy is stored with loss.
    """
    pixels = (255 * np.clip(np.nan_to_num(picture), 0, 1) + 0.5).astype(np.uint8)
    times = max(1, round(width / pixels.shape[1]))
    image = Image.fromarray(pixels.repeat(times, 0).repeat(times, 1))
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    if buffer.tell() <= HEAVY:
        return _uri(buffer.getvalue(), "png")
    small = io.BytesIO()
    Image.fromarray(pixels).save(small, "webp", quality=80)
    return _uri(small.getvalue(), "webp")


def curves(log: Sequence[dict[str, Any]], colour: str, title: str) -> str | None:
    """Return the losses of the players, and what was validated, over the seconds of training, as SVG.

    Args:
        log: the lines of ``metrics.jsonl``.
        colour: of the model.
        title: for readers of the page who do not see it.
    """
    losses: dict[str, list[tuple[float, float]]] = {}
    checks: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        for name, value in line.get("loss", {}).items():
            losses.setdefault(name, []).append((line["seconds"], value))
        for name, value in line.get("valid", {}).items():
            checks.setdefault(name, []).append((line["seconds"], value))
    if not losses:
        return None
    figure, ((top,), (bottom,)) = canvas(3.5, 2.7, 2, 1, sharex=True)
    for i, (name, points) in enumerate(losses.items()):
        seconds, values = _thinned(points)
        top.plot(seconds, values, color=colour, linewidth=1.3, alpha=1.0 if i == 0 else 0.45, label=name)
        _within(top, values, first=i == 0)
    for name, points in checks.items():
        seconds, values = np.array(points, dtype=float).T
        bottom.plot(seconds, values, color=colour, linewidth=1.3, marker="o", markersize=2.8)
        _within(bottom, values, first=True)
        bottom.set_ylabel(_short(name.replace("_", " ")), color=INK, fontsize=8)
    top.set_ylabel("loss", color=INK, fontsize=8)
    bottom.set_xlabel("seconds", color=INK, fontsize=8)
    if len(losses) > 1:
        top.legend(fontsize=7, frameon=False, labelcolor=INK)
    for axes in (top, bottom):
        axes.tick_params(labelsize=7, colors=INK, length=2, width=0.5)
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.5)
        axes.locator_params(axis="y", nbins=4)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set(color=GREY, linewidth=0.6)
    return svg(figure, title)


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _thinned(points: list[tuple[float, float]], most: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Return means of neighbours, at most ``most`` of them: (seconds, values)."""
    array = np.array(points, dtype=float)
    pieces = np.array_split(array, min(most, len(array)))
    means = np.array([piece.mean(0) for piece in pieces])
    return means[:, 0], means[:, 1]


def _within(axes: Axes, values: np.ndarray, first: bool) -> None:
    """Set the range to where the curve is after its first steps, so that these do not flatten the rest."""
    values = values[np.isfinite(values)]
    if len(values) < 3:
        return
    low, high = np.percentile(values[len(values) // 10 :], [0, 100])
    if not first:
        low, high = min(low, axes.get_ylim()[0]), max(high, axes.get_ylim()[1])
    margin = 0.08 * (high - low) or 0.1
    axes.set_ylim(low - margin, high + margin)


def _uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
