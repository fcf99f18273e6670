"""The leapfrog as a map: it leads back, keeps volume, and its energy error is of order 2; one leap of it is MALA."""

from __future__ import annotations

import pytest
import torch

from hexad.mcmc import Point, hmc, leapfrog, mala
from hexad.randomness import stream

WEIGHTS = torch.tensor([1.0, 0.5], dtype=torch.float64)


def quartic(x):
    """Two terms: x^4 / 4 in each column, and half a square shifted by 1."""
    energies = torch.stack([x.pow(4).sum(1) / 4, (x - 1).square().sum(1) / 2])
    return Point(x, energies, torch.stack([x.pow(3), x - 1]))


def motion(x, p, step, leaps):
    return leapfrog(quartic(x), p, quartic, WEIGHTS, step=step, leaps=leaps)


def start(rows=200, columns=2):
    return torch.randn(2, rows, columns, generator=stream(0, "hmc"), dtype=torch.float64)


def test_the_leapfrog_leads_back():
    x, p = start()
    point, end = motion(x, p, 0.1, 25)
    assert (point.x - x).abs().max() > 0.5
    back, returned = motion(point.x, -end, 0.1, 25)
    torch.testing.assert_close(back.x, x, rtol=0, atol=1e-11)
    torch.testing.assert_close(returned, -p, rtol=0, atol=1e-11)


def test_the_leapfrog_keeps_volume():
    x, p = start(1)

    def flat(both):
        point, end = motion(both[None, :2], both[None, 2:], 0.3, 5)
        return torch.cat([point.x[0], end[0]])

    jacobian = torch.autograd.functional.jacobian(flat, torch.cat([x[0], p[0]]))
    assert float(torch.linalg.det(jacobian)) == pytest.approx(1.0, abs=1e-12)


def test_the_energy_error_over_a_fixed_time_is_of_order_two():
    x, p = start()
    errors = []
    for leaps in (20, 40, 80):
        point, end = motion(x, p, 1.0 / leaps, leaps)
        rise = WEIGHTS @ (point.energies - quartic(x).energies)
        errors.append(float((rise + 0.5 * (end.square() - p.square()).sum(1)).abs().mean()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_one_leap_is_mala(temperature):
    point = quartic(start()[0])
    one, accept = hmc(point, quartic, WEIGHTS, step=0.7, leaps=1, temperature=temperature, generator=stream(1))
    other, known = mala(point, quartic, WEIGHTS, step=0.49, temperature=temperature, generator=stream(1))
    assert 0.2 < float(known.mean()) < 0.98
    torch.testing.assert_close(accept, known, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.x, other.x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [mala, hmc])
def test_rows_may_have_coefficients_steps_and_temperatures_of_their_own(kernel):
    point, rows = quartic(start(6)[0]), torch.ones(6, dtype=torch.float64)
    one = kernel(point, quartic, WEIGHTS, step=0.3, temperature=0.7, generator=stream(2))
    own = kernel(point, quartic, WEIGHTS[:, None] * rows, step=0.3 * rows, temperature=0.7 * rows, generator=stream(2))
    torch.testing.assert_close(own[0].x, one[0].x)
    torch.testing.assert_close(own[1], one[1])
    # another row's numbers do not matter
    mixed = torch.tensor([1.0, 2.0] * 3, dtype=torch.float64)
    other = kernel(
        point, quartic, WEIGHTS[:, None] * mixed, step=0.3 * mixed, temperature=0.7 * mixed, generator=stream(2)
    )
    torch.testing.assert_close(other[0].x[::2], one[0].x[::2])
    assert not torch.allclose(other[0].x[1::2], one[0].x[1::2])
