"""Solvable energies: log Z by quadrature and special functions, gradients by autodiff, samples by their moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from hexad.energy import Banana, DoubleWell, Gaussian, gaussian_mixture, log_partition
from hexad.randomness import stream

ENERGIES = {
    "gaussian": Gaussian([1.0, -2.0], [[2.0, 0.8], [0.8, 1.0]]),
    "mixture": gaussian_mixture([[2.0, 0.0], [-2.0, 1.0]], [[1.0, 0.5], [0.3, 1.0]], [1, 3]),
    "double well": DoubleWell(3.0, 1.5, 0.4, dims=2),
    "banana": Banana(),
}
BOX = [(-25.0, 25.0), (-25.0, 150.0)]


@pytest.mark.parametrize("name", ENERGIES)
@pytest.mark.parametrize("beta", [1.0, 0.5, 3.0])
def test_log_z_is_that_of_quadrature(name, beta):
    energy = beta * ENERGIES[name]
    if energy.log_z is None:
        assert name == "mixture"
        return
    assert log_partition(energy, box=BOX).value == pytest.approx(energy.log_z, abs=1e-9)


@pytest.mark.parametrize("name", ENERGIES)
def test_gradient_is_that_of_autodiff(name):
    x = 2 * torch.randn(40, 2, generator=stream(0), dtype=torch.float64)
    x.requires_grad_()
    value, gradient = ENERGIES[name].value_and_gradient(x)
    known = ENERGIES[name].energy(x)
    torch.testing.assert_close(value, known.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(known.sum(), x)[0])


@pytest.mark.parametrize("name", ENERGIES)
def test_samples_follow_the_law(name):
    energy, n = ENERGIES[name], 40_000
    drawn = energy.sample(n, generator=stream(1))
    assert drawn.shape == (n, 2)
    axes = [torch.linspace(low, high, 1201, dtype=torch.float64) for low, high in BOX]
    grid = torch.cartesian_prod(*axes)
    share = torch.softmax(-energy.energy(grid), 0)
    # each column's law, by the cdf of the grid; 1.95 / sqrt n is passed once in a thousand
    for column in range(2):
        marginal = share.reshape(1201, 1201).sum(1 - column)
        cdf = marginal.cumsum(0) - 0.5 * marginal
        found = np.interp(drawn[:, column].numpy(), axes[column].numpy(), cdf.numpy())
        assert stats.kstest(found, "uniform").statistic < 1.95 / math.sqrt(n) + 2e-3
    # and the mean of the energy, which knows of both together
    known = float(share @ energy.energy(grid))
    spread = math.sqrt(float(share @ energy.energy(grid).square()) - known**2)
    assert float(energy.energy(drawn).mean()) == pytest.approx(known, abs=4 * spread / math.sqrt(n))


def test_double_well_by_bessel_functions():
    # the integral of exp(-h (y^2 - 1)^2) is pi / 2 exp(-h / 2) (I_{-1/4}(h / 2) + I_{1/4}(h / 2))
    for height, distance in ((0.5, 1.0), (4.0, 2.0), (40.0, 0.3)):
        known = special.ive(-0.25, height / 2) + special.ive(0.25, height / 2)
        found = DoubleWell(height, distance).log_z
        assert found == pytest.approx(math.log(distance * math.pi / 2 * known), abs=1e-10)
    well = DoubleWell(2.0, 1.0, -0.7, dims=3)
    first = integrate.quad(lambda x: math.exp(-2 * (x * x - 1) ** 2 + 0.7 * x), -6, 6, epsabs=1e-13)[0]
    assert well.log_z == pytest.approx(math.log(first) + math.log(2 * math.pi), abs=1e-10)


def test_many_columns_and_single_precision():
    energy = Gaussian(torch.zeros(200), 1e-3 * torch.ones(200))
    mixed = gaussian_mixture(torch.zeros(2, 200), 1e-3 * torch.ones(2, 200))
    x = energy.sample(20, generator=stream(0))
    torch.testing.assert_close(mixed.energy(x) + mixed.log_z, energy.energy(x) + energy.log_z)
    assert energy.energy(x.float()).dtype == torch.float32


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gaussian([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "symmetric, positive definite"),
        (lambda: Gaussian([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "symmetric, positive definite"),
        (lambda: Gaussian([0.0, 0.0], [1.0]), r"expected \(2, 2\), or variances \(2,\), got shape \(1,\)"),
        (lambda: Gaussian(1.0), r"expected numbers \(D,\), got shape \(\)"),
        (
            lambda: gaussian_mixture([[0.0]], [[1.0], [2.0]]),
            "a mixture of 1 Gaussians takes as many covariances, got 2",
        ),
        (lambda: gaussian_mixture([[0.0]], shares=[1, 2]), "got 1 parts and 2 shares"),
        (lambda: DoubleWell(height=-1), "height and distance above 0, got -1"),
        (lambda: Banana(spread=0), "spread and width above 0"),
    ],
)
def test_mistakes_are_told(make, words):
    with pytest.raises(ValueError, match=words):
        make()
