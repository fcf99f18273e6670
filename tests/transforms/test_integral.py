"""Integrals of positive functions: against adaptive quadrature, the identity at zero, lines far out."""

from __future__ import annotations

import pytest
import torch
from scipy.integrate import quad

from hexad.transforms import Integral
from hexad.transforms.root import within

MAP = Integral(5)


def _drawn(n: int, size: float = 1.0, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameters = size * torch.randn(n, MAP.count, generator=generator, dtype=torch.float64)
    return (3 * torch.randn(n, generator=generator, dtype=torch.float64)).to(dtype), parameters.to(dtype)


def test_the_value_is_that_of_adaptive_quadrature():
    x, parameters = _drawn(20)
    z, log_slope = MAP.forward_and_log_slope(x, parameters)
    for k in range(20):
        row = parameters[k]

        def slope(u: float, row: torch.Tensor = row) -> float:
            return float(MAP.forward_and_log_slope(torch.tensor([u], dtype=torch.float64), row[None])[1].exp())

        expected = quad(slope, 0, float(x[k]), points=[-4, 4], epsabs=1e-10, epsrel=1e-10)[0]
        assert float(z[k] - row[0]) == pytest.approx(expected, abs=1e-8)
    assert log_slope.std() > 0.5


@pytest.mark.parametrize("way", ["forward_and_log_slope", "inverse_and_log_slope"])
def test_log_slope_is_that_by_autodiff(way):
    x, parameters = _drawn(50)
    point = x.clone().requires_grad_()
    z, log_slope = getattr(MAP, way)(point, parameters)
    (slope,) = torch.autograd.grad(z.sum(), point)
    torch.testing.assert_close(log_slope, slope.log(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("size", "n"), [(2.0, 4_000), (5.0, 4_000), (20.0, 20_000)])
def test_no_parameters_are_too_sharp_for_the_rule(size, n):
    x, parameters = _drawn(n, size)
    point = x.clone().requires_grad_()
    z, log_slope = MAP.forward_and_log_slope(point, parameters)
    (slope,) = torch.autograd.grad(z.sum(), point)
    assert (log_slope - slope.log()).abs().max() < 1e-5
    torch.testing.assert_close(MAP.inverse_and_log_slope(z, parameters)[0], x, rtol=1e-10, atol=1e-10)


def test_one_weight_that_takes_all_of_the_bound_is_the_worst():
    layer, n = Integral(1), 20_000
    draws = torch.randn(3, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = torch.stack([0 * draws[0], 3 * draws[0], 30 * draws[1].sign(), 10 + 0 * draws[0], 2 * draws[2]], 1)
    point = torch.linspace(-4, 4, n, dtype=torch.float64, requires_grad=True)
    z, log_slope = layer.forward_and_log_slope(point, parameters)
    (slope,) = torch.autograd.grad(z.sum(), point)
    assert 1e-6 < (log_slope - slope.log()).abs().max() < 1e-4


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_inverse_both_ways(dtype, near):
    x, parameters = _drawn(200, dtype=dtype)
    ways = MAP.forward_and_log_slope, MAP.inverse_and_log_slope
    for there, back in (ways, ways[::-1]):
        z, log_slope = there(x, parameters)
        again, log_back = back(z, parameters)
        torch.testing.assert_close(again, x, rtol=near, atol=near)
        torch.testing.assert_close(log_back, -log_slope, rtol=near, atol=10 * near)


def test_zero_parameters_are_the_identity():
    x = torch.linspace(-9, 9, 50, dtype=torch.float64)
    z, log_slope = MAP.forward_and_log_slope(x, torch.zeros(50, MAP.count, dtype=torch.float64))
    torch.testing.assert_close(z, x)
    assert not log_slope.any()


def test_far_out_it_is_a_line_and_everything_is_finite():
    _, parameters = _drawn(4, 100.0, torch.float32)
    x = torch.tensor([-1e6, -5.0, 5.0, 1e6])
    for way in (MAP.forward_and_log_slope, MAP.inverse_and_log_slope):
        z, log_slope = way(x, parameters)
        assert torch.isfinite(z).all()
        assert (log_slope.abs() <= 3.0001).all()
    low, high = (MAP.forward_and_log_slope(torch.tensor([u]), parameters[:1]) for u in (5.0, 7.0))
    torch.testing.assert_close(high[0] - low[0], 2 * low[1].exp(), rtol=1e-3, atol=1e-3)


def test_words():
    assert repr(Integral(3)) == "Integral(terms=3, bound=4.0, steepest=3.0)"
    with pytest.raises(ValueError, match="terms must be at least 1"):
        Integral(0)
    with pytest.raises(ValueError, match="must be positive"):
        Integral(bound=0.0)


def test_what_leads_out_of_the_ends_comes_back_to_the_nearer_one_and_keeps_its_gradient():
    t = torch.tensor([-1e30, 0.3, 1e30], requires_grad=True)
    found = within(t, torch.tensor(-1.0), torch.tensor(2.0))
    assert torch.equal(found, torch.tensor([-1.0, 0.3, 2.0]))
    (slope,) = torch.autograd.grad(found.sum(), t)
    assert torch.equal(slope, torch.ones(3))
