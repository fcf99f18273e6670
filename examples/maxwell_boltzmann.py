"""The speeds of noble gases at room temperature: exact curves, and chains that know the energy alone.

python examples/maxwell_boltzmann.py [PICTURE]
"""

from __future__ import annotations

import sys

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from hexad.energy.maxwell_boltzmann import MASSES, MaxwellBoltzmann
from hexad.randomness import stream

COLOURS = ("#2f80d0", "#2a9d6e", "#d39b0b", "#e4572e")


def main(picture: str | None = None) -> None:
    """Print a table of speeds, and draw the figure where a file is named."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    v = torch.linspace(1, 2500, 1500, dtype=torch.float64)
    print(
        f"{'gas':<6}{'mode':>8}{'mean':>8}{'rms':>8}   mean and rms of 20,000 chains on the energy, m/s; exact beside"
    )
    for gas, colour in zip(MASSES, COLOURS, strict=True):
        law = MaxwellBoltzmann.of(gas)
        drawn = law.sample(20_000, generator=stream(0, gas))
        rms = float(drawn.square().mean().sqrt())
        print(
            f"{gas:<6}{law.mode:8.1f}{law.mean:8.1f}{law.root_mean_square:8.1f}   {float(drawn.mean()):.1f}, {rms:.1f}"
        )
        axes.plot(v, law.log_prob(v).exp(), color=colour, linewidth=1.8, label=gas)
        axes.hist(drawn.numpy(), 80, density=True, color=colour, alpha=0.25)
    axes.set(xlabel="speed, m/s", ylabel="density, s/m", xlim=(0, 2500), title="Noble gases at 298.15 K")
    axes.legend(frameon=False)
    if picture:
        figure.savefig(picture, dpi=150)
        print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
