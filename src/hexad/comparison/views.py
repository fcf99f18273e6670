"""How records are drawn: pictures as a grid, two columns as a cloud, tables as columns and pairs, series as lines, text
as text.

A view is made once from the real records, so that every model's samples have the same scales and the same number.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from torch import Tensor

from hexad.comparison.figures import GREY, HEAVY, bare, canvas, picture_uri, png_uri
from hexad.event import Event

__all__ = ["Bits", "Lines", "Pictures", "Plane", "Table", "Texts", "View", "view_of"]

SIDE = 48  # pixels of a picture's longer side, at most
FRAME = 2.3  # inches of a frame of a path


class View(ABC):
    """Draws records of one event.

    To implement one: give :meth:`records` and :meth:`frame`, both as data URIs.

    Args:
        event: what one record is.
        real: real records, (n, \\*shape) in the user's units.
    """

    caption: str
    path_rows: int = 9

    def __init__(self, event: Event, real: Tensor) -> None:
        self.event = event
        self.real = real.double().numpy()

    @abstractmethod
    def records(self, x: Any, colour: str, real: bool = False) -> str:
        """Return records (n, \\*shape) as a picture in this colour; ``real`` ones are not set beside themselves."""

    @abstractmethod
    def frame(self, x: Any, colour: str) -> str:
        """Return one state of a path, (n, \\*shape), as a small picture."""


class Pictures(View):
    """Images: a grid of 36, ink in the model's colour where the data are ink on an empty ground, else as they are."""

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        self.caption = "36 pictures each, the first that were drawn"
        if event.kind == "real":
            self.low, self.high = np.percentile(self.real, [0.5, 99.5])
        else:
            self.low, self.high = 0.0, float(event.levels - 1)
        corners = self.real[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
        empty = min(float((self.real <= self.low).mean()) / 0.25, float((corners <= self.low).mean()) / 0.75)
        self.ink = event.shape[0] == 1 and empty > 1

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        return picture_uri(self._grid(x[:36], 6, colour))

    def frame(self, x: Any, colour: str) -> str:
        return picture_uri(self._grid(x[:9], 3, colour), 320, HEAVY // 10)

    def _grid(self, x: Any, columns: int, colour: str) -> np.ndarray:
        """Return pictures side by side with a gap of one pixel, (height, width, 4)."""
        array = np.nan_to_num(np.asarray(x, dtype=float))
        tiles = ((array - self.low) / max(self.high - self.low, 1e-300)).clip(0, 1)
        stride = math.ceil(max(tiles.shape[2:]) / SIDE)
        tiles = tiles[:, :, ::stride, ::stride]
        n, _, height, width = tiles.shape
        rows = math.ceil(n / columns)
        sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, 4))
        for i, tile in enumerate(tiles):
            top, left = (i // columns) * (height + 1), (i % columns) * (width + 1)
            sheet[top : top + height, left : left + width] = self._coloured(tile, colour)
        return sheet

    def _coloured(self, tile: np.ndarray, colour: str) -> np.ndarray:
        height, width = tile.shape[1:]
        out = np.ones((height, width, 4))
        if self.ink:
            out[..., :3] = _rgb(colour)
            out[..., 3] = 0.05 + 0.95 * tile[0]
        else:
            out[..., :3] = np.moveaxis(tile[:3], 0, -1) if tile.shape[0] >= 3 else tile.mean(0)[..., None]
        return out


class Plane(View):
    """Two columns: a cloud of points over the real ones. More columns: the two that belong together most."""

    path_rows = 256

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        self.flat = self.real.reshape(len(self.real), -1)
        self.pair = (0, 1) if event.dims == 2 else _strongest_pair(self.flat)
        self.names = [event.names[i] if event.names else f"x{i}" for i in self.pair]
        self.caption = f"samples in colour over real records in grey; {self.names[0]} across, {self.names[1]} up"
        ends = np.percentile(self.flat[:, self.pair], [0.2, 99.8], axis=0)
        reach = np.maximum(ends[1] - ends[0], 1e-300)
        self.ends = np.stack([ends[0] - 0.12 * reach, ends[1] + 0.12 * reach])

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        figure, ((axes,),) = canvas(3.2, 3.2)
        self.cloud(axes, x, colour, 2000, real)
        return png_uri(figure, 130)

    def frame(self, x: Any, colour: str) -> str:
        figure, ((axes,),) = canvas(FRAME, FRAME)
        self.cloud(axes, x, colour, 256, True, 4.0)
        return png_uri(figure, 130)

    def cloud(self, axes: Any, x: Any, colour: str, most: int, alone: bool = False, size: float = 3.0) -> None:
        """Draw points (n, \\*shape) into axes, over the real ones unless ``alone``."""
        points = np.asarray(x, dtype=float)[:most]
        points = points.reshape(len(points), -1)[:, self.pair]
        if not alone:
            real = self.flat[: len(points)][:, self.pair]
            axes.scatter(*real.T, s=size, color=GREY, alpha=0.35, linewidths=0)
        axes.scatter(*points.T, s=size, color=colour, alpha=0.6, linewidths=0)
        axes.set(xlim=self.ends[:, 0], ylim=self.ends[:, 1])
        bare(axes)


class Table(Plane):
    """A table: the two columns that belong together most as a cloud, and the marginals of up to four columns."""

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        others = [i for i in range(event.dims) if i not in self.pair]
        self.columns = [*self.pair, *others][:4]
        low, high = np.percentile(self.flat[:, self.columns], [0.2, 99.8], axis=0)
        self.edges = [np.linspace(a, b if b > a else a + 1, 29) for a, b in zip(low, high, strict=True)]
        self.caption += "; below, single columns: real records filled, samples as a line"

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        figure, _ = canvas(3.2, 3.9)
        figure.clear()
        parts = figure.subplot_mosaic(
            [[0] * len(self.columns), [*range(1, len(self.columns) + 1)]], height_ratios=[3.4, 1]
        )
        self.cloud(parts[0], x, colour, 1500, real)
        flat = np.asarray(x, dtype=float).reshape(len(x), -1)
        for i, (column, edges) in enumerate(zip(self.columns, self.edges, strict=True)):
            axes = parts[i + 1]
            fill, line = (colour, None) if real else (GREY, colour)
            axes.hist(self.flat[:, column], edges, density=True, color=fill, alpha=0.4)
            if line:
                values = flat[np.isfinite(flat[:, column]), column]
                axes.hist(values, edges, weights=_weights(values, edges), histtype="step", color=line, linewidth=1.2)
            bare(axes)
            for side in ("left", "right", "top"):
                axes.spines[side].set_visible(False)
            name = self.event.names[column] if self.event.names else f"x{column}"
            short = name if len(name) < 13 else name[:12] + "…"
            axes.set_xlabel(short, fontsize=6.5, color=GREY, parse_math=False)
        return png_uri(figure, 130)


class Histogram(View):
    """One column: its histogram."""

    path_rows = 256

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        self.caption = "real records filled, samples as a line"
        low, high = np.percentile(self.real, [0.2, 99.8])
        self.edges = np.linspace(low, high, 41)

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        return self._bars(x, colour, 3.2, real)

    def frame(self, x: Any, colour: str) -> str:
        return self._bars(x, colour, FRAME, False)

    def _bars(self, x: Any, colour: str, size: float, real: bool) -> str:
        figure, ((axes,),) = canvas(size, size)
        axes.hist(self.real.ravel(), self.edges, density=True, color=colour if real else GREY, alpha=0.4)
        if not real:
            values = np.asarray(x, dtype=float).ravel()
            values = values[np.isfinite(values)]
            axes.hist(values, self.edges, weights=_weights(values, self.edges), histtype="step", color=colour)
        bare(axes)
        return png_uri(figure, 130)


class Bits(View):
    """Binary columns: records as rows of ink, and how often two columns are 1 together against how often they are."""

    path_rows = 24

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        self.flat = self.real.reshape(len(self.real), -1)
        spread = self.flat.var(0)
        self.columns = np.sort(np.argsort(-spread, kind="stable")[:64])
        self.pairs = np.triu_indices(min(len(self.columns), 40), 1)
        self.together = self._together(self.flat)
        self.caption = (
            f"above, 24 records as rows, their {len(self.columns)} most varied columns; "
            "below, how often two columns are 1 together: real across, samples up"
        )

    def _together(self, flat: np.ndarray) -> np.ndarray:
        x = flat[:, self.columns[:40]]
        return (x.T @ x / len(x))[self.pairs]

    def _rows(self, axes: Any, x: Any, colour: str, most: int) -> None:
        flat = np.nan_to_num(np.asarray(x, dtype=float).reshape(len(x), -1)[:most, self.columns]).clip(0, 1)
        ink = np.ones((*flat.shape, 4))
        ink[..., :3] = _rgb(colour)
        ink[..., 3] = 0.06 + 0.94 * flat
        axes.imshow(ink, aspect="auto", interpolation="nearest")
        bare(axes)

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        figure, ((top,), (bottom,)) = canvas(3.2, 3.9, 2, 1, height_ratios=[1.2, 2])
        self._rows(top, x, colour, 24)
        flat = np.asarray(x, dtype=float).reshape(len(x), -1)
        bottom.plot([0, 1], [0, 1], color=GREY, linewidth=0.7)
        bottom.scatter(self.together, self._together(flat), s=4, color=colour, alpha=0.5, linewidths=0)
        bottom.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        bare(bottom)
        return png_uri(figure, 130)

    def frame(self, x: Any, colour: str) -> str:
        figure, ((axes,),) = canvas(FRAME, FRAME)
        self._rows(axes, x, colour, 24)
        return png_uri(figure, 130)


class Lines(View):
    """A series: consecutive rows of up to three columns as lines."""

    path_rows = 128

    def __init__(self, event: Event, real: Tensor) -> None:
        super().__init__(event, real)
        self.flat = self.real.reshape(len(self.real), -1)[:, :3]
        self.caption = f"{min(128, len(self.flat))} consecutive rows; real ones in grey"
        low, high = self.flat.min(0), self.flat.max(0)
        margin = 0.15 * np.maximum(high - low, 1e-300)
        self.ends = list(zip(low - margin, high + margin, strict=True))

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        return self._drawn(x, colour, 3.2, 3.2, not real)

    def frame(self, x: Any, colour: str) -> str:
        return self._drawn(x, colour, FRAME, FRAME, False)

    def _drawn(self, x: Any, colour: str, width: float, height: float, beside: bool) -> str:
        flat = np.asarray(x, dtype=float).reshape(len(x), -1)[:128]
        count = self.flat.shape[1]
        figure, grid = canvas(width, height, count, 1)
        for i in range(count):
            axes = grid[i, 0]
            if beside:
                axes.plot(self.flat[-128:, i], color=GREY, linewidth=0.9, alpha=0.6)
            axes.plot(np.where(np.abs(flat[:, i]) < 1e30, flat[:, i], np.nan), color=colour, linewidth=1.1)
            axes.set_ylim(self.ends[i])
            bare(axes)
        return png_uri(figure, 130)


class Texts(View):
    """Text: the beginnings of some records as they read, a line break as a sign."""

    path_rows = 4
    across = 32  # characters of a line

    def __init__(self, event: Event, real: Tensor, alphabet: str) -> None:
        super().__init__(event, real)
        self.letters = np.array([shown if shown.isprintable() else "\u21b5" for shown in alphabet])
        self.caption = f"texts of {event.dims} characters, the first that were drawn"

    def records(self, x: Any, colour: str, real: bool = False) -> str:
        return self._drawn(x[:5], colour, 3.2, 10.5)

    def frame(self, x: Any, colour: str) -> str:
        return self._drawn(x[: self.path_rows], colour, FRAME, 8)

    def _drawn(self, x: Any, colour: str, width: float, size: float) -> str:
        figure, ((axes,),) = canvas(width, width)
        flat = np.asarray(x, dtype=float).reshape(len(x), -1)[:, : 2 * self.across]
        places = np.nan_to_num(flat).clip(0, len(self.letters) - 1).astype(int)
        texts = ["".join(self.letters[row]) for row in places]
        lines = ["\n".join(text[i : i + self.across] for i in range(0, len(text), self.across)) for text in texts]
        # a sign of dollar would open a formula
        axes.text(
            0.02, 0.98, "\n\n".join(lines), color=colour, size=size, family="monospace", va="top", parse_math=False
        )
        bare(axes)
        return png_uri(figure, 130)


def view_of(event: Event, real: Tensor, alphabet: str = "") -> View:
    """Return the view that draws records of an event; of text, with the characters that the codes stand for."""
    if alphabet:
        return Texts(event, real, alphabet)
    if event.layout == "image":
        return Pictures(event, real)
    if event.layout == "series":
        return Lines(event, real)
    if event.dims == 1:
        return Histogram(event, real)
    if event.kind == "binary":
        return Bits(event, real)
    return Plane(event, real) if event.dims == 2 else Table(event, real)


def _strongest_pair(flat: np.ndarray) -> tuple[int, int]:
    """Return the two of the first 64 columns whose ranks correlate most."""
    x = flat[:5000, :64]
    ranks = x.argsort(0, kind="stable").argsort(0, kind="stable").astype(float)
    ranks -= ranks.mean(0)
    spread = np.sqrt((ranks**2).sum(0))
    relation = np.abs(ranks.T @ ranks / np.outer(spread, spread))
    distinct = np.array([len(np.unique(column)) for column in x.T])
    rich = np.minimum(distinct, 20) / 20  # columns of few values make a poor cloud
    relation = np.triu(relation * np.outer(rich, rich), 1)
    i, j = np.unravel_index(relation.argmax(), relation.shape)
    return int(i), int(j)


def _weights(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return weights that make a histogram a density over all values, those outside the edges too."""
    return np.full(len(values), 1 / (max(1, len(values)) * (edges[1] - edges[0])))


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
