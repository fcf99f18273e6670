"""How training went: curves of losses and of what was validated, what else was watched, and what the guard did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hexad.comparison.figures import GREY, INK, canvas, svg
from hexad.comparison.words import significant

__all__ = ["Log", "curves", "incidents", "vitals"]

Log = Sequence[dict[str, Any]]
EVENTS = {"rollback": "went back", "warning": "warned", "diverged": "gave up"}


def curves(log: Log, colour: str, title: str) -> str | None:
    """Return the losses of the players, and what was validated, over the seconds of training, as SVG.

    What the guard did is a dotted line at its time.

    Args:
        log: the lines of ``metrics.jsonl``.
        colour: of the model.
        title: for readers of the page who do not see it.
    """
    losses, checks = _series(log, "loss"), _series(log, "valid")
    if not losses:
        return None
    figure, grid = canvas(3.5, 2.7, 2 if checks else 1, 1, sharex=True)
    top, bottom = grid[0, 0], grid[-1, 0]
    for i, (name, points) in enumerate(losses.items()):
        seconds, values = _thinned(points)
        top.plot(seconds, values, color=colour, linewidth=1.4, alpha=1.0 if i == 0 else 0.45, label=_plain(name))
        _within(top, values, first=i == 0)
    for name, points in checks.items():
        seconds, values = np.array(points, dtype=float).T
        bottom.plot(seconds, values, color=colour, linewidth=1.4, marker="o", markersize=2.8)
        _within(bottom, values, first=True)
        bottom.set_ylabel(_short(_plain(name)), color=INK, fontsize=8)
    top.set_ylabel("loss", color=INK, fontsize=8)
    bottom.set_xlabel("seconds", color=INK, fontsize=8)
    if len(losses) > 1:
        top.legend(fontsize=7, frameon=False, labelcolor=INK)
    for axes in grid[:, 0]:
        for moment in _moments(log):
            axes.axvline(moment, color=INK, alpha=0.6, linewidth=0.8, linestyle=":")
        axes.tick_params(labelsize=7, colors=INK, length=2, width=0.5)
        axes.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.5)
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(_tick))
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set(color=GREY, linewidth=0.6)
    figure.align_ylabels()
    return svg(figure, title)


def vitals(log: Log) -> list[dict[str, str]]:
    """Return what else was watched: its name, its last value, and its course as the points of an SVG polyline.

    The course lies in a box of 100 by 20.
    """
    found = []
    for name, points in _series(log, "vitals").items():
        seconds, values = _thinned([(s, v) for s, v in points if v is not None and np.isfinite(v)], 60)
        if len(values) < 2:
            continue
        across = 100 * (seconds - seconds[0]) / max(seconds[-1] - seconds[0], 1e-12)
        reach = values.max() - values.min()
        up = 18 - 16 * (values - values.min()) / reach if reach > 0 else np.full(len(values), 10.0)
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))
        found.append({"name": _plain(name), "last": significant(points[-1][1], 3), "line": line})
    return found


def incidents(log: Log) -> list[dict[str, Any]]:
    """Return what the guard saw, in order: ``{"what", "step", "reason", "did"}``; resumptions are not among it."""
    found = []
    for entry in log:
        if entry.get("event") not in EVENTS:
            continue
        back = f"back to step {entry['to']:,}" if entry.get("to") is not None else ""
        did = "; ".join(word for word in (back, str(entry.get("did") or "")) if word)
        found.append(
            {
                "what": EVENTS[entry["event"]],
                "step": entry.get("step"),
                "reason": str(entry.get("reason") or "no reason given"),
                "did": did,
            }
        )
    return found


def _series(log: Log, key: str) -> dict[str, list[tuple[float, float]]]:
    """Return what is logged under a key as (seconds, value), by name."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        for name, value in (line.get(key) or {}).items():
            found.setdefault(name, []).append((line["seconds"], value))
    return found


def _moments(log: Log) -> list[float]:
    """Return the seconds at which the guard acted: those of the line before."""
    seconds, found = 0.0, []
    for line in log:
        seconds = line.get("seconds", seconds)
        if line.get("event") in EVENTS:
            found.append(seconds)
    return found


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _tick(value: float, _: Any) -> str:
    return f"{value:.4g}".replace("-", "−")


def _thinned(points: list[tuple[float, float]], most: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Return means of neighbours, at most ``most`` of them: (seconds, values)."""
    if not points:
        return np.empty(0), np.empty(0)
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
