r"""What an objective of a tilted energy is: a loss a record, and what moves beside the weights.

.. math:: p_\theta(z) = \frac{q(z)\, e^{-E_\theta(z)}}{Z'},\qquad U_\theta(z) = E_\theta(z) - \log q(z)

An objective sees the tilt :math:`E_\theta`, the base q and whitened records z, and never the normaliser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn

from hexad.energy.tilt_base import GaussianMixture
from hexad.mcmc import Point
from hexad.model import GenerativeModel

__all__ = ["Objective", "Tilt", "slope"]

PROBES = 32  # records from which the step is tuned where no chains move


class Tilt(Protocol):
    """What an objective sees of a model: see :class:`~hexad.energy.ebm.EBM`."""

    network: nn.Module
    base: GaussianMixture
    chains: Tensor

    def evaluate(self, z: Tensor) -> Point:
        """Return the point at z: energies and gradients of the base and of the tilt."""

    def langevin(self, point: Point, *, rate: float, generator: torch.Generator | None) -> Point:
        """Return the point after one step at the model, which moves the step's size and the mean acceptance."""

    def whitened(self, x: Tensor) -> Tensor:
        """Return z of records."""

    def coloured(self, z: Tensor) -> Tensor:
        """Return the records of z."""

    def log_volume(self) -> Tensor:
        """Return log |det dz/dx|, a scalar."""


class Objective(nn.Module, ABC):
    """What an energy is trained by.

    To implement one: give :meth:`loss`; where chains move, set :attr:`particles` and give :meth:`after_step`; where
    the loss differentiates itself, set :attr:`compilable` False. Learned numbers of the objective's own are its
    parameters, and move with the model's.
    """

    compilable: bool = True
    particles: int = 0  # chains that the model keeps for it
    noise: GenerativeModel | None  # a second player, which learns by its own loss

    def __init__(self) -> None:
        super().__init__()
        self.noise = None

    def check(self, features: int) -> None:
        """Raise ValueError where the objective cannot train an energy of so many columns."""

    @abstractmethod
    def loss(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> Tensor:
        """Return the loss of each record, (batch,), whose mean is minimised. Moves no state.

        Args:
            model: the energy.
            z: whitened records, (batch, D).
            generator: where randomness comes from.
        """

    def after_step(self, model: Tilt, z: Tensor, *, generator: torch.Generator | None) -> None:
        """Move what moves beside the weights; here nothing but the size of the Langevin step, which samples and log Z
        need, by one step from some of the records.
        """
        model.langevin(model.evaluate(z[:PROBES]), rate=0.02, generator=generator)


def slope(model: Tilt, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return E(z), (batch,), and its gradient in z, (batch, D), both of which can be differentiated again.

    Args:
        model: the energy.
        z: (batch, D), which requires a gradient.
    """
    energy = model.network(z)
    (gradient,) = torch.autograd.grad(energy.sum(), z, create_graph=True, materialize_grads=True)
    return energy, gradient
