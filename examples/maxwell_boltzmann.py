"""The speeds of noble gases at room temperature: exact curves, and chains that know the energy alone.

Chains move the speed, or the three components of a velocity. The Kolmogorov-Smirnov test takes draws two
autocorrelation times apart.

python examples/maxwell_boltzmann.py [PICTURE]
"""

from __future__ import annotations

import sys

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.stats import kstest

from hexad.energy.maxwell_boltzmann import MASSES, MaxwellBoltzmann
from hexad.randomness import stream

COLOURS = ("#2f80d0", "#2a9d6e", "#d39b0b", "#e4572e")


def main(picture: str | None = None) -> None:
    """Print a table of speeds, and draw the figure where a file is named."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    v = torch.linspace(1, 2500, 1500, dtype=torch.float64)
    print("speeds in m/s: exact, and of 200 chains on the energy")
    speeds = f"{'mean':>8}{'rms':>8}"
    print(f"{'gas':<6}{'mode':>8}{speeds}   {'sampled as':<12}{speeds}{'R-hat':>8}{'KS p':>7}")
    for gas, colour in zip(MASSES, COLOURS, strict=True):
        law = MaxwellBoltzmann.of(gas)
        exact = f"{gas:<6}{law.mode:8.1f}{law.mean:8.1f}{law.root_mean_square:8.1f}"
        for space in ("speed", "velocity"):
            found = law.chains(200, space=space, steps=500, generator=stream(0, gas, space))
            drawn, few = found.flat[:, 0], found.thinned()[:, 0]
            rms, hat = float(drawn.square().mean().sqrt()), float(found.r_hat)
            p = kstest(few.numpy(), lambda v, law=law: law.cdf(torch.from_numpy(v)).numpy()).pvalue
            print(f"{exact:<30}   {space:<12}{float(drawn.mean()):8.1f}{rms:8.1f}{hat:8.3f}{p:7.2f}")
            exact = ""
        axes.plot(v, law.log_prob(v).exp(), color=colour, linewidth=1.8, label=gas)
        axes.hist(drawn.numpy(), 80, density=True, color=colour, alpha=0.25)
    axes.set(xlabel="speed, m/s", ylabel="density, s/m", xlim=(0, 2500), title="Noble gases at 298.15 K")
    axes.legend(frameon=False)
    if picture:
        figure.savefig(picture, dpi=150)
        print(f"picture: {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
