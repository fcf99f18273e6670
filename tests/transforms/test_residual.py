"""Residual maps: contractions at any weights, the estimate and its gradient unbiased, the inverse row by row."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hexad.event import Event
from hexad.flow import ResidualFlow
from hexad.randomness import fork, stream
from hexad.recipes import recipe_of
from hexad.transforms import Residual


def _residual(features: int = 3, context: int = 0, exact: int = 32, contraction: float = 0.9) -> Residual:
    with fork(0), torch.no_grad():
        layer = Residual(features, (8, 7), context, exact=exact, contraction=contraction)
        for parameter in layer.parameters():
            parameter.add_(2 * torch.randn_like(parameter))
    return layer.double()


def _records(n: int, features: int = 3) -> Tensor:
    return torch.randn(n, features, generator=stream(1), dtype=torch.float64)


def _gradients(layer: Residual, log_det: Tensor, x: Tensor) -> Tensor:
    found = torch.autograd.grad(log_det.sum(), [*layer.parameters(), x], allow_unused=True)
    return torch.cat([gradient.flatten() for gradient in found if gradient is not None])


@pytest.mark.parametrize("sure", [0, 4])
def test_the_estimate_and_its_gradient_are_unbiased(sure, monkeypatch):
    monkeypatch.setattr("hexad.transforms.residual.SURE", sure)  # with few the weights of what follows count
    layer, x = _residual(exact=0), _records(1).requires_grad_()
    assert layer.estimates
    with torch.no_grad():  # layers that point the same way, where the activations are steep: traces far from 0
        first, second, third = (linear.weight for linear in layer.network.layers)
        second.copy_(torch.eye(7, 8))
        third.copy_(first[:7].T)
        first.add_(0.1)
        layer.network.layers[0].bias.add_(4)
    log_det = layer.forward_and_log_det(x)[1]
    expected = torch.cat([log_det.detach(), _gradients(layer, log_det, x)])
    assert expected[0].abs() > 0.3
    draws, generator = [], stream(2)
    for _ in range(400):
        copies = x.detach().expand(50, -1).clone().requires_grad_()
        z, estimate = layer.estimate_log_det(copies, generator=generator)
        gradients = _gradients(layer, estimate, copies) / 50
        inner = gradients[-150:].unflatten(0, (50, 3)).sum(0)
        draws.append(torch.cat([estimate.detach().mean()[None], gradients[:-150], inner]))
    found = torch.stack(draws)
    torch.testing.assert_close(z, layer.forward(copies))
    error = found.std(0) / math.sqrt(len(found))
    # a gradient of some fifty numbers: a few lie beyond 3 standard errors, and none far
    assert ((found.mean(0) - expected).abs() < 4 * error + 1e-9).all()
    assert error[0] < 0.05


def test_the_estimate_is_exact_where_there_are_few_columns():
    layer, x = _residual(), _records(4)
    assert not layer.estimates
    for estimated, exact in zip(layer.estimate_log_det(x), layer.forward_and_log_det(x), strict=True):
        assert torch.equal(estimated, exact)
    assert Residual(33).estimates


def test_pieces_are_those_of_the_whole():
    layer, x, context = _residual(context=2), _records(7), torch.randn(7, 2, generator=stream(3)).double()
    z, log_det = layer.forward_and_log_det(x, context)
    layer.rows = 3
    pieces, pieced = layer.forward_and_log_det(x, context)
    torch.testing.assert_close(pieces, z)
    torch.testing.assert_close(pieced, log_det)
    torch.testing.assert_close(layer.inverse(z, context), x)
    assert layer.forward_and_log_det(x[:0])[1].shape == (0,)


@pytest.mark.parametrize("contraction", [0.5, 0.9, 0.99])
def test_the_inverse_arrives_however_steep_the_map_and_a_row_is_alone(contraction):
    layer, x = _residual(contraction=contraction), 5 * _records(100)
    with torch.no_grad():
        z = layer.forward(x)
        back = layer.inverse(z)
        torch.testing.assert_close(back, x, rtol=1e-11, atol=1e-11)
        far = torch.cat([z[:5], torch.full((1, 3), 1e3, dtype=torch.float64)])
        torch.testing.assert_close(layer.inverse(far)[:5], back[:5], rtol=0, atol=1e-14)


def test_the_inverse_has_the_gradients_of_the_implicit_function():
    layer, z, context = _residual(context=2), _records(2), torch.ones(2, 2, dtype=torch.float64)
    parameters = {name: value.detach().clone().requires_grad_() for name, value in layer.named_parameters()}

    def inverse(z: Tensor, context: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        given = {f"map.{name}": value for name, value in zip(parameters, values, strict=True)}
        return torch.func.functional_call(_Inverse(layer), given, (z, context))

    inputs = (z.requires_grad_(), context.requires_grad_(), *parameters.values())
    assert torch.autograd.gradcheck(inverse, inputs)


class _Inverse(torch.nn.Module):
    def __init__(self, layer: Residual) -> None:
        super().__init__()
        self.map = layer

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        return self.map.inverse_and_log_det(z, context)


def test_it_starts_as_the_identity_and_no_determinant_is_taken_for_a_sample(monkeypatch):
    with fork(0):
        flow, x = ResidualFlow(Event.of(3, "real"), 2, (8, 7)), torch.randn(4, 3)
    z, log_det = flow.transform.forward_and_log_det(x)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_det, torch.zeros(4))
    monkeypatch.setattr(torch.linalg, "slogdet", None)
    with torch.no_grad():
        flow.sample(4, generator=stream(0))


def test_it_stays_a_contraction_in_training_which_may_estimate():
    with fork(0):
        flow = ResidualFlow(Event.of(2, "real"), 2, (16, 16), exact=0)
    x = torch.cat([_records(64, 2) - 3, 0.2 * _records(64, 2) + 3]).float()
    flow.prepare(x)
    before = flow.log_prob(x).mean().item()
    optimizer, generator = torch.optim.Adam(flow.parameters(), lr=3e-2), stream(0)
    for _ in range(100):
        optimizer.zero_grad()
        flow.loss(x, generator=generator).mean().backward()
        optimizer.step()
    layers = [layer for layer in flow.transform.transforms if isinstance(layer, Residual)]
    for layer in layers:
        largest = torch.stack([torch.linalg.svdvals(weight)[0] for weight in layer.network.weights()])
        assert 0.8 < largest.prod() < 0.9 * (1 + 1e-5)  # the bound binds
    assert flow.log_prob(x).mean() > before + 0.3


@pytest.mark.parametrize("contraction", [0.0, 1.0])
def test_words(contraction):
    with pytest.raises(ValueError, match="contraction must be between 0 and 1"):
        Residual(3, contraction=contraction)
    with pytest.raises(ValueError, match="hidden has no widths"):
        Residual(3, ())
    assert all(word in repr(Residual(3)) for word in ("Residual", "LipschitzMLP", "bound=0.9"))


def test_records_that_are_too_wide_are_refused():
    why = recipe_of("residual").why_not
    assert why(Event.of(256, "real")) is None
    assert why(Event.of(257, "real")) == (
        "residual states exact likelihoods, by determinants that take too long beyond 256 columns: there are 257"
    )
