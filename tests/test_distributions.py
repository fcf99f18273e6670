"""Column log-probabilities against mpmath's 60 digits, sums to 1, quadrature and finite differences."""

import math

import mpmath
import pytest
import torch

from hexad.distributions import (
    bernoulli_log_prob,
    discretised_logistic_log_prob,
    kl_normal,
    log1mexp,
    logistic_log_cell,
    normal_log_cell,
    normal_log_prob,
    normal_noise,
)


def exact_cell(z: float, delta: float) -> float:
    """The log mass of a standard normal's cell, by 60 digits."""
    with mpmath.workdps(60):
        high, low = -abs(mpmath.mpf(z)) + mpmath.mpf(delta) / 2, -abs(mpmath.mpf(z)) - mpmath.mpf(delta) / 2
        return float(mpmath.log((mpmath.erfc(-high / mpmath.sqrt(2)) - mpmath.erfc(-low / mpmath.sqrt(2))) / 2))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-7)])
@pytest.mark.parametrize("z", [0.0, 0.1, 1.0, -3.0, 10.0, -40.0, 200.0])
def test_normal_cell_mass(z, dtype, tolerance):
    deltas = [1e-8, 1e-4, 1e-2, 0.1, 0.49, 0.51, 1.0, 2.0, 30.0]
    width = torch.tensor(deltas, dtype=dtype)
    zero = torch.zeros((), dtype=dtype)
    got = normal_log_cell(zero + z, zero, zero, width)
    for value, delta in zip(got.tolist(), width.double().tolist(), strict=True):
        assert value == pytest.approx(exact_cell(z, delta), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_of_far_cells_are_right(dtype):
    # far out the mass is that of the near edge: d/d mean -> hazard ~ distance, d/d log_scale -> distance^2
    z = torch.tensor([1e2, -1e3, 1e4, -1e6], dtype=dtype)[:, None]
    width = torch.tensor([1e-6, 1e-2, 0.7, 3.0], dtype=dtype)
    mean, log_scale = (torch.zeros(4, 4, dtype=dtype, requires_grad=True) for _ in range(2))
    value = normal_log_cell(z, mean, log_scale, width)
    value.sum().backward()
    assert torch.isfinite(value).all()
    distance = z.abs() - 0.5 * torch.where(z.abs() * width > 1, width, 0.0)
    assert torch.allclose(mean.grad / z.sign(), distance, rtol=0.02)
    assert torch.allclose(log_scale.grad, distance.square(), rtol=0.05)


def test_normal_cell_gradients():
    torch.manual_seed(0)
    x = 4 * torch.randn(40, 1, dtype=torch.float64)
    width = torch.tensor([0.0, 1e-5, 0.1, 0.6, 3.0, 20.0], dtype=torch.float64)
    mean = torch.randn(40, 6, dtype=torch.float64, requires_grad=True)
    log_scale = (0.5 * torch.randn(40, 6, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: normal_log_cell(x, m, s, width), (mean, log_scale))


@pytest.mark.parametrize("log_scale", [-3.0, 0.0, 2.0])
@pytest.mark.parametrize("cell", [normal_log_cell, logistic_log_cell])
def test_cells_of_a_grid_sum_to_one(cell, log_scale):
    width, scale = torch.tensor(0.3, dtype=torch.float64), torch.tensor(log_scale, dtype=torch.float64)
    x = 0.3 * torch.arange(-3000, 3001, dtype=torch.float64)
    assert float(cell(x, torch.tensor(0.37), scale, width).exp().sum()) == pytest.approx(1, abs=1e-12)


def test_without_a_cell_the_density():
    x, mean, log_scale = torch.randn(3, 50, dtype=torch.float64)
    reference = torch.distributions.Normal(mean, log_scale.exp()).log_prob(x)
    assert torch.allclose(normal_log_cell(x, mean, log_scale, torch.zeros(50)), reference, atol=1e-12)
    assert torch.allclose(normal_log_prob(x, mean, log_scale), reference, atol=1e-12)


@pytest.mark.parametrize("levels", [2, 5, 17, 256])
@pytest.mark.parametrize("mean", [-40.0, 0.3, 7.0, 400.0])
@pytest.mark.parametrize("log_scale", [-3.0, 0.0, 4.0])
def test_ordinal_masses_sum_to_one(levels, mean, log_scale):
    k = torch.arange(levels, dtype=torch.float64)
    mean, log_scale = (torch.tensor(v, dtype=torch.float64) for v in (mean, log_scale))
    log_p = discretised_logistic_log_prob(k, mean, log_scale, torch.tensor(float(levels)))
    assert torch.isfinite(log_p).all()
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-12)


def test_ordinal_masses_are_cdf_differences():
    k, mean, scale = torch.arange(9, dtype=torch.float64), 3.3, 1.7
    cdf = torch.sigmoid((torch.arange(10, dtype=torch.float64) - 0.5 - mean) / scale)
    cdf[0], cdf[-1] = 0, 1
    log_scale = torch.tensor(math.log(scale), dtype=torch.float64)
    log_p = discretised_logistic_log_prob(k, torch.tensor(mean), log_scale, torch.tensor(9.0))
    assert torch.allclose(log_p.exp(), cdf.diff(), atol=1e-7)


def test_ordinal_gradients_are_finite_in_the_tail():
    k = torch.tensor([0.0, 8.0, 16.0])
    mean = torch.tensor([-3e4, 3e4, 1e6], requires_grad=True)
    log_scale = torch.tensor([-5.0, -2.0, 3.0], requires_grad=True)
    value = discretised_logistic_log_prob(k, mean, log_scale, torch.tensor(17.0))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(mean.grad).all()
    assert torch.isfinite(log_scale.grad).all()


def test_bernoulli():
    logits = torch.tensor([-200.0, -1.0, 0.0, 2.0, 200.0])
    ones, zeros = bernoulli_log_prob(torch.ones(5), logits), bernoulli_log_prob(torch.zeros(5), logits)
    assert torch.allclose(torch.logaddexp(ones, zeros), torch.zeros(5), atol=1e-6)
    assert torch.allclose(ones.exp(), logits.sigmoid())
    assert torch.isfinite(ones).all()


def test_log1mexp():
    d = torch.tensor([1e-12, 1e-3, 0.69, 0.70, 20.0, 800.0], dtype=torch.float64)
    expected = [float(mpmath.log1p(-mpmath.exp(-mpmath.mpf(v)))) if v > 1e-9 else math.log(v) for v in d.tolist()]
    assert torch.allclose(log1mexp(d), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=0)


def test_divergence_of_normals():
    m, s, n, r = torch.randn(4, 30, dtype=torch.float64)
    a, b = (torch.distributions.Normal(u, v.exp()) for u, v in ((m, s), (n, r)))
    assert torch.allclose(kl_normal(m, s, n, r), torch.distributions.kl_divergence(a, b), atol=1e-12)
    standard = torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(m))
    assert torch.allclose(kl_normal(m, s), torch.distributions.kl_divergence(a, standard), atol=1e-12)


def test_noise_of_a_row_does_not_depend_on_the_number_of_rows():
    draw = {n: normal_noise(n, 3, torch.Generator().manual_seed(1)) for n in (1, 7, 5000)}
    assert torch.equal(draw[1], draw[5000][:1])
    assert torch.equal(draw[7], draw[5000][:7])
    assert abs(float(draw[5000].mean())) < 0.04
    assert float(draw[5000].std()) == pytest.approx(1, abs=0.03)
