"""A network of bounded slope: the bound against singular values, and the Jacobian against autodiff."""

from __future__ import annotations

import pytest
import torch

from hexad.nn.lipschitz import (
    STEEPEST,
    LipschitzMLP,
    jacobian,
    spectral_bound,
    times_jacobian,
    times_transpose,
)
from hexad.randomness import fork, stream


def _network(hidden: tuple[int, ...] = (7, 6), context: int = 0, size: float = 1.0) -> LipschitzMLP:
    with fork(0), torch.no_grad():
        network = LipschitzMLP(3, hidden, context=context)
        for parameter in network.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return network.double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1, 1), (64, 2), (3, 40), (128, 128)])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_the_bound_is_above_the_largest_singular_value_and_near_it(shape, dtype, size):
    weight = size * torch.randn(shape, generator=stream(0), dtype=dtype)
    largest = torch.linalg.svdvals(weight)[0]
    assert largest * (1 - 1e-5) <= spectral_bound(weight) <= largest * min(shape) ** (1 / 256) * (1 + 1e-5)


def test_the_bound_of_equal_singular_values_is_known_and_that_of_zeros_has_gradients():
    turned = torch.linalg.qr(torch.randn(16, 16, generator=stream(0), dtype=torch.float64))[0]
    torch.testing.assert_close(spectral_bound(3 * turned), torch.tensor(3 * 16 ** (1 / 256), dtype=torch.float64))
    weight = torch.zeros(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(spectral_bound(weight), weight)
    assert torch.isfinite(gradient).all()
    assert torch.autograd.gradcheck(spectral_bound, turned[:3].clone().requires_grad_())


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_no_slope_is_above_the_bound_and_weights_within_it_are_kept(size):
    network, x = _network(size=size), 3 * torch.randn(500, 3, generator=stream(0), dtype=torch.float64)
    weights = network.weights()
    assert torch.stack([torch.linalg.svdvals(weight)[0] for weight in weights]).prod() <= 0.9 * (1 + 1e-12)
    _, slopes = network.with_slopes(x, None, weights)
    assert all((slope.abs() < 1).all() for slope in slopes)
    assert (torch.linalg.svdvals(jacobian(weights, slopes))[:, 0] < 0.9).all()
    if size == 0.01:
        assert torch.equal(weights[-1], network.layers[-1].weight)


def test_the_steepest_slope_of_a_swish_is_below_its_divisor():
    u = torch.linspace(-20, 20, 200_001, dtype=torch.float64)
    steepest = float((torch.sigmoid(u) * (1 + u * torch.sigmoid(-u))).max())
    assert STEEPEST - 1e-3 < steepest < STEEPEST


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (7, 6, 5)])
@pytest.mark.parametrize("context", [0, 2])
def test_the_jacobian_and_products_with_it_are_those_of_autodiff(hidden, context):
    network, x = _network(hidden, context), torch.randn(4, 3, generator=stream(0), dtype=torch.float64)
    given = torch.ones(4, context, dtype=torch.float64) if context else None
    weights = network.weights()
    g, slopes = network.with_slopes(x, given, weights)
    expected = torch.autograd.functional.jacobian(lambda x: network(x, given).sum(0), x).permute(1, 0, 2)
    v = x.flip(0)
    torch.testing.assert_close(g, network(x, given))
    torch.testing.assert_close(jacobian(weights, slopes), expected)
    torch.testing.assert_close(times_jacobian(weights, slopes, v), torch.einsum("bij,bj->bi", expected, v))
    torch.testing.assert_close(times_transpose(weights, slopes, v), torch.einsum("bji,bj->bi", expected, v))


def test_context_moves_it_and_none_counts_as_zeros():
    network, x = _network(context=2), torch.zeros(4, 3, dtype=torch.float64)
    zeros = torch.zeros(4, 2, dtype=torch.float64)
    torch.testing.assert_close(network(x), network(x, zeros))
    assert (network(x, zeros + 1) - network(x)).abs().min() > 1e-4
