"""Which losses for decisions collapse, and why: ten losses on a problem of two answers.

python examples/losses_that_collapse.py [PICTURE [STEPS]]

First the two energies are free numbers that start out equal, and descent moves them: a loss that is at its minimum
where all energies are equal has nothing to move, or hardly. Then tiny networks give the energies of two classes on a
line. One has an output an answer and starts out flat: the energy loss decides there, badly, since what is pushed down
at one x falls less at others, without end. The other measures a distance, E(Y, x) = |f(x) - g(Y)|^2, of which both ends
learn: there the energy loss is at its minimum, 0, where f and g are one point, and decides nothing. A loss that opens a
gap needs no luck with the network.
"""

from __future__ import annotations

import sys

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from hexad.energy import DECISION_LOSSES, decision_loss
from hexad.nn import MLP
from hexad.randomness import fork, stream

STEPS = 300
LINE = torch.linspace(-2.5, 2.5, 101)
FREE, LEARNED = ("#2f80d0", "#e4572e"), ("#6a3d9a", "#2a9d5c")


def free(name: str, steps: int) -> Tensor:
    """Return the path of a pair of free energies from (0.5, 0.5), the right answer's first, (steps + 1, 2)."""
    energies = torch.full((1, 2), 0.5, requires_grad=True)
    path = [energies.detach().clone()]
    for _ in range(steps):
        (slope,) = torch.autograd.grad(decision_loss(name, energies, torch.tensor([0])).sum(), energies)
        energies = (energies - 0.02 * slope).detach().requires_grad_(True)
        path.append(energies.detach().clone())
    return torch.cat(path)


class Outputs(nn.Module):
    """An output an answer, all zero at first."""

    def __init__(self) -> None:
        super().__init__()
        self.net = MLP(1, 2, (16,), zero_init=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Distance(nn.Module):
    """The squared distance of what is made of x to what is made of the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.answers = MLP(1, 2, (16,)), nn.Parameter(torch.randn(2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.net(x)[:, None] - self.answers).square().sum(2)


def trained(kind: type[nn.Module], name: str, steps: int) -> tuple[float, float, Tensor]:
    """Return the part decided rightly, the median gap, and the energies along a line, (101, 2)."""
    x = torch.randn(256, 1, generator=stream(0))
    answers = (x[:, 0] > 0.3).long()
    with fork(0):
        net = kind()
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        decision_loss(name, net(x), answers).mean().backward()
        optimizer.step()
    with torch.no_grad():
        energies, line = net(x), net(LINE[:, None])
    gap = energies.gather(1, 1 - answers[:, None]) - energies.gather(1, answers[:, None])
    # a tie, or what rounding makes of one, decides nothing
    return float((gap > 1e-6).double().mean()), float(gap.median()), line


def draw_picture(found: dict[str, tuple[Tensor, list[tuple[float, float, Tensor]]]], picture: str) -> None:
    """Draw, a column a loss, the free energies over the steps, and both networks' energies over x."""
    figure = Figure(figsize=(15, 6.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, len(found))
    for (name, (path, nets)), column in zip(found.items(), axes.T, strict=True):
        loss = DECISION_LOSSES[name]
        curves = [(torch.arange(len(path)), path), *((LINE, line) for _, _, line in nets)]
        for row, (ax, (x, energies)) in enumerate(zip(column, curves, strict=True)):
            said, colours = (("right", "wrong"), FREE) if row == 0 else (("E(0, x)", "E(1, x)"), LEARNED)
            for i, style in enumerate(("-", (0, (3, 2)))):
                ax.plot(x, energies[:, i], color=colours[i], linestyle=style, linewidth=1.8, label=said[i])
            if row:
                right = nets[row - 1][0]
                ax.set_title(f"{right:.0%} right", fontsize=8, color="#b00020" if right < 0.95 else "black")
            low, high = float(energies.min()), float(energies.max())
            if high - low < 0.1:  # not to blow a flat one up
                ax.set_ylim((low + high) / 2 - 0.5, (low + high) / 2 + 0.5)
            ax.tick_params(labelsize=6)
            ax.spines[["top", "right"]].set_visible(False)
        column[0].set_title(
            f"{name}\nmargin: {loss.margin}", fontsize=8, color="black" if loss.separates else "#b00020"
        )
    words = ("free energies\nover the steps", "an output an answer:\nenergies over x", "a distance:\nenergies over x")
    for ax, text in zip(axes[:, 0], words, strict=True):
        ax.set_ylabel(text, fontsize=8)
        ax.legend(frameon=False, fontsize=7)
    figure.savefig(picture, dpi=120)
    print(f"picture: {picture}")


def main(picture: str | None = None, steps: str = str(STEPS)) -> None:
    """Train by each loss, print what became of the energies, and draw where a file is named."""
    print(f"{'':<30}{'free energies':^24}   {'outputs':^18}   {'distance':^18}")
    print(f"{'loss':<20}{'margin':<10}{'right':>8}{'wrong':>8}{'gap':>8}" + f"   {'right':>8}{'gap':>10}" * 2)
    found = {}
    for name, loss in DECISION_LOSSES.items():
        path = free(name, int(steps))
        low, high = path[-1].tolist()
        nets = [trained(kind, name, int(steps)) for kind in (Outputs, Distance)]
        learned = "   ".join(f"{right:>8.1%}{gap:>10.3g}" for right, gap, _ in nets)
        print(f"{name:<20}{loss.margin:<10}{low:>8.2f}{high:>8.2f}{high - low:>8.2f}   {learned}")
        found[name] = (path, nets)
    print("right: of 256 records; gap: median energy of the wrong answer less the right one's, exact.")
    if picture:
        draw_picture(found, picture)


if __name__ == "__main__":
    main(*sys.argv[1:3])
