"""Quality against cost: what each model reaches, what it takes, and the front of those that no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from hexad.comparison.figures import GREY, INK, canvas, svg
from hexad.comparison.labels import write_names
from hexad.comparison.ranking import RANKED
from hexad.comparison.standing import Standing
from hexad.comparison.words import duration, significant

__all__ = ["Point", "Trade", "front", "likelihood_trade", "pareto", "sample_trade"]


@dataclass(frozen=True)
class Point:
    """A model in a picture of quality against cost.

    Args:
        name: of the model.
        colour: of its family.
        seconds: what it takes.
        quality: what it reaches, more is better.
        hollow: whether it is a baseline.
        outside: whether it is below what is shown, and drawn at the lower edge.
        ranked: whether it can be on the front.
    """

    name: str
    colour: str
    seconds: float
    quality: float
    hollow: bool = False
    outside: bool = False
    ranked: bool = True


@dataclass(frozen=True)
class Trade:
    """What stands in a picture, whatever the cost is.

    Args:
        label: of the quality, in words.
        models: that are shown, each with its quality (more is better) and whether it is ranked.
        lines: horizontal lines, a quality and what it is.
        lowest: the least quality that is shown.
        sign: what a quality is multiplied by to be the number in words.
        left_out: in words, who is not in the picture, and who is not on the front.
    """

    label: str
    models: tuple[tuple[Standing, float, bool], ...]
    lines: tuple[tuple[float, str], ...]
    lowest: float
    sign: int
    left_out: tuple[str, ...]


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return which of the points (cost, quality) no other beats, the cheapest first.

    >>> front([(1.0, 0.2), (2.0, 0.1), (3.0, 0.9), (1.0, 0.1)])
    [0, 2]
    """
    chosen: list[int] = []
    for i in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1])):
        if not chosen or points[i][1] > points[chosen[-1]][1]:
            chosen.append(i)
    return chosen


def likelihood_trade(models: Sequence[Standing]) -> Trade | None:
    """Return the guaranteed log-likelihoods, in nats behind the best; None where fewer than two can be compared."""
    best = next((model for model in models if model.best), None)
    if best is None:
        return None
    shown, silent, other = [], [], []
    for model in models:
        if not model.done:
            continue
        if model.stated is None:
            silent.append(model.name)
        elif model.behind is None or model.behind.to != best.name or model.stated["kind"] not in RANKED:
            other.append(model.name)
        else:
            shown.append((model, model.behind.value, True))
    if len(shown) < 2:
        return None
    words = [f"Without a likelihood: {', '.join(silent)}."] if silent else []
    words += [f"Not comparable with the best: {', '.join(other)}."] if other else []
    lowest = min(value for model, value, _ in shown if model.bar and not model.bar.cut)
    return Trade("nats a record behind the best", tuple(shown), (), lowest, -1, tuple(words))


def sample_trade(models: Sequence[Standing], name: str, measure: Any) -> Trade | None:
    """Return a metric of the samples; None where fewer than two models have a value.

    A model that copies is shown, but is not on the front: to repeat the training records is cheap, and near to all.
    """
    found = [(model, model.scores[name]) for model in models if model.done and name in model.scores]
    sign = 1 if measure.better == "higher" else -1
    shown, undefined, copying = [], [], []
    for model, score in found:
        if score.value is None:
            undefined.append(model.name)
            continue
        copied = _copies(model)
        copying += [model.name] if copied else []
        shown.append((model, sign * score.value, not copied))
    if len(shown) < 2:
        return None
    ends = next((score for _, score in found if score.bar is not None), None)
    lines: tuple[tuple[float, str], ...] = ()
    values = [value for _, value, _ in shown]
    lowest = min(values)
    if ends is not None and ends.floor is not None and ends.baseline is not None:
        lines = ((sign * ends.floor, "real records"), (sign * ends.baseline, measure.baseline))
        top, bottom = max(end for end, _ in lines), min(end for end, _ in lines)
        lowest = max(lowest, bottom - 0.6 * (top - bottom))
    words = [f"Not defined: {', '.join(undefined)}."] if undefined else []
    words += [f"Off the front, as samples lean on training records: {', '.join(copying)}."] if copying else []
    return Trade(measure.title, tuple(shown), lines, lowest, sign, tuple(words))


def _copies(model: Standing) -> bool:
    """Return whether a model's samples are nearer to training records drawn again than to new ones, beyond chance."""
    score = model.scores.get("copies")
    sure = score is not None and all(p <= 0.05 for p in score.p_values)
    return sure and score is not None and score.bar is not None and score.bar.place < 0.5


def pareto(trade: Trade, cost: str, words: str) -> str | None:
    """Return the picture of a trade as SVG, or None where fewer than two of its models have the cost.

    Args:
        trade: what is shown.
        cost: ``train_seconds`` or ``sample_seconds``.
        words: the cost in words.
    """
    points = [
        Point(model.name, model.colour, seconds, quality, model.baseline, quality < trade.lowest, ranked)
        for model, quality, ranked in trade.models
        if (seconds := getattr(model, cost)) is not None and seconds > 0
    ]
    if len(points) < 2:
        return None
    figure, ((axes,),) = canvas(4.1, 3.2)
    _frame(axes, points, trade, words)
    figure.canvas.draw()  # the layout has to be known before names are placed
    figure.set_layout_engine("none")
    bottom = axes.get_ylim()[0]
    dots = _dots(axes, points)
    taken = [box for quality, name in trade.lines for box in _horizontal(axes, quality, name, dots)]
    taken += _steps(axes, points)
    for point in points:
        marker, y = ("v", bottom) if point.outside else ("o", point.quality)
        face = "none" if point.hollow else point.colour
        axes.plot(
            [point.seconds],
            [y],
            marker,
            markersize=7,
            markerfacecolor=face,
            markeredgecolor=point.colour,
            markeredgewidth=1.5,
            clip_on=False,
            zorder=3,
        )
    write_names(axes, [point.name for point in points], dots, taken)
    return svg(figure, f"{trade.label} against {words}")


def _frame(axes: Axes, points: Sequence[Point], trade: Trade, words: str) -> None:
    low, high = (math.log10(end([p.seconds for p in points])) for end in (min, max))
    room = max(0.3, 0.09 * (high - low))
    axes.set_xscale("log")
    axes.set_xlim(10 ** (low - room), 10 ** (high + room))
    tops = [p.quality for p in points if not p.outside] + [quality for quality, _ in trade.lines]
    top, bottom = max(tops), min([trade.lowest, *(quality for quality, _ in trade.lines)])
    margin = 0.08 * (top - bottom) or 0.5
    axes.set_ylim(bottom - margin, top + margin)
    axes.xaxis.set_major_locator(LogLocator(10, numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: duration(x)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _plain(trade.sign * y)))
    axes.set_xlabel(words, color=INK, fontsize=8)
    axes.tick_params(labelsize=7.5, colors=INK, length=2, width=0.5)
    axes.grid(color=GREY, alpha=0.22, linewidth=0.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("bottom", "left"))
        spine.set(color=GREY, linewidth=0.6)


def _plain(value: float) -> str:
    return significant(0.0 if abs(value) < 1e-12 else float(f"{value:.6g}"), 3).rstrip("0").rstrip(".") or "0"


def _dots(axes: Axes, points: Sequence[Point]) -> list[Bbox]:
    """Return where the dots are."""
    bottom, reach = axes.get_ylim()[0], 5 * axes.figure.dpi / 72
    centres = [axes.transData.transform((p.seconds, bottom if p.outside else p.quality)) for p in points]
    return [Bbox.from_extents(*(centre - reach), *(centre + reach)) for centre in centres]


def _horizontal(axes: Axes, quality: float, name: str, dots: Sequence[Bbox]) -> list[Bbox]:
    """Draw a horizontal line with its name at the end that covers fewer dots; return where both are."""
    axes.axhline(quality, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    texts = [
        axes.annotate(
            name,
            (end, quality),
            xycoords=axes.get_yaxis_transform(),
            xytext=(2 - 4 * end, 3),
            textcoords="offset points",
            ha=side,
            fontsize=7,
            color=INK,
        )
        for end, side in ((1, "right"), (0, "left"))
    ]
    covered = [sum(text.get_window_extent().overlaps(dot) for dot in dots) for text in texts]
    chosen = texts.pop(covered.index(min(covered)))
    texts[0].remove()
    return [chosen.get_window_extent(), _thin(axes, axes.get_xlim(), (quality, quality))]


def _steps(axes: Axes, points: Sequence[Point]) -> list[Bbox]:
    """Draw the front: from the floor up to the cheapest, then a step a model, then on to the right.

    Return where its pieces are.
    """
    able = [p for p in points if p.ranked and not p.outside]
    best = [able[i] for i in front([(p.seconds, p.quality) for p in able])]
    if not best:
        return []
    x, y = [best[0].seconds], [axes.get_ylim()[0]]
    for point in best:
        x += [point.seconds, point.seconds]
        y += [y[-1], point.quality]
    x.append(axes.get_xlim()[1])
    y.append(y[-1])
    axes.plot(x, y, color=INK, alpha=0.45, linewidth=1.2, zorder=1.5)
    return [_thin(axes, x[i : i + 2], y[i : i + 2]) for i in range(len(x) - 1)]


def _thin(axes: Axes, x: Sequence[float], y: Sequence[float]) -> Bbox:
    """Return the box of a horizontal or vertical line."""
    start, end = axes.transData.transform(list(zip(x, y, strict=True)))
    return Bbox.from_extents(*(np.minimum(start, end) - 1), *(np.maximum(start, end) + 1))
