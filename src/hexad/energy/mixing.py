r"""Mixtures of energies: :math:`E(x) = -\log\sum_i w_i e^{-E_i(x)}`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hexad.checks import InputError
from hexad.energy.algebra import Potential, Solvable
from hexad.randomness import fresh

__all__ = ["Mixture", "SolvableMixture", "mixture"]


class Mixture(Potential):
    r"""E(x) = -log sum_i w_i exp(-E_i(x)).

    The weights are those of the unnormalised densities: in the law, part i has the share :math:`w_i Z_i / \sum_j w_j
    Z_j`. Where shares are meant, normalise the parts first: ``a + log_z`` has Z = 1.

    Args:
        parts: at least one potential.
        weights: above 0, divided by their sum; None: equal.

    Raises:
        InputError: numbers of parts and weights differ, or a weight is not above 0.
    """

    def __init__(self, parts: Sequence[Potential], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(parts) if weights is None else [float(w) for w in weights]
        if not parts or len(weights) != len(parts):
            raise InputError(f"mixture: expected a weight a part, got {len(parts)} parts and {len(weights)} weights")
        if not all(0 < w < math.inf for w in weights):
            raise InputError(f"mixture: expected weights above 0, got {', '.join(f'{w:g}' for w in weights)}")
        self.parts, self.weights = nn.ModuleList(parts), tuple(w / math.fsum(weights) for w in weights)

    def _members(self) -> list[tuple[float, Potential]]:
        """Return the log weights with the parts."""
        parts = [part for part in self.parts if isinstance(part, Potential)]
        return [(math.log(weight), part) for weight, part in zip(self.weights, parts, strict=True)]

    def energy(self, x: Tensor) -> Tensor:
        """Return the energy of the mixture, (batch,)."""
        return -torch.logsumexp(torch.stack([log_w - part.energy(x) for log_w, part in self._members()]), 0)

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the energy and the mean of the parts' gradients by their responsibilities."""
        found = [(log_w, *part.value_and_gradient(x)) for log_w, part in self._members()]
        log_parts = torch.stack([log_w - value for log_w, value, _ in found])
        share = torch.softmax(log_parts, 0).flatten(1)
        gradient = torch.einsum("kn,kn...->n...", share, torch.stack([slope for *_, slope in found]))
        return -torch.logsumexp(log_parts, 0), gradient

    def log_masses(self) -> Tensor | None:
        """Return log of w_i Z_i, (parts,) in float64, or None where a log Z is not known."""
        known = [(log_w, part.log_z) for log_w, part in self._members()]
        masses = [log_w + log_z for log_w, log_z in known if log_z is not None]
        return torch.tensor(masses, dtype=torch.float64) if len(masses) == len(known) else None

    def log_z_at(self, beta: float) -> float | None:
        """Return the log of the sum of w_i Z_i at beta = 1, where every Z_i is known."""
        masses = self.log_masses() if beta == 1 else None
        return None if masses is None else float(torch.logsumexp(masses, 0))

    def extra_repr(self) -> str:
        """Return the weights."""
        return ", ".join(f"{w:.4g}" for w in self.weights)


class SolvableMixture(Mixture, Solvable):
    """A mixture of solvable potentials, which is one: a part is drawn by its share, then a record of it.

    Args:
        parts: solvable, of records of one shape and kind.
        weights: as of a mixture.

    Raises:
        InputError: records of different shapes, or of different kinds.
    """

    def __init__(self, parts: Sequence[Solvable], weights: Sequence[float] | None = None) -> None:
        super().__init__(parts, weights)
        kinds = {(part.shape, part.real) for part in parts}
        if len(kinds) > 1:
            shapes = ", ".join(str(shape) for shape, _ in sorted(kinds))
            raise InputError(f"mixture: expected parts of records of one shape and kind, got {shapes}")
        ((self.shape, self.real),) = kinds

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        r"""Return n independent records, (n, \*shape) in float64."""
        generator, masses = fresh(generator), self.log_masses()
        assert masses is not None
        pick = torch.multinomial(torch.softmax(masses, 0), n, replacement=True, generator=generator)
        found = torch.empty(n, *self.shape, dtype=torch.float64)
        for k, (_, part) in enumerate(self._members()):
            mine = pick == k
            if isinstance(part, Solvable) and bool(mine.any()):
                found[mine] = part.sample(int(mine.sum()), generator=generator)
        return found


def mixture(parts: Sequence[Potential], weights: Sequence[float] | None = None) -> Mixture:
    """Return the mixture of potentials; of solvable ones it is solvable itself. Arguments as of :class:`Mixture`."""
    solvable = [part for part in parts if isinstance(part, Solvable)]
    return SolvableMixture(solvable, weights) if parts and len(solvable) == len(parts) else Mixture(parts, weights)
