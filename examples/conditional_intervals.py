"""A table with conditional intervals: what a flow says of one column, given the others.

python examples/conditional_intervals.py [PICTURE [STEPS]]

With HEXAD_DATA, the folder of real data, the table is that of a power plant: its output given the weather. Else it is
made up: a wave whose noise grows to both sides, wider for one of two kinds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import hexad

PLANT = ("temperature", "vacuum", "pressure", "humidity", "power")
LEVEL, STEPS, SHOWN = 0.9, 1000, 1000


def wave(n: int = 6000) -> pd.DataFrame:
    """Return y = sin x + s noise with s = (0.1 + 0.15 |x|) times 1 where the kind is calm and 2 where it is rough."""
    draw = np.random.default_rng(0)
    x, kind = draw.uniform(-3, 3, n), draw.choice(["calm", "rough"], n)
    width = (0.1 + 0.15 * np.abs(x)) * np.where(kind == "calm", 1, 2)
    return pd.DataFrame({"x": x, "kind": kind, "y": np.sin(x) + width * draw.normal(size=n)})


def table() -> pd.DataFrame:
    """Return the power plant's table where it can be had, else the one made up; the last column is to be predicted."""
    path = Path(os.environ.get("HEXAD_DATA", "")) / "uci_regression" / "power-plant" / "data.txt.gz"
    return pd.read_csv(path, sep=r"\s+", names=list(PLANT)) if path.is_file() else wave()


def draw_picture(axes: object, data: hexad.Data, fitted: hexad.Fitted) -> None:
    """Draw the test rows over the first column of the context, with the band where the other columns rest."""
    first, *others = list(data.context)
    target, seen = data.names[0], data.known("test")
    numbers = [name for name in others if seen[name].dtype.kind == "f"]
    classes = [name for name in others if name not in numbers]
    along = np.linspace(*np.quantile(seen[first], [0.005, 0.995]), 64)
    rest = {name: float(np.median(seen[name])) for name in numbers}
    kinds = np.unique(seen[classes[0]]) if classes else [None]
    for colour, kind in zip(("#e4572e", "#2f80d0")[-len(kinds) :], kinds[::-1], strict=True):
        band = fitted.predict({first: along, **rest, **({classes[0]: kind} if classes else {})}, LEVEL, n=4000)
        rows = seen[classes[0]] == kind if classes else slice(None)
        said = f"{LEVEL:.0%} interval" + (f", {kind}" if classes else ", the rest at its median" if rest else "")
        axes.scatter(seen[first][rows], np.asarray(data.test)[rows, 0], 4, color=colour, alpha=0.35, linewidth=0)
        axes.fill_between(along, band["lower"], band["upper"], color=colour, alpha=0.22, linewidth=0, label=said)
        axes.plot(along, band["mean"], color=colour, linewidth=1.8, label="mean" + (f", {kind}" if classes else ""))
    axes.set(xlabel=first, ylabel=target)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)


def main(picture: str | None = None, steps: str = str(STEPS)) -> None:
    """Train, print the first predictions and how many test rows lie inside, and draw where a file is named."""
    frame = table()
    *context, target = frame.columns
    data = hexad.load_data(frame, context=context)
    fitted = hexad.fit("maf", data, steps=int(steps), progress=False)
    known = pd.DataFrame(data.known("test")).head(SHOWN)
    y = data.test[target].to_numpy()[: len(known)]
    predicted = fitted.predict(known, LEVEL, n=400)
    print(pd.concat([known, predicted, pd.Series(y, name=target)], axis=1).head(8).round(2).to_string(index=False))
    inside = ((y >= predicted["lower"]) & (y <= predicted["upper"])).mean()
    print(f"{inside:.1%} of {len(y)} test rows lie in their {LEVEL:.0%} interval")
    stated = fitted.log_likelihood(data.test.head(len(known)), context=known)
    print(f"log p({target} | {stated.given}): {stated.kind}, mean {float(stated.value.mean()):.3f} nats a row")
    if picture:
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        draw_picture(figure.subplots(), data, fitted)
        figure.savefig(picture, dpi=150)
        print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
