"""The Ising lattice against sums over all states, formulas of small lattices, and Onsager's of the infinite one."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import integrate

from hexad.energy import Ising, log_partition, onsager
from hexad.randomness import stream

CRITICAL = 0.5 * math.log(1 + math.sqrt(2))


def states(rows, columns):
    """Return all lattices, (2^(rows columns), rows, columns)."""
    count = rows * columns
    return (torch.arange(2**count)[:, None] >> torch.arange(count) & 1).double().reshape(-1, rows, columns)


@pytest.mark.parametrize("k", [-0.7, 0.2, CRITICAL, 1.5])
def test_two_by_two_torus_and_open_square(k):
    # the torus has two bonds between neighbours, the open square is a ring of four
    torus = math.log(2 * math.exp(8 * k) + 12 + 2 * math.exp(-8 * k))
    ring = math.log((2 * math.cosh(k)) ** 4 + (2 * math.sinh(k)) ** 4)
    assert (k * Ising(2, 2)).log_z == pytest.approx(torus, abs=1e-12)
    assert Ising(2, 2, k, periodic=False).log_z == pytest.approx(ring, abs=1e-12)
    # a chain is free but for its first spin; a closed one has both eigenvalues
    assert Ising(1, 7, k, periodic=False).log_z == pytest.approx(
        math.log(2) + 6 * math.log(2 * math.cosh(k)), abs=1e-12
    )
    closed = (2 * math.cosh(k)) ** 7 + (2 * math.sinh(k)) ** 7
    assert Ising(1, 7, k).log_z == pytest.approx(math.log(closed), abs=1e-12)
    assert Ising(7, 1, k).log_z == pytest.approx(math.log(closed), abs=1e-12)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 1), (3, 4), (4, 3), (5, 3)])
def test_log_z_is_the_sum_over_all_states(rows, columns, periodic):
    for beta, coupling, field in ((1.0, 0.4, 0.3), (0.7, -0.9, 0.2), (-1.0, 0.5, -0.1)):
        lattice = Ising(rows, columns, coupling, field, periodic)
        found = log_partition(beta * lattice, units=(rows, columns))
        assert (beta * lattice).log_z == pytest.approx(found.value, abs=1e-10)


def test_onsager():
    # the wide torus at high temperature is the infinite lattice but for loops around it, tanh(K)^10
    assert Ising(40, 10, 0.15).log_z / 400 == pytest.approx(onsager(0.15), abs=1e-7)
    assert onsager(0.0) == pytest.approx(math.log(2), abs=1e-12)
    catalan = 0.915965594177219
    assert onsager(CRITICAL) == pytest.approx(0.5 * math.log(2) + 2 * catalan / math.pi, abs=1e-9)

    # Onsager's double integral
    def inner(a, b):
        return math.log(math.cosh(1.2) ** 2 - math.sinh(1.2) * (math.cos(a) + math.cos(b)))

    double = integrate.dblquad(inner, 0, math.pi, 0, math.pi)[0]
    assert onsager(0.6) == pytest.approx(math.log(2) + double / (2 * math.pi**2), abs=1e-8)


@pytest.mark.parametrize("periodic", [True, False])
def test_samples_are_exact(periodic):
    lattice, n = Ising(3, 3, 0.35, 0.1, periodic), 40_000
    drawn = lattice.sample(n, generator=stream(0))
    assert drawn.shape == (n, 3, 3)
    numbers = (drawn.flatten(1).long() << torch.arange(9)).sum(1)
    counts = torch.bincount(numbers, minlength=512).double()
    expected = n * torch.softmax(-lattice.energy(states(3, 3)), 0)
    chi_square = float(((counts - expected).square() / expected).sum())
    assert abs(chi_square - 511) < 4 * math.sqrt(2 * 511)


def test_samples_of_larger_lattices_have_the_known_energy():
    lattice, step = Ising(8, 8, CRITICAL), 1e-4
    known = -((1 + step) * lattice + 0).log_z + ((1 - step) * lattice).log_z
    energies = lattice.energy(lattice.sample(2000, generator=stream(0)))
    assert float(energies.mean()) == pytest.approx(known / (2 * step), abs=4 * float(energies.std()) / 2000**0.5)
    assert lattice.sample(3, generator=stream(1)).dtype == torch.float64
    for lone in (Ising(1, 3, 0.4), Ising(3, 1, 0.4), Ising(1, 1, 1.0, 0.5)):
        assert lone.sample(5, generator=stream(0)).shape == (5, *lone.shape)


@pytest.mark.parametrize("periodic", [True, False])
def test_gradient_is_that_of_autodiff(periodic):
    lattice = Ising(3, 2, 0.4, -0.3, periodic)
    x = torch.rand(5, 3, 2, generator=stream(0), dtype=torch.float64).requires_grad_()
    value, gradient = lattice.value_and_gradient(x)
    known = lattice.energy(x)
    torch.testing.assert_close(value, known.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(known.sum(), x)[0])


def test_mistakes_are_told():
    with pytest.raises(ValueError, match="1 to 10 columns and any rows, got 4 x 11"):
        Ising(4, 11)
    with pytest.raises(ValueError, match="a finite coupling and field, got nan"):
        Ising(2, 2, math.nan)
