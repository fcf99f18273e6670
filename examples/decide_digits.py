"""A structured decision on handwritten digits: the label and the missing half of a picture, decided together.

python examples/decide_digits.py [PICTURE [STEPS]]

The question is the upper half, 32 pixels in numbers. The answer is the label (ten values) and the 32 lower pixels, each
ink or none: 10 * 2^32 answers, too many to go through, so searches that may miss the best are held against each other.
A smaller answer, the label and eight pixels of one row, can be gone through, and there they are held to the truth.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import hexad

STEPS, SHOWN, ASKED = 150, 12, 64
UPPER = [f"p{i}" for i in range(32)]
LOWER = [f"q{i}" for i in range(32, 64)]


def halves(lower: list[str]) -> hexad.Data:
    """Return digits as a table: the upper half as the question; the label and some lower pixels as the answer."""
    digits, tables = hexad.load_data("digits"), {}
    for split in ("train", "valid", "test"):
        pixels = digits.tensor(split).flatten(1).numpy()
        upper = pd.DataFrame(pixels[:, :32] / 16, columns=UPPER)
        ink = pd.DataFrame((pixels[:, 32:] >= 8).astype(int), columns=LOWER)
        tables[split] = pd.concat([upper, ink[lower]], axis=1).assign(label=digits.context["label"][split])
    levels = dict.fromkeys(lower, 2) | {"label": 10}
    return hexad.load_data(tables, context=UPPER, support="ordinal", levels=levels)


def compare_searches(fitted: hexad.Fitted, data: hexad.Data, searches: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Print what each search reaches on test questions, and return what it decided."""
    known, found = pd.DataFrame(data.known("test")).head(ASKED), {}
    truth = data.test.head(ASKED)
    names = list(truth.columns)
    for search in searches:
        began = time.monotonic()
        found[search] = fitted.decide(known, search)
        took = time.monotonic() - began
        best = found[searches[0]]
        same = (found[search][names].to_numpy() == best[names].to_numpy()).all(1).mean()
        label = (found[search]["label"] == truth["label"]).mean()
        pixels = [name for name in names if name != "label"]
        ink = (found[search][pixels].to_numpy() == truth[pixels].to_numpy()).mean()
        energy = found[search]["energy"].mean()
        print(
            f"  {search:<11} mean energy {energy:9.4f}, the answer of {searches[0]} in {same:6.1%}, "
            f"label right {label:6.1%}, pixels right {ink:6.1%}, {took:4.1f} s"
        )
    return found


def draw_picture(data: hexad.Data, found: pd.DataFrame, picture: str) -> None:
    """Draw, a column a digit: the truth, what is seen of it, and what was decided."""
    figure = Figure(figsize=(SHOWN, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, SHOWN)
    upper = pd.DataFrame(data.known("test")).head(SHOWN).to_numpy()
    truth, label = data.test[LOWER].to_numpy()[:SHOWN], data.test["label"].to_numpy()[:SHOWN]
    decided, guessed = found[LOWER].to_numpy()[:SHOWN], found["label"].to_numpy()[:SHOWN]
    for i in range(SHOWN):
        hidden = np.full(32, np.nan)
        rows = (
            (np.concatenate([upper[i], truth[i]]), f"{label[i]}", "black"),
            (np.concatenate([upper[i], hidden]), "?", "black"),
            (np.concatenate([upper[i], decided[i]]), f"{guessed[i]}", "black" if guessed[i] == label[i] else "#b00020"),
        )
        for ax, (pixels, title, colour) in zip(axes[:, i], rows, strict=True):
            ax.set_facecolor("#f3d9b1")
            ax.imshow(pixels.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
            ax.set_title(title, fontsize=10, color=colour)
            ax.set(xticks=[], yticks=[])
    for ax, said in zip(axes[:, 0], ("truth", "seen", "decided"), strict=True):
        ax.set_ylabel(said, fontsize=10)
    figure.savefig(picture, dpi=110)
    print(f"picture: {picture}")


def main(picture: str | None = None, steps: str = str(STEPS)) -> None:
    """Train on both answers, compare searches, and draw the larger one where a file is named."""
    small = halves(LOWER[:8])
    fitted = hexad.fit("decision", small, steps=int(steps), progress=False, hidden=[64], lr=3e-3)
    stated = fitted.log_likelihood(small.test, context=small.known("test"))
    print(f"label and 8 pixels, 2,560 answers: log p {stated.kind}, mean {float(stated.value.mean()):.2f} nats")
    compare_searches(fitted, small, ("exhaustive", "coordinate", "beam", "annealing"))
    large = halves(LOWER)
    fitted = hexad.fit("decision", large, steps=int(steps), progress=False, hidden=[64], lr=3e-3, loss="log")
    print("label and 32 pixels, 4 * 10^10 answers, trained by the log loss against what coordinate descent finds:")
    found = compare_searches(fitted, large, ("annealing", "coordinate", "beam"))
    if picture:
        draw_picture(large, found["annealing"], picture)


if __name__ == "__main__":
    main(*sys.argv[1:3])
