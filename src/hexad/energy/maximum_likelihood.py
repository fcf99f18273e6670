r"""Maximum likelihood by chains that stand for the model.

.. math:: -\nabla_\theta \log p_\theta(x) = \nabla_\theta E_\theta(x) - E_{y \sim p_\theta}[\nabla_\theta E_\theta(y)]

``persistent`` chains go on from where they were (Tieleman, 2008; Xie et al., 2016), and follow the model as long as it
moves slowly. ``short-run`` chains start at draws of the base in every step (Nijkamp et al., 2019): they are k steps
from it, and the gradient is zero where *their* law has the records' mean of :math:`\nabla_\theta E`. That law is the
model's only where k steps mix; they cannot be lost, though.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from hexad.energy.objectives import Objective, Tilt
from hexad.mcmc import Point, independence

__all__ = ["MaximumLikelihood"]


class MaximumLikelihood(Objective):
    """The energy of a record less the mean energy of the chains, and the squares of both (Du and Mordatch, 2019).

    Chains move in ``after_step``, by Metropolis-adjusted Langevin steps in the whitened space. Persistent ones may then
    restart from the base, with the Metropolis probability that keeps the model invariant.

    Args:
        start: ``persistent`` or ``short-run``.
        k: Langevin steps a training step.
        particles: number of chains.
        restart: share of the persistent chains that are offered a restart a step.
        regularisation: weight of the squared energies.
    """

    def __init__(
        self,
        start: Literal["persistent", "short-run"] = "persistent",
        k: int = 5,
        particles: int = 128,
        restart: float = 0.05,
        regularisation: float = 1e-4,
    ) -> None:
        super().__init__()
        self.start, self.k, self.particles, self.restart = start, k, particles, restart
        self.regularisation = regularisation

    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return E(z) less the mean of E over the chains, plus the squares of both, weighted, (batch,)."""
        energies = model.network(torch.cat([z, model.chains]))
        data, chains = energies[: len(z)], energies[len(z) :]
        return data - chains.mean() + self.regularisation * (data.square() + chains.square().mean())

    @torch.no_grad()
    def after_step(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> None:
        """Advance the chains by k steps, and offer a restart to some of the persistent ones."""
        fresh = self.start == "short-run"
        point = model.evaluate(model.base.sample(len(model.chains), generator) if fresh else model.chains)
        for _ in range(self.k):
            point = model.langevin(point, rate=0.02, generator=generator)
        count = 0 if fresh else round(self.restart * len(model.chains))
        if not count:
            model.chains.copy_(point.x)
            return
        rows = torch.randperm(len(model.chains), generator=generator, device=point.x.device)[:count]
        old = Point(point.x[rows], point.energies[:, rows], point.gradients[:, rows])
        drawn = model.evaluate(model.base.sample(count, generator))
        new, _ = independence(old, drawn, lambda at: -at.energies[1], generator=generator)
        model.chains.copy_(point.x.index_copy(0, rows, new.x))

    def extra_repr(self) -> str:
        """Return the options."""
        return f"{self.start}, chains={self.particles}, k={self.k}, restart={self.restart}"
