"""Solvers against equations whose solutions are known: orders, tolerances, and rows that are left alone."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hexad import ode
from hexad.ode import dopri5, rk4

TURN = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)


def _oscillator(t: Tensor, y: Tensor) -> Tensor:
    return y @ TURN.T


def _turned(y: Tensor, by: float) -> Tensor:
    c, s = math.cos(by), math.sin(by)
    return y @ torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def _timed(t: Tensor, y: Tensor) -> Tensor:
    return torch.cos(t) * y  # y(t) = y(0) exp(sin t)


@pytest.fixture
def start() -> Tensor:
    return torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _slope(errors: dict[float, float]) -> float:
    h, e = (torch.tensor(list(v), dtype=torch.float64).log() for v in (errors.keys(), errors.values()))
    return float(((h - h.mean()) * (e - e.mean())).sum() / (h - h.mean()).square().sum())


@pytest.mark.parametrize(("field", "end"), [(_oscillator, 3.0), (_timed, 2.0)])
def test_rk4_is_of_order_4(field, end, start):
    exact = _turned(start, end) if field is _oscillator else start * math.exp(math.sin(end))
    errors = {end / n: float((rk4(field, start, 0.0, end, n)[0] - exact).abs().max()) for n in (8, 16, 32, 64)}
    assert abs(_slope(errors) - 4) < 0.2


def test_rk4_says_how_wrong_it_is(start):
    exact = start * math.exp(math.sin(2.0))
    errors = {}
    for n in (8, 16, 32, 64):
        y, error = rk4(_timed, start, 0.0, 2.0, n)
        assert ((y - exact).abs() < error).all()
        errors[2.0 / n] = float(error.max())
    assert abs(_slope(errors) - 3) < 0.2  # the sum of local errors of the method of order 3


def test_dormand_and_prince_are_of_orders_5_and_4(start):
    errors, estimates = {}, {}
    for n in (8, 16, 32):
        h, y, t = torch.full((5, 1), 3.0 / n, dtype=torch.float64), start, torch.zeros(5, 1, dtype=torch.float64)
        for k in range(n):
            y, local, _ = ode._trial(_timed, t + k * 3.0 / n, y, h, _timed(t + k * 3.0 / n, y))
        errors[3.0 / n] = float((y - start * math.exp(math.sin(3.0))).abs().max())
        estimates[3.0 / n] = float(local.abs().max())
    assert abs(_slope(errors) - 5) < 0.3
    assert abs(_slope(estimates) - 5) < 0.3  # the local error of the method of order 4


@pytest.mark.parametrize("tolerance", [1e-4, 1e-8, 1e-12])
@pytest.mark.parametrize("end", [4.0, -4.0])
def test_the_adaptive_solution_is_as_near_as_was_asked_and_says_how_near(tolerance, end, start):
    found = dopri5(_oscillator, start, 0.0, end, tolerance=tolerance)
    off = (found.y - _turned(start, end)).abs()
    assert float(off.max()) < 20 * tolerance
    assert (off.sum(1) <= found.error.sum(1)).all()
    assert float(found.error.max()) < 1000 * tolerance
    assert found.evaluations == 1 + 6 * (found.evaluations // 6)


def test_there_and_back(start):
    there = dopri5(_timed, start, 0.0, 2.0, tolerance=1e-13).y
    torch.testing.assert_close(there, start * math.exp(math.sin(2.0)), rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(dopri5(_timed, there, 2.0, 0.0, tolerance=1e-13).y, start, rtol=1e-11, atol=1e-11)
    back = rk4(_timed, rk4(_timed, start, 0.0, 2.0, 200)[0], 2.0, 0.0, 200)[0]
    torch.testing.assert_close(back, start, rtol=1e-8, atol=1e-8)
    assert torch.equal(dopri5(_timed, start, 1.0, 1.0).y, start)


def test_single_precision_takes_any_tolerance(start):
    found = dopri5(_timed, start.float(), 0.0, 2.0, tolerance=1e-12)
    assert found.y.dtype == torch.float32
    torch.testing.assert_close(found.y, (start * math.exp(math.sin(2.0))).float(), rtol=1e-5, atol=1e-5)


def test_rows_have_steps_of_their_own_and_do_not_see_each_other():
    def field(t: Tensor, y: Tensor) -> Tensor:
        return y * (1 - y) * (1 + t)  # products and sums alone: the same bits whatever the number of rows

    y = torch.tensor([[0.5], [1e-6], [0.999], [7.0], [40.0]], dtype=torch.float64)
    together = dopri5(field, y, 0.0, 2.0)
    for i in range(len(y)):
        alone = dopri5(field, y[i : i + 1], 0.0, 2.0)
        assert torch.equal(alone.y, together.y[i : i + 1])
        assert torch.equal(alone.error, together.error[i : i + 1])
        assert torch.equal(alone.steps, together.steps[i : i + 1])
    assert len(set(together.steps.tolist())) > 2


def test_a_row_that_blows_up_is_nan_and_harms_no_other():
    y = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    found = dopri5(lambda t, y: y.square(), y, 0.0, 1.0, most=60)  # y / (1 - y t)
    assert abs(float(found.y[0]) - 1.0) < 1e-4
    assert math.isnan(found.y[1])
    assert math.isinf(found.error[1])


@pytest.mark.parametrize("save_memory", [False, True])
def test_gradients_go_through_the_steps(save_memory, start):
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    y = start.clone().requires_grad_()
    exact = torch.exp(2 * rate.detach())
    for end in (
        rk4(lambda t, y: rate * y, y, 0.0, 2.0, 40, save_memory=save_memory)[0],
        dopri5(lambda t, y: rate * y, y, 0.0, 2.0, tolerance=1e-10).y,
    ):
        grads = torch.autograd.grad(end.sum(), (rate, y))
        torch.testing.assert_close(grads[0], 2 * exact * start.sum(), rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(grads[1], exact.expand(5, 2), rtol=1e-6, atol=1e-8)


def test_words():
    with pytest.raises(ValueError, match="at least 1 step"):
        rk4(_timed, torch.zeros(1, 1), 0.0, 1.0, 0)
