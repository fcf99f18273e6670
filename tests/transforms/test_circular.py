"""Splines of a circle: onto it, inverse, log-slope, continuous where its ends meet, a density that integrates to 1."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hexad.event import Event
from hexad.flow import Circular, Flow
from hexad.randomness import fork, stream
from hexad.transforms import CircularSpline, Compose, Coupling
from hexad.transforms.circular import wrap

PI = math.pi


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """Return the distance along the circle."""
    return wrap(a - b, PI).abs()


def _drawn(bins: int, size: float, seed: int, dtype: torch.dtype, n: int = 40) -> tuple[CircularSpline, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    layer = CircularSpline(bins)
    parameters = size * torch.randn(layer.count, generator=generator, dtype=torch.float64)
    x = 2 * PI * torch.rand(n, generator=generator, dtype=torch.float64) - PI
    return layer, x.to(dtype), parameters.expand(n, -1).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=20, deadline=None, derandomize=True)
@given(bins=st.integers(1, 9), size=st.floats(0, 3), seed=st.integers(0, 10_000))
def test_inverse_both_ways_and_log_slope(dtype, bins, size, seed):
    layer, x, parameters = _drawn(bins, size, seed, dtype)
    ways = layer.forward_and_log_slope, layer.inverse_and_log_slope
    for there, back in (ways, ways[::-1]):
        point = x.clone().requires_grad_()
        z, log_slope = there(point, parameters)
        again, log_back = back(z.detach(), parameters)
        near = 300 * torch.finfo(dtype).eps * (1 + PI + parameters[0, -1].abs()) * (1 + (-log_slope).exp())
        assert (_apart(again, x) <= near).all()
        assert ((z >= -PI) & (z < PI)).all()
        assert torch.isfinite(log_back).all()
        if dtype == torch.float64:
            torch.testing.assert_close(torch.autograd.grad(z.sum(), point)[0].log(), log_slope, rtol=1e-8, atol=1e-8)


def test_the_density_is_continuous_around_the_circle_and_integrates_to_1():
    layer, _, parameters = _drawn(6, 1.5, 3, torch.float64, 1)
    x = torch.linspace(-PI, PI, 20_002, dtype=torch.float64)[:-1] + 1e-9
    z, log_slope = layer.forward_and_log_slope(x, parameters.expand(len(x), -1))
    density = log_slope.exp() / (2 * PI)  # that of a uniform z
    assert density.sum().item() * (2 * PI / len(x)) == pytest.approx(1, abs=1e-6)
    assert density.max() > 2 * density.min()
    assert (density - density.roll(1)).abs().max() < 0.05 * density.max()  # the first and the last are neighbours, too
    assert _apart(z[0], z[-1]) < 0.01
    steps = wrap(z - z.roll(1), PI)
    assert (steps > 0).all()  # once around, in one direction
    assert steps.sum().item() == pytest.approx(2 * PI)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_turns_do_not_matter_and_far_numbers_are_finite(dtype):
    layer, x, parameters = _drawn(5, 1.0, 0, dtype)
    z, log_slope = layer.forward_and_log_slope(x, parameters)
    turned, same = layer.forward_and_log_slope(x + 2 * PI, parameters)
    assert _apart(turned, z).max() < 1e3 * torch.finfo(dtype).eps
    torch.testing.assert_close(same, log_slope, rtol=1e-3, atol=1e-4)
    for far in (-1e30, -1e6, -PI, PI, 1e6, 1e30):
        point = torch.full_like(x, far).requires_grad_()
        for size in (1.0, 1e4):
            z, log_slope = layer.forward_and_log_slope(point, size * parameters)
            assert ((z >= -PI) & (z < PI)).all()
            assert torch.isfinite(log_slope).all()
            assert torch.isfinite(torch.autograd.grad(log_slope.sum() + z.sum(), point)[0]).all()


def test_zero_parameters_are_the_identity_of_the_circle():
    layer, x, parameters = _drawn(7, 0.0, 0, torch.float64)
    z, log_slope = layer.forward_and_log_slope(x, parameters)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_slope, torch.zeros_like(x), rtol=0, atol=1e-12)
    assert torch.equal(wrap(x, PI), x)
    assert wrap(torch.tensor([-PI - 1e-9, PI]), PI).tolist() == [pytest.approx(-PI), pytest.approx(-PI)]


class _Angles(nn.Module):
    """A linear layer of cosine and sine: what it says of an angle does not jump where the circle closes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * inputs, outputs)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.linear(torch.cat([x.cos(), x.sin()], 1))


def test_a_coupling_of_two_angles_is_a_density_on_the_torus():
    with fork(0):
        layer = Coupling(torch.tensor([True, False]), _Angles, CircularSpline(4)).double()
        nn.init.normal_(layer.network.linear.weight, std=0.5)
    edge = (torch.arange(300).double() + 0.5) / 300 * 2 * PI - PI
    _, log_det = layer.forward_and_log_det(torch.cartesian_prod(edge, edge))
    assert log_det.exp().mean().item() == pytest.approx(1, abs=1e-4)  # of a uniform z
    around = log_det.reshape(300, 300)
    for axis in (0, 1):  # no jump where the circle closes
        jumps = (around - around.roll(1, axis)).abs().transpose(0, axis)
        assert jumps[0].max() <= jumps[1:].max()
    assert around.std() > 0.2


def _of_angles(base):
    masks = torch.eye(2).bool()
    layers = [Coupling(mask, _Angles, CircularSpline(8)) for mask in masks]
    return Flow(Event.of(2, "real"), Compose(layers), base=base)


def test_a_flow_of_angles_is_a_density_of_the_torus_and_learns_one():
    truth = torch.distributions.VonMises(torch.tensor([2.8, -1.0]), torch.tensor([3.0, 2.0]))
    with fork(0):
        flow = _of_angles(Circular(2))
        x = truth.sample((6000,))
        optimizer = torch.optim.Adam(flow.parameters(), 0.05)
        for _ in range(120):
            optimizer.zero_grad()
            flow.loss(x).mean().backward()
            optimizer.step()
        fresh = truth.sample((4000,))
    with torch.no_grad():
        edge = (torch.arange(200) + 0.5) / 200 * 2 * PI - PI
        density = flow.log_prob(torch.cartesian_prod(edge, edge)).double().exp()
        assert float(density.sum() * (2 * PI / 200) ** 2) == pytest.approx(1, abs=1e-3)
        gap = truth.log_prob(fresh).sum(1) - flow.log_prob(fresh)
        assert -3 * float(gap.std()) / 4000**0.5 < float(gap.mean()) < 0.05
        drawn = flow.sample(4000, generator=stream(0))
    assert drawn.abs().max() <= PI
    for column in range(2):  # the mean direction of draws and of the law
        mine, law = (torch.atan2(y[:, column].sin().mean(), y[:, column].cos().mean()) for y in (drawn, fresh))
        assert abs(float(mine - law)) < 0.1


def test_a_flow_of_angles_behind_a_law_of_reals_is_refused():
    with pytest.raises(ValueError, match="values lie in a circle, StandardNormal's do not: give the base Circular"):
        _of_angles(None)
    with pytest.raises(ValueError, match=r"a spline's circle has the bound 3.14159265\d+, the base's 180.0: give one"):
        _of_angles(Circular(2, bound=180.0))


def test_angles_beside_reals():
    base = Circular(3, [1], bound=180.0)
    x = base.sample(5000, generator=stream(1))
    assert x[:, 1].abs().max() <= 180
    assert float(x[:, 1].std()) == pytest.approx(360 / 12**0.5, rel=0.03)
    assert float(x[:, [0, 2]].std()) == pytest.approx(1, rel=0.03)
    known = torch.distributions.Normal(0, 1).log_prob(x[:, [0, 2]]).sum(1) - torch.tensor(360.0).log()
    torch.testing.assert_close(base.log_prob(x), known)
    for angles in ([], [3], [-1]):
        with pytest.raises(ValueError, match="expected columns from 0 to 2"):
            Circular(3, angles)
    assert base.log_prob(x.index_fill(1, torch.tensor([1]), torch.nan)).isnan().all()
    for bound in (0.0, torch.inf):
        with pytest.raises(ValueError, match="bound must be positive"):
            Circular(1, bound=bound)


def test_words():
    assert repr(CircularSpline(4, 180.0)) == "CircularSpline(bins=4, bound=180.0)"
    with pytest.raises(ValueError, match="bins must be from 1 to 500, got 0"):
        CircularSpline(0)
    with pytest.raises(ValueError, match="bound must be positive"):
        CircularSpline(bound=0.0)
