r"""The Ising model on a small square lattice, its log Z by transfer matrix (Ising, 1925; Onsager, 1944).

.. math:: E(s) = -J\sum_{\langle ij\rangle} s_i s_j - h\sum_i s_i,\qquad s_i = 2 x_i - 1 = \pm1

Row by row, :math:`Z = \mathrm{tr}\,T^L` of a lattice of L rows that is periodic, T between the states of two rows. The
same matrices give exact samples: the first row by its marginal, each next one given the first and the one before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from hexad.energy.algebra import Solvable
from hexad.randomness import fresh

__all__ = ["Ising", "onsager"]

WIDEST = 10  # columns: 2^10 states of a row
BLOCK = 2**22  # numbers at once in drawing rows


class Ising(Solvable):
    """Binary records (rows, columns) of spins x = 0 (down) or 1 (up).

    A periodic axis of two spins has two bonds between them, as the torus has; one of a single spin has none.

    Args:
        rows: L.
        columns: at most 10.
        coupling: J; above 0 neighbours agree. An inverse temperature is a coefficient: ``beta * Ising(4, 4)``.
        field: h.
        periodic: whether both axes close.

    Raises:
        ValueError: a size out of its range, or a number that is not finite.
    """

    real = False

    def __init__(
        self, rows: int, columns: int, coupling: float = 1.0, field: float = 0.0, periodic: bool = True
    ) -> None:
        super().__init__()
        if rows < 1 or not 1 <= columns <= WIDEST:
            raise ValueError(f"an Ising lattice takes 1 to {WIDEST} columns and any rows, got {rows} x {columns}")
        if not (math.isfinite(coupling) and math.isfinite(field)):
            raise ValueError(f"an Ising lattice takes a finite coupling and field, got {coupling}, {field}")
        self.rows, self.columns, self.coupling, self.field = rows, columns, coupling, field
        self.periodic = periodic
        self.shape = (rows, columns)
        self._found: dict[float, float] = {}

    def energy(self, x: Tensor) -> Tensor:
        """Return E, (batch,)."""
        s = 2 * x - 1
        return -self.coupling * self._bonds(s) - self.field * s.flatten(1).sum(1)

    def _bonds(self, s: Tensor) -> Tensor:
        """Return the sum of s_i s_j over bonds, (batch,)."""
        total = s.new_zeros(len(s))
        for axis in (1, 2):
            size = s.shape[axis]
            total = total + (s.narrow(axis, 0, size - 1) * s.narrow(axis, 1, size - 1)).flatten(1).sum(1)
            if self.periodic and size > 1:
                total = total + (s.select(axis, 0) * s.select(axis, size - 1)).sum(1)
        return total

    def value_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return E and its gradient in x, where x is let be any real: -2 (J sum of neighbours + h)."""
        x = x.detach()
        s = 2 * x - 1
        neighbours = torch.zeros_like(s)
        for axis in (1, 2):
            size = s.shape[axis]
            neighbours.narrow(axis, 0, size - 1).add_(s.narrow(axis, 1, size - 1))
            neighbours.narrow(axis, 1, size - 1).add_(s.narrow(axis, 0, size - 1))
            if self.periodic and size > 1:
                neighbours.select(axis, 0).add_(s.select(axis, size - 1))
                neighbours.select(axis, size - 1).add_(s.select(axis, 0))
        return self.energy(x), -2 * (self.coupling * neighbours + self.field)

    def _row_states(self) -> Tensor:
        """Return the spins of all states of a row, (S, columns), S = 2^columns."""
        numbers = torch.arange(2**self.columns)[:, None] >> torch.arange(self.columns)
        return 2.0 * (numbers & 1).double() - 1

    @property
    def _closed(self) -> bool:
        """Whether the last row meets the first one."""
        return self.periodic and self.rows > 1

    def _transfer(self, beta: float) -> tuple[Tensor, Tensor, float, float]:
        """Return T, (S, S), and the weight of half a row, (S,), each divided by its largest number, and their logs.

        T holds the bonds between two rows and half of what is within each.
        """
        s = self._row_states()
        within = (s[:, 1:] * s[:, :-1]).sum(1)
        if self.periodic and self.columns > 1:
            within = within + s[:, 0] * s[:, -1]
        half = 0.5 * beta * (self.coupling * within + self.field * s.sum(1))
        log_t = beta * self.coupling * (s @ s.T) + half[:, None] + half
        return torch.exp(log_t - log_t.max()), torch.exp(half - half.max()), float(log_t.max()), float(half.max())

    def log_z_at(self, beta: float) -> float | None:
        """Return log Z of exp(-beta E), exactly."""
        if beta in self._found:
            return self._found[beta]
        t, half, log_t, log_half = self._transfer(beta)
        if self._closed:
            values = torch.linalg.eigvalsh(t)
            largest = values[-1]  # positive, and no other is further from 0 (Perron and Frobenius)
            log_z = float(self.rows * largest.log() + (values / largest).pow(self.rows).sum().log())
            log_z += self.rows * log_t
        else:
            log_z, vector = 2 * log_half + (self.rows - 1) * log_t, half
            for _ in range(self.rows - 1):
                vector = t @ vector
                log_z += float(vector.max().log())
                vector = vector / vector.max()
            log_z += float((half @ vector).log())
        self._found[beta] = log_z
        return log_z

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Return n independent lattices, (n, rows, columns) in float64: exact, row by row."""
        generator = fresh(generator)
        t, half, *_ = self._transfer(1.0)
        # what is left after each row: of a closed lattice a matrix whose columns are the first row, else a vector
        left = [torch.eye(len(t), dtype=t.dtype) if self._closed else half[:, None]]
        for _ in range(self.rows - (0 if self._closed else 1)):
            left.append(t @ left[-1])
            left[-1] = left[-1] / left[-1].max()
        weights = left[-1].diagonal() if self._closed else half * left[-1][:, 0]
        first = torch.multinomial(weights.expand(n, -1), 1, generator=generator)[:, 0]
        rows = [first]
        for i in range(1, self.rows):
            rest = left[self.rows - i - (0 if self._closed else 1)]
            rows.append(torch.cat([self._next(t, rest, a, b, generator) for a, b in self._blocks(rows[-1], first)]))
        return (self._row_states()[torch.stack(rows, 1)] + 1) / 2

    def _blocks(self, last: Tensor, first: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Return blocks of the last and of the first rows, few enough for tables over all states."""
        size = BLOCK // 2**self.columns
        return zip(last.split(size), first.split(size), strict=True)

    def _next(self, t: Tensor, rest: Tensor, last: Tensor, first: Tensor, generator: torch.Generator) -> Tensor:
        """Return the numbers of next rows, (batch,), given the last ones and, of a closed lattice, the first ones."""
        weights = t[last] * (rest[:, first].T if self._closed else rest[:, 0])
        return torch.multinomial(weights, 1, generator=generator)[:, 0]

    def extra_repr(self) -> str:
        """Return the numbers."""
        ends = "periodic" if self.periodic else "open"
        return f"{self.rows} x {self.columns}, coupling={self.coupling:g}, field={self.field:g}, {ends}"


def onsager(coupling: float) -> float:
    r"""Return log Z a spin of the infinite square lattice without a field, at :math:`K = \beta J` (Onsager, 1944).

    .. math:: \log(\sqrt2\cosh 2K) + \frac1\pi\int_0^{\pi/2}\log\left(1 + \sqrt{1 - \kappa^2\sin^2\phi}\right)d\phi,
              \qquad \kappa = \frac{2\sinh 2K}{\cosh^2 2K}

    Args:
        coupling: K.
    """
    kappa = 2 * math.sinh(2 * coupling) / math.cosh(2 * coupling) ** 2
    # by midpoints: the integrand is smooth and periodic but at the critical point, where it has a cusp
    phi = (torch.arange(2**20, dtype=torch.float64) + 0.5) * (0.5 * math.pi / 2**20)
    root = (1 - (kappa * phi.sin()).square()).clamp(min=0).sqrt()
    return math.log(math.sqrt(2) * math.cosh(2 * coupling)) + 0.5 * float(torch.log1p(root).mean())
