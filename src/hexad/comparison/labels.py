"""Names beside dots, so that they cover neither dots nor lines nor each other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from hexad.comparison.figures import GREY, INK

__all__ = ["write_names"]

ANGLES = (0, 180, -45, 45, -135, 135, -90, 90)  # the first that is free is taken
DISTANCES = (7, 11, 16, 23, 32, 43, 56, 72)  # in points, likewise
NEAR = 11  # beyond, a thin line says which dot is meant


def write_names(axes: Axes, names: Sequence[str], dots: Sequence[Bbox], taken: Sequence[Bbox]) -> None:
    """Write names beside dots, from the top down, each where it covers least and is nearest to its own dot.

    Args:
        axes: whose layout is done.
        names: one a dot.
        dots: where the dots are, in pixels.
        taken: what else is there, in pixels.
    """
    scale = axes.figure.dpi / 72  # pixels a point
    room = Bbox.from_extents(axes.bbox.x0, axes.bbox.y0, axes.figure.bbox.x1, axes.figure.bbox.y1)
    covered = [*dots, *taken]
    centres = np.array([((dot.x0 + dot.x1) / 2, (dot.y0 + dot.y1) / 2) for dot in dots])
    for i in np.argsort(-centres[:, 1], kind="stable"):
        own, others = centres[i], np.delete(centres, i, 0)
        x, y = axes.transData.inverted().transform(own)
        text = axes.annotate(
            names[i],
            (float(x), float(y)),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            va="bottom",
            annotation_clip=False,
            zorder=4,
            parse_math=False,
        )
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height])
        choices = [(_beside(own, size, d * scale, angle), d) for d in DISTANCES for angle in ANGLES]
        corner, distance = min(
            choices,
            key=lambda choice: (
                _covers(choice[0], size, covered, room) + _astray(choice[0], size, own, others) * size[1],
                choice[1],
            ),
        )
        # the page's letters may be a little wider than those that are measured here
        covered.append(Bbox.from_bounds(*corner, *size).padded(2 * scale))
        text.set_position((corner - own) / scale)
        if distance > NEAR or _astray(corner, size, own, others):
            line = axes.transData.inverted().transform([own, np.clip(own, corner, corner + size)])
            axes.plot(*line.T, color=GREY, linewidth=0.6, clip_on=False, zorder=1)


def _beside(centre: np.ndarray, size: np.ndarray, distance: float, angle: float) -> np.ndarray:
    """Return the lower left corner of a box that lies at a distance from a point, in a direction."""
    way = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    lean = np.round(way / np.abs(way).max(), 3)
    return np.asarray(centre + distance * way - size * (0.5 - 0.5 * lean))


def _covers(corner: np.ndarray, size: np.ndarray, taken: Sequence[Bbox], room: Bbox) -> float:
    """Return the area of a box that covers others or leaves the picture."""
    box = Bbox.from_bounds(*corner, *size)
    inside = Bbox.intersection(box, room)
    outside = box.width * box.height - (inside.width * inside.height if inside is not None else 0.0)
    over = [Bbox.intersection(box, other) for other in taken]
    return round(outside, 6) + sum(b.width * b.height for b in over if b is not None)


def _astray(corner: np.ndarray, size: np.ndarray, own: np.ndarray, others: np.ndarray) -> bool:
    """Return whether a box is nearer to another dot than to its own, or nearly so."""
    points = np.vstack([own[None], others])
    away = np.linalg.norm(points - np.clip(points, corner, corner + size), axis=1)
    return bool((away[1:] < 1.5 * away[0]).any())
