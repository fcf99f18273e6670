"""CRPS against quadrature, of draws against the closed form, and what makes the score of draws fair."""

import itertools

import pytest
import torch

from hexad.metrics import gaussian_crps, sample_crps
from hexad.randomness import stream


@pytest.mark.parametrize(("mean", "deviation", "y"), [(0.0, 1.0, 0.3), (2.0, 0.5, -1.0), (-1.0, 3.0, 4.0)])
def test_the_closed_form_is_the_integral(mean, deviation, y):
    x = torch.linspace(mean - 12 * deviation, mean + 12 * deviation, 400_001, dtype=torch.float64)
    squares = (torch.special.ndtr((x - mean) / deviation) - (x >= y).double()).square()
    found = gaussian_crps(*(torch.tensor(v, dtype=torch.float64) for v in (mean, deviation, y)))
    assert abs(float(found - torch.trapezoid(squares, x))) < 1e-4 * deviation


def test_draws_have_the_score_of_their_law():
    x = 2 + 3 * torch.randn(40_000, 2, generator=stream(0, "x"), dtype=torch.float64)
    y = torch.tensor([0.0, 9.0], dtype=torch.float64)
    exact = gaussian_crps(torch.tensor(2.0), torch.tensor(3.0), y)
    assert ((sample_crps(x, y) - exact).abs() < 5 * 3 / 40_000**0.5).all()


def test_sorting_is_the_double_sum():
    x, y = torch.randn(7, 3, generator=stream(1, "x"), dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    slow = (x - y).abs().mean(0) - (x[:, None] - x[None]).abs().sum((0, 1)) / (2 * 7 * 6)
    assert torch.allclose(sample_crps(x, y), slow, atol=1e-12)


def test_the_mean_over_all_draws_of_three_is_the_score_of_the_law():
    values, p = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    y = torch.tensor(1.5, dtype=torch.float64)
    mean = sum(
        float(p[list(k)].prod() * sample_crps(values[list(k)], y)) for k in itertools.product(range(3), repeat=3)
    )
    apart = (values[:, None] - values[None]).abs()
    assert abs(mean - float(p @ (values - y).abs() - 0.5 * p @ apart @ p)) < 1e-12


def test_one_draw_is_refused():
    with pytest.raises(ValueError, match="at least 2 draws of shape"):
        sample_crps(torch.zeros(1, 3), torch.zeros(3))
