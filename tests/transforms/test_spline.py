"""Rational-quadratic splines: inverse, log-slope, monotone, the identity outside; in both precisions, many shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hexad.transforms import AffineMap, Elementwise, Spline

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3)
BOUND = 3.0


def _drawn(shape: list[int], bins: int, size: float, seed: int, dtype: torch.dtype) -> tuple[Spline, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    spline = Spline(bins, BOUND)
    parameters = size * torch.randn(*shape, spline.count, generator=generator, dtype=torch.float64)
    x = BOUND * torch.randn(shape, generator=generator, dtype=torch.float64)  # a third of it lies outside
    return spline, x.to(dtype), parameters.to(dtype)


def _least_slope(f: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], parameters: Tensor) -> Tensor:
    """Return the least slope of each map over a fine grid, and at most the 1 of outside."""
    grid = torch.linspace(-BOUND, BOUND, 4001, dtype=torch.float64)
    at = grid.reshape(-1, *[1] * (parameters.ndim - 1)).expand(-1, *parameters.shape[:-1])
    log_slope = f(at, parameters.double().expand(len(grid), *parameters.shape))[1]
    return log_slope.amin(0).exp().clamp(max=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(shape=SHAPES, bins=st.integers(1, 12), size=st.floats(0, 5), seed=st.integers(0, 10_000))
def test_inverse_both_ways(dtype, shape, bins, size, seed):
    spline, x, parameters = _drawn(shape, bins, size, seed, dtype)
    near = 100 * torch.finfo(dtype).eps * (1 + x.abs())
    ways = spline.forward_and_log_slope, spline.inverse_and_log_slope
    for there, back in (ways, ways[::-1]):
        z, log_slope = there(x, parameters)
        again, log_back = back(z, parameters)
        assert z.dtype == log_slope.dtype == dtype
        assert z.shape == log_slope.shape == x.shape
        assert ((again - x).abs() <= near / _least_slope(there, parameters)).all()
        assert torch.isfinite(log_slope).all()
        assert torch.isfinite(log_back).all()


@pytest.mark.parametrize("elementwise", [Spline(5, BOUND), AffineMap()], ids=repr)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(size=st.floats(0, 3), seed=st.integers(0, 10_000))
def test_log_slope_is_that_by_autodiff(elementwise, size, seed):
    generator = torch.Generator().manual_seed(seed)
    parameters = size * torch.randn(20, elementwise.count, generator=generator, dtype=torch.float64)
    x = BOUND * torch.randn(20, generator=generator, dtype=torch.float64)
    for way in (elementwise.forward_and_log_slope, elementwise.inverse_and_log_slope):
        point = x.clone().requires_grad_()
        z, log_slope = way(point, parameters)
        (slope,) = torch.autograd.grad(z.sum(), point)
        torch.testing.assert_close(log_slope, slope.log(), rtol=1e-8, atol=1e-8)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(bins=st.integers(1, 12), size=st.floats(0, 5), seed=st.integers(0, 10_000))
def test_monotone_and_onto_the_interval(bins, size, seed):
    spline, _, parameters = _drawn([1], bins, size, seed, torch.float64)
    x = torch.linspace(-1.5 * BOUND, 1.5 * BOUND, 3001, dtype=torch.float64)
    for way in (spline.forward_and_log_slope, spline.inverse_and_log_slope):
        z = way(x, parameters.expand(len(x), -1))[0]
        assert (z.diff() > 0).all()
        assert (z.abs() < BOUND).equal(x.abs() < BOUND)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outside_it_is_the_identity_and_every_number_and_gradient_is_finite(dtype):
    spline = Spline(4, BOUND)
    x = torch.tensor([-1e30, -1e6, -BOUND, 0.0, BOUND, BOUND + 1e-3, 1e6, 1e30], dtype=dtype)
    outside = x.abs() >= BOUND
    for size in (1.0, 1e4):  # at the second, softmax and softplus are at their ends
        raw = size * torch.randn(len(x), spline.count, generator=torch.Generator().manual_seed(0), dtype=dtype)
        for way in (spline.forward_and_log_slope, spline.inverse_and_log_slope):
            point, parameters = x.clone().requires_grad_(), raw.clone().requires_grad_()
            z, log_slope = way(point, parameters)
            assert torch.equal(z[outside], x[outside])
            assert not log_slope[outside].any()
            (z.sum() + log_slope.sum()).backward()
            for tensor in (z, log_slope, point.grad, parameters.grad):
                assert torch.isfinite(tensor).all()
            assert torch.equal(point.grad[outside], torch.ones_like(x)[outside])


@pytest.mark.parametrize("elementwise", [Spline(7, BOUND), AffineMap()], ids=repr)
def test_zero_parameters_are_the_identity(elementwise: Elementwise):
    x = torch.linspace(-4, 4, 101, dtype=torch.float64)
    z, log_slope = elementwise.forward_and_log_slope(x, x.new_zeros(101, elementwise.count))
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_slope, torch.zeros_like(x))


def test_a_bin_by_hand():
    # two bins of [-1, 1], all widths and heights equal, slope 2 at the middle: by the formula at the middle of a bin
    spline = Spline(2, 1.0)
    raw_slope = math.log(math.expm1(2 - 1e-3) / math.expm1(1 - 1e-3))
    parameters = torch.tensor([0.0, 0.0, 0.0, 0.0, raw_slope], dtype=torch.float64)
    z, log_slope = spline.forward_and_log_slope(torch.tensor([0.5]).double(), parameters[None])
    # x_0 = 0, s = 1, d_0 = 2, d_1 = 1, xi = 1/2: rise (1/4 + 2/4) / (1 + 1/4) = 3/5; slope (1/4 + 2/4 + 2/4) / (5/4)^2
    torch.testing.assert_close(z, torch.tensor([0.6]).double())
    torch.testing.assert_close(log_slope.exp(), torch.tensor([0.8]).double())


@pytest.mark.parametrize("bins", [1, 2, 8, 16, 17])
def test_parameters_first_are_the_same_spline(bins):
    spline, x, parameters = _drawn([40, 3], bins, 2.0, 0, torch.float64)
    x[:4] = torch.tensor([BOUND, -BOUND, 2 * BOUND])  # on the ends and beyond
    first = parameters.movedim(-1, 0).contiguous()
    for there, back in (
        (spline.forward_and_log_slope, spline.forward_parameters_first),
        (spline.inverse_and_log_slope, spline.inverse_parameters_first),
    ):
        torch.testing.assert_close(back(x, first), there(x, parameters), rtol=1e-11, atol=1e-11)


def test_compiles_without_a_graph_break():
    spline, x, parameters = _drawn([6], 4, 1.0, 0, torch.float32)
    compiled = torch.compile(spline.forward_and_log_slope, fullgraph=True, backend="eager")
    for ours, theirs in zip(compiled(x, parameters), spline.forward_and_log_slope(x, parameters), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_words():
    assert repr(Spline(8, 4.0)) == "Spline(bins=8, bound=4.0)"
    with pytest.raises(ValueError, match="bins must be from 1 to 500, got 0"):
        Spline(0)
    with pytest.raises(ValueError, match="bound must be positive"):
        Spline(bound=0.0)
