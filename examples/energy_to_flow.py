"""A flow that samples what only an energy describes, and the energy's log Z, from no data at all.

python examples/energy_to_flow.py [STEPS]
"""

from __future__ import annotations

import math
import sys

import torch
from torch import Tensor

from hexad.event import Event
from hexad.flow import NSF, fit_to_energy
from hexad.randomness import fork, stream

STEPS = 300


def energy(x: Tensor) -> Tensor:
    """Return the energy of a double well along a bent valley, (batch,)."""
    return (x[:, 0].square() - 2).square() / 2 + 0.3 * x[:, 0] + 2 * (x[:, 1] - 0.5 * x[:, 0].square()).square()


def quadrature(edge: float = 8.0, points: int = 1201) -> float:
    """Return log Z by summing exp(-U) over a grid."""
    axis = torch.linspace(-edge, edge, points, dtype=torch.float64)
    return float(torch.logsumexp(-energy(torch.cartesian_prod(axis, axis)), 0)) + 2 * math.log(axis[1] - axis[0])


def main(steps: str = str(STEPS)) -> None:
    """Fit the flow and print what it says beside the truth."""
    with fork(0):
        flow = NSF(Event.of(2, "real"), transforms=3, hidden=(48, 48))
    fit = fit_to_energy(flow, energy, steps=int(steps), batch_size=192, lr=5e-3, anneals=512, generator=stream(0))
    print(fit)
    print(f"quadrature      {quadrature():.4f}  exact to the digits shown")
    left = float((fit.flow.sample(20_000, generator=stream(1))[:, 0] < 0).double().mean())
    print(f"{left:.1%} of the flow's samples lie in the left well")


if __name__ == "__main__":
    main(*sys.argv[1:2])
