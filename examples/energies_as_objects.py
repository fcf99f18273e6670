"""Calculating with energies in the plane: a product, a mixture, a tilt and a negation, each with its log Z.

python examples/energies_as_objects.py [FILE.png]
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor

from hexad.energy import (
    Banana,
    Gaussian,
    Partition,
    Potential,
    Tilt,
    exp,
    gaussian_mixture,
    log_partition,
    mixture,
    potential,
)
from hexad.randomness import stream

BOX = [(-6.0, 6.0), (-5.0, 7.0)]
BALL = Gaussian([1.0, 0.5], [3.0, 1.0])


def ripples(x: Tensor) -> Tensor:
    """Return an energy that favours every other stripe, (batch,)."""
    return 1.5 * (2.5 * x[:, 0]).sin()


def energies() -> dict[str, Potential]:
    """Return the energies by what they are called."""
    banana, ball = Banana(1.6, 0.35, 0.6), BALL
    pair = gaussian_mixture([[-2.5, 3.0], [2.5, 3.0]], [[0.5, 0.5], [0.5, 0.5]])
    return {
        "a: banana": banana,
        "b: Gaussian": ball,
        "a + b: product": banana + ball,
        "mixture of a and b": mixture([banana + banana.log_z, ball + ball.log_z]),
        "pair * exp(-ripples): tilt": pair * exp(-potential(ripples)),
        "b - (a or level): a negated": ball - mixture([banana, 0 * banana + 3]),
    }


def known(energy: Potential) -> Partition:
    """Return log Z over the plane: in closed form, or annealed, from the base of a tilt or from b."""
    base = None if energy.log_z is not None or isinstance(energy, Tilt) else BALL
    return log_partition(energy, base=base, generator=stream(0))


def main(path: str | None) -> None:
    """Print log Z of each by quadrature beside its closed form or anneal; draw the densities where a file is named."""
    found = {}
    for name, energy in energies().items():
        whole, other = log_partition(energy, box=BOX, tolerance=1e-6), known(energy)
        how = "closed form" if other.exact else f"annealed [{other.low:.3f}, {other.high:.3f}]"
        found[name] = f"log Z in the box, exact: {whole.value:.4f}\nin the plane: {other.value:.3f} {how}"
        print(name, found[name].replace("\n", ", "), sep="\n    ")
    if path is not None:
        draw(path, found)


def draw(path: str, words: dict[str, str]) -> None:
    """Draw the densities with what is known of log Z."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes = [torch.linspace(low, high, 241, dtype=torch.float64) for low, high in BOX]
    grid = torch.cartesian_prod(*axes)
    figure = Figure(figsize=(12, 8.2), layout="constrained")
    FigureCanvasAgg(figure)
    places = figure.subplots(2, 3).flatten()
    for place, (name, energy) in zip(places, energies().items(), strict=True):
        density = torch.softmax(-energy.energy(grid), 0).reshape(241, 241).T
        place.imshow(density.numpy(), origin="lower", extent=(*BOX[0], *BOX[1]), cmap="magma", aspect="equal")
        place.set_title(f"{name}\n{words[name]}", fontsize=10)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
