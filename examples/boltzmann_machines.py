"""Boltzmann machines on handwritten digits, black and white: what each says of them, and how each draws them.

python examples/boltzmann_machines.py [PICTURE [STEPS]]

Of a machine with 16 hidden units log Z is a sum of 65,536 terms, so that its likelihood is exact; of the others it is
annealed from both ends, and what they say is an interval or a bound. Records that are no digits have a higher free
energy, which needs no log Z.
"""

from __future__ import annotations

import sys

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import hexad
from hexad.metrics import auroc

STEPS, SHOWN = 1500, 12
MACHINES = {
    "16 hidden units": ("rbm", {"hidden": 16}),
    "64 hidden units": ("rbm", {"hidden": 64}),
    "every pair coupled": ("boltzmann", {"objective": "pseudo"}),
    "two hidden layers": ("dbm", {"hidden": [64, 32]}),
}


def main(picture: str = "machines.png", steps: int = STEPS) -> None:
    """Train the machines, print what they state, and draw their samples below records of the data."""
    data = hexad.load_data("digits", binarize=0.5)
    noise = np.random.default_rng(0).integers(0, 2, data.test.shape).astype(data.test.dtype)
    # pixels of their own frequency, but independent: strange to a model of digits alone
    shuffled = np.random.default_rng(0).permuted(data.test, axis=0)
    rows = {"the data": data.test[:SHOWN]}
    print(f"{'machine':<20} {'kind':<12} nats a record, test          told from shuffled pixels, from noise (AUROC)")
    for title, (name, options) in MACHINES.items():
        fitted = hexad.fit(name, data, steps=steps, seed=0, progress=False, **options)
        stated = fitted.log_likelihood(data.test)
        mean = float(stated.value.mean())
        ends = ""
        if stated.kind == "interval" and stated.low is not None and stated.high is not None:
            ends = f" [{float(stated.low.mean()):.2f}, {float(stated.high.mean()):.2f}]"
        scores = [fitted.score_outliers(x) for x in (data.test, shuffled, noise)]
        told = [auroc(scores[0], other).value for other in scores[1:]]
        said = f"{mean:.2f}{ends}"
        print(f"{title:<20} {stated.kind:<12} {said:<28} {told[0]:.3f}, {told[1]:.3f}")
        rows[title] = fitted.sample(SHOWN, seed=0)
    draw(rows, picture)
    print(f"picture: {picture}")


def draw(rows: dict[str, np.ndarray], picture: str) -> None:
    """Draw rows of pictures, one a source, under its name."""
    figure = Figure(figsize=(SHOWN * 0.7, len(rows) * 0.95), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, pictures) in zip(np.atleast_1d(figure.subplots(len(rows), 1)), rows.items(), strict=True):
        strip = np.full((8, 9 * SHOWN - 1), 0.5)
        for i, one in enumerate(pictures):
            strip[:, 9 * i : 9 * i + 8] = 1 - np.asarray(one).reshape(8, 8)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, loc="left", fontsize=9)
        axes.axis("off")
    figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:3]))
