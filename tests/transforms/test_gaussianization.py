"""Marginal Gaussianization and sigmoidal maps: known laws, tails, inverses, gradients, the start from data."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special, stats

from hexad.event import Event
from hexad.flow import GaussianizationFlow
from hexad.randomness import fork
from hexad.transforms import Gaussianization, Sigmoidal
from hexad.transforms.gaussianization import log_mills, normal_quantile


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_normal_quantile_of_log_probabilities(dtype, near):
    log_p = -torch.logspace(-0.159, 6, 500, dtype=torch.float64).to(dtype)
    z = normal_quantile(log_p)
    exact = special.ndtri_exp(log_p.double().numpy())
    torch.testing.assert_close(z.double(), torch.from_numpy(exact), rtol=near, atol=near)
    mills = stats.norm.logcdf(z.double().numpy()) - stats.norm.logpdf(z.double().numpy())
    torch.testing.assert_close(
        log_mills(z)[:200].double(), torch.from_numpy(mills)[:200], rtol=20 * near, atol=20 * near
    )


def test_normal_quantile_has_derivatives_of_every_order():
    log_p = torch.tensor([-0.7, -3.0, -60.0, -1000.0]).double().requires_grad_()
    assert torch.autograd.gradcheck(normal_quantile, log_p)
    assert torch.autograd.gradgradcheck(normal_quantile, log_p)


@pytest.mark.parametrize(("dtype", "size", "near"), [(torch.float32, 5.0, 1e-3), (torch.float64, 10.0, 1e-10)])
def test_a_sigmoidal_map_comes_back_from_a_plateau(dtype, size, near):
    layer, generator = Sigmoidal(8), torch.Generator().manual_seed(1)
    parameters = (size * torch.randn(200_000, layer.count, generator=generator, dtype=torch.float64)).to(dtype)
    x = (size * torch.randn(200_000, generator=generator, dtype=torch.float64)).to(dtype)
    z, log_slope = layer.forward_and_log_slope(x, parameters)
    flattest = log_slope.argsort()[:5_000]
    x, z, parameters = x[flattest], z[flattest], parameters[flattest]
    back, log_slope = layer.inverse_and_log_slope(z, parameters)
    assert back.isfinite().all()
    assert log_slope.isfinite().all()
    assert (back - x).abs().max() < 40 * size  # on a plateau z says little of x: but not that it is far from the terms
    torch.testing.assert_close(layer.forward_and_log_slope(back, parameters)[0], z, rtol=near, atol=near)


def _by_hand(x: float, centres: torch.Tensor, scales: torch.Tensor, weights: torch.Tensor) -> tuple[float, float]:
    u = (x - centres) / scales
    cdf = float((weights * torch.sigmoid(u)).sum())
    density = float((weights / scales * torch.sigmoid(u) * torch.sigmoid(-u)).sum())
    return cdf, density


def test_gaussianization_is_the_normal_quantile_of_the_mixtures_cdf():
    layer = Gaussianization(1, 3).double()
    mixture = [[-1.0, 0.5, 2.0], [0.5, 1.0, 0.2], [0.2, 0.5, 0.3]]
    centres, scales, weights = torch.tensor(mixture, dtype=torch.float64)
    with torch.no_grad():
        layer.centres[0], layer.log_scales[0], layer.log_weights[0] = centres, scales.log(), weights.log()
    for x in (-4.0, -1.0, 0.0, 0.7, 2.1, 5.0):
        z, log_det = layer.forward_and_log_det(torch.tensor([[x]], dtype=torch.float64))
        cdf, density = _by_hand(x, centres, scales, weights)
        assert z.item() == pytest.approx(stats.norm.ppf(cdf), abs=1e-10)
        assert log_det.item() == pytest.approx(math.log(density) - stats.norm.logpdf(stats.norm.ppf(cdf)), abs=1e-9)


def test_the_sigmoidal_map_is_the_logit_of_the_mixtures_cdf():
    layer, generator = Sigmoidal(3), torch.Generator().manual_seed(0)
    parameters = torch.randn(9, generator=generator).double()
    centres = layer.start.double() + parameters[:3]
    scales = 1 / (1.5 * torch.exp(5 * torch.tanh(parameters[3:6] / 5)))
    for x in (-4.0, -1.0, 0.0, 0.7, 2.1, 5.0):
        z, log_slope = layer.forward_and_log_slope(torch.tensor(x, dtype=torch.float64), parameters)
        cdf, density = _by_hand(x, centres, scales, parameters[6:].softmax(0))
        assert z.item() == pytest.approx(math.log(cdf / (1 - cdf)), abs=1e-6)  # the start is kept in float32
        assert log_slope.item() == pytest.approx(math.log(density / (cdf * (1 - cdf))), abs=1e-6)


@pytest.mark.parametrize("terms", [1, 8, 16])
def test_the_sigmoidal_map_starts_near_the_identity_and_its_terms_part(terms):
    layer, x = Sigmoidal(terms), torch.linspace(-2, 2, 101)
    parameters = torch.zeros(layer.count).requires_grad_()
    z, log_slope = layer.forward_and_log_slope(x, parameters.expand(101, -1))
    assert (z - x).abs().max() < (0.2 if terms > 1 else 1e-6)
    assert log_slope.abs().max() < 0.25
    (z.square().sum() + log_slope.sum()).backward()
    assert len(parameters.grad.unflatten(0, (3, terms)).unique(dim=1).T) == terms


def test_gaussianization_starts_near_the_identity():
    x = torch.linspace(-2, 2, 101)[:, None]
    assert (Gaussianization(1).forward(x) - x).abs().max() < 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_every_number_and_gradient_is_finite_however_far_out(dtype, size):
    x = torch.tensor([-1e30, -1e6, -100.0, 0.0, 100.0, 1e6, 1e30], dtype=dtype)
    generator = torch.Generator().manual_seed(0)
    sigmoidal, layer = Sigmoidal(4).to(dtype), Gaussianization(1, 4).to(dtype)
    raw = size * torch.randn(7, sigmoidal.count, generator=generator, dtype=dtype)
    ways = [sigmoidal.forward_and_log_slope, sigmoidal.inverse_and_log_slope]
    for way in [*ways, lambda p, _: layer.forward_and_log_det(p[:, None])]:
        point, parameters = x.clone().requires_grad_(), raw.clone().requires_grad_()
        z, log_slope = way(point, parameters)
        assert z.flatten().diff().min() > 0 or size  # rows have parameters of their own but at zero
        (z.sum() + log_slope.sum()).backward()
        for tensor in (z, log_slope, point.grad, parameters.grad):
            assert tensor is None or torch.isfinite(tensor).all()
    z = torch.tensor([[-40.0], [-8.0], [0.0], [8.0], [40.0]], dtype=dtype)
    back, log_det = layer.inverse_and_log_det(z)
    assert torch.isfinite(log_det).all()
    torch.testing.assert_close(layer.forward(back), z, rtol=1e-5, atol=1e-5)


def test_log_determinants_far_out_are_those_of_the_tail():
    # F(-x) is w exp((c - x)/s) of the widest component: z^2/2 + log|z| ... and dz/dx = 1 / (s Mills(z))
    layer = Gaussianization(1, 4)
    _, log_det = layer.forward_and_log_det(torch.tensor([[-1e6]]))
    exact, scale = layer.double(), layer.log_scales[0, 0].exp().double()
    z, expected = exact.forward_and_log_det(torch.tensor([[-1e6]]).double())
    assert expected.item() == pytest.approx((log_mills(z[0]) - scale.log()).item(), abs=1e-6)
    torch.testing.assert_close(log_det.double(), expected, rtol=1e-5, atol=0)


def test_prepared_on_data_it_leaves_a_gaussian_copula_normal():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(4000, 2, generator=generator).double() @ torch.tensor([[1.0, 0.8], [0.0, 0.6]]).double()
    x = torch.stack([normal[:, 0].exp(), normal[:, 1] ** 3 + 5], 1)
    with fork(0):
        flow = GaussianizationFlow(Event.of(2, "real"), transforms=2, components=32).double()
    flow.prepare(x)
    z = flow.transform(x).detach()
    assert abs(torch.corrcoef(z.T)[0, 1]) < 0.05
    assert torch.corrcoef(x.T)[0, 1] > 0.3
    for column in z.T.numpy():
        assert stats.kstest(column, "norm").statistic < 0.03
    dry = Gaussianization(2)
    assert torch.isfinite(dry.prepare(torch.tensor([[1.0, 2.0]]))).all()  # one record: no spread
    assert torch.isfinite(dry.prepare(torch.full((50, 2), 3.0))).all()


def test_the_context_moves_it_once_trained():
    with fork(0):
        layer = Gaussianization(2, 4, context=3).double()
        x, context = torch.randn(5, 2).double(), torch.ones(5, 3).double()
        assert torch.equal(layer.forward(x, context), layer.forward(x))
        for parameter in layer.network.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
    z = layer.forward(x, context)
    assert (z - layer.forward(x)).abs().max() > 0.1
    torch.testing.assert_close(layer.inverse(z, context), x)


def test_words():
    with pytest.raises(ValueError, match="components must be at least 2, got 1"):
        Gaussianization(2, 1)
    with pytest.raises(ValueError, match="terms must be at least 1, got 0"):
        Sigmoidal(0)
    with pytest.raises(ValueError, match="bound must be positive, got 0"):
        Sigmoidal(2, 0)
    assert repr(Sigmoidal(4)) == "Sigmoidal(terms=4, bound=5.0)"
