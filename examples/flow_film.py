"""A film of a flow: how a spline flow bends points of a normal law into a pattern, layer by layer.

python examples/flow_film.py [PICTURE [STEPS]]        # .png: panels z_0 ... z_K; .gif: an animation

The same points are followed through all blocks of layers, from z_0, which is normal, to z_K, which are samples. They
are coloured by the angle at which they start: as every layer is invertible no two ever meet, and neighbours stay
neighbours.
"""

from __future__ import annotations

import math
import sys

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import hexad

SOURCE, POINTS, STEPS, BLOCKS = "checkerboard", 6000, 1200, 5
BETWEEN, PAUSE, END = 8, 400, 1500  # frames from one state to the next; milliseconds at each state, and at the last


def dots(axes: object, points: np.ndarray, colours: np.ndarray, title: str, reach: float) -> None:
    """Draw points into a panel that shows the square [-reach, reach]^2."""
    axes.scatter(*points.T, s=2.5, c=colours, cmap="twilight", vmin=-math.pi, vmax=math.pi, linewidth=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.spines[:].set_color("0.8")


def panels(states: np.ndarray, labels: list[str], colours: np.ndarray, reach: float) -> Figure:
    """Return a grid with a panel a state."""
    across = min(len(states), 3)
    down = math.ceil(len(states) / across)
    figure = Figure(figsize=(2.3 * across, 2.5 * down), layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.atleast_1d(figure.subplots(down, across)).ravel()
    for axes, points, label in zip(grid, states, labels, strict=False):
        dots(axes, points, colours, label, reach)
    for axes in grid[len(states) :]:
        axes.set_axis_off()
    return figure


def film(states: np.ndarray, labels: list[str], colours: np.ndarray, reach: float, path: str) -> None:
    """Write an animation: straight lines from each state to the next, slow at both ends, with a pause at each."""
    figure = Figure(figsize=(4, 4.25), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    frames, durations = [], []
    pace = [(1 - math.cos(math.pi * i / BETWEEN)) / 2 for i in range(BETWEEN)]
    for k, t in [*((k, t) for k in range(len(states) - 1) for t in pace), (len(states) - 2, 1.0)]:
        axes.clear()
        dots(axes, (1 - t) * states[k] + t * states[k + 1], colours, labels[k + round(t)], reach)
        canvas.draw()
        frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[:, :, :3].copy()).quantize(128))
        durations.append(PAUSE if t == 0 else 50)
    durations[-1] = END
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0)


def main(picture: str | None = None, steps: str = str(STEPS)) -> None:
    """Train a spline flow on a density in the plane, print how near it comes, and draw where a file is named."""
    data = hexad.load_data(SOURCE)
    flow = hexad.fit("nsf", data, steps=int(steps), progress=False, transforms=BLOCKS)
    test = data.test[:5000]
    stated = flow.log_likelihood(test)
    truth = float(data.truth(flow.format.encode(test)).mean())
    print(f"{SOURCE}: log p {float(stated.value.mean()):.3f} nats, {stated.kind}; the truth {truth:.3f}")
    path = flow.path(POINTS, seed=0)
    block = path.labels[1 : (len(path.labels) - 1) // BLOCKS + 1]
    states = path.states[:: len(block)].double().numpy()
    labels = [f"$z_{k}$" for k in range(BLOCKS + 1)]
    print(f"from z_0, normal, to z_{BLOCKS}, samples: {BLOCKS} blocks of {', '.join(block)}")
    if picture is None:
        return
    colours = np.arctan2(*(states[0] - states[0].mean(0)).T[::-1])
    reach = 1.05 * float(np.quantile(np.abs(states), 0.997))
    if picture.lower().endswith(".gif"):
        film(states, labels, colours, reach, picture)
    else:
        panels(states, labels, colours, reach).savefig(picture, dpi=150)
    print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
