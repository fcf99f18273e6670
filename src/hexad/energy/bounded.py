"""Energies with hidden units that cannot be summed out: the free energy is bounded, and log p from below."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import torch
from torch import Tensor

from hexad.energy.base import EnergyModel
from hexad.likelihood import LogLikelihood
from hexad.model import Validation

__all__ = ["BoundedEnergy"]


class BoundedEnergy(EnergyModel):
    """An energy model whose :meth:`energy` may be an upper bound of the free energy.

    Give :attr:`energy_is_exact` besides what :class:`~hexad.energy.base.EnergyModel` asks for. Where it does not hold,
    a bound over hidden units meets an interval of log Z: log p is stated as a lower bound, at the interval's low end.
    """

    @property
    @abstractmethod
    def energy_is_exact(self) -> bool:
        """Whether :meth:`energy` is the free energy; else it is an upper bound of it."""

    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean of log p, or of its lower bound; where log Z is annealed, at the low end of an interval."""
        found = super().validate(x, context=context, generator=generator)
        return found if self.energy_is_exact else replace(found, name=f"mean-field bound of {found.name}")

    def log_likelihood(
        self,
        x: Tensor,
        *,
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
        budget: int | None = None,
    ) -> LogLikelihood:
        """Return log p: exact or an interval where the free energy is exact, else a lower bound."""
        stated = super().log_likelihood(x, context=context, generator=generator, budget=budget)
        if self.energy_is_exact:
            return stated
        where = ", at the low end of the interval" if stated.kind == "interval" else ""
        return LogLikelihood(
            stated.ends[0],
            "lower_bound",
            common_stderr=stated.common_stderr,
            measure=stated.measure,
            protocol=f"mean-field lower bound over the hidden units{where}; {stated.protocol}",
        )
