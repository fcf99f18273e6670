"""Masked autoregressive maps: what a column sees, and the incremental inverse against full passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hexad.event import Event
from hexad.nn import MaskedMLP
from hexad.randomness import fork
from hexad.recipes.flow import maf, nsf_ar
from hexad.transforms import AffineMap, Autoregressive, Elementwise, Sigmoidal, Spline, autoregressive

MAPS = [AffineMap(), Spline(5, 3.0), Sigmoidal(4)]


def _layer(elementwise: Elementwise, features: int = 9, context: int = 2, reverse: bool = False) -> Autoregressive:
    order = list(range(features))[:: -1 if reverse else 1]
    with fork(0):
        layer = Autoregressive(features, elementwise, (32, 27), order=order, context=context)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return layer


def _inputs(layer: Autoregressive, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = (50, layer.network.features), (50, layer.network.context)
    z, context = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return 2 * z.to(dtype), context.to(dtype)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("elementwise", MAPS, ids=repr)
def test_the_incremental_inverse_is_the_one_by_full_passes(elementwise, reverse, dtype, near):
    layer = _layer(elementwise, reverse=reverse).to(dtype).eval()
    z, context = _inputs(layer, dtype)
    with torch.no_grad():
        slow, slow_log_det = layer._inverse_by_full_passes(z, context)
        fast, log_det = layer.inverse_and_log_det(z, context)
        torch.testing.assert_close(fast, slow, rtol=near, atol=near)
        torch.testing.assert_close(log_det, slow_log_det, rtol=near, atol=near)
        torch.testing.assert_close(layer.forward(fast, context), z, rtol=10 * near, atol=10 * near)
    assert (fast - z).abs().mean() > 0.1


def test_the_incremental_inverse_goes_piece_by_piece(monkeypatch):
    layer = _layer(AffineMap()).double().eval()
    z, context = _inputs(layer, torch.float64)
    with torch.no_grad():
        whole, log_det = layer.inverse_and_log_det(z, context)
        monkeypatch.setattr(autoregressive, "PIECE", 24)  # of 50
        pieces, log_dets = layer.inverse_and_log_det(z, context)
    assert torch.equal(pieces, whole)
    assert torch.equal(log_dets, log_det)


@pytest.mark.parametrize("elementwise", MAPS, ids=repr)
@pytest.mark.parametrize("weights", [0.2, 30.0])  # at the second columns run away before they are right
def test_the_jacobi_inverse_is_the_one_by_full_passes(elementwise, weights):
    layer = _layer(elementwise).double().eval()
    layer.way = "jacobi"
    with torch.no_grad():
        layer.network.layers[0].weight.mul_(weights / 0.2)
        z, context = _inputs(layer, torch.float64)
        slow, slow_log_det = layer._inverse_by_full_passes(z, context)
        fast, log_det = layer.inverse_and_log_det(z, context)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(log_det, slow_log_det, rtol=1e-10, atol=1e-10)


def test_the_jacobi_inverse_stops_when_nothing_changes(monkeypatch):
    passes = []
    forward = MaskedMLP.forward
    monkeypatch.setattr(MaskedMLP, "forward", lambda *given: passes.append(1) or forward(*given))
    with fork(0):
        layer = Autoregressive(40, AffineMap(), (64,), inverse="jacobi")  # as it starts no column depends on another
    z = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(layer.inverse(z), z)
        assert len(passes) == 2
        passes.clear()
        nn.init.normal_(layer.network.leave.weight, std=0.05, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(layer.forward(layer.inverse(z)), z, rtol=1e-4, atol=1e-4)
    assert 3 < len(passes) < 30


@pytest.mark.parametrize("recipe", [maf, nsf_ar])
def test_recipes_choose_how_they_sample(recipe):
    with fork(0):
        flow = recipe(Event.of(5, "real"), hidden=[16], sampling="jacobi").eval()
    layers = [layer for layer in flow.transform.transforms if isinstance(layer, Autoregressive)]
    with torch.no_grad():
        for layer in layers:
            nn.init.normal_(layer.network.leave.weight, std=0.2, generator=torch.Generator().manual_seed(0))
    assert {layer.way for layer in layers} == {"jacobi"}
    drawn = flow.sample(7, generator=torch.Generator().manual_seed(1))
    for layer in layers:
        layer.way = "incremental"
    torch.testing.assert_close(drawn, flow.sample(7, generator=torch.Generator().manual_seed(1)), rtol=1e-4, atol=1e-5)


def test_words_of_the_inverse():
    with pytest.raises(ValueError, match="inverse: expected 'incremental' or 'jacobi', got 'newton'"):
        Autoregressive(3, AffineMap(), inverse="newton")


@pytest.mark.parametrize("elementwise", MAPS, ids=repr)
def test_the_inverse_makes_no_full_pass_without_gradients(elementwise, monkeypatch):
    layer = _layer(elementwise)
    monkeypatch.setattr(MaskedMLP, "forward", None)
    with torch.no_grad():
        assert torch.isfinite(layer.inverse(*_inputs(layer, torch.float32))).all()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("elementwise", MAPS, ids=repr)
def test_a_column_sees_those_before_it_and_no_other(elementwise, reverse):
    with fork(3):
        layer = Autoregressive(6, elementwise, (64, 64), order=range(6)[:: -1 if reverse else 1], activation=nn.Tanh)
        for parameter in layer.parameters():
            nn.init.normal_(parameter, std=0.3)
    layer, x = layer.double(), torch.linspace(-1, 1, 6, dtype=torch.float64)
    for way in (layer.forward, layer.inverse):
        jacobian = torch.autograd.functional.jacobian(lambda row, way=way: way(row[None])[0], x)
        jacobian = jacobian.flip(0, 1) if reverse else jacobian
        assert not jacobian.triu(1).any()
        assert (jacobian.diagonal() > 0).all()
        assert (jacobian[1:, 0] != 0).all()  # the first is seen by all


def test_changed_weights_change_the_inverse():
    layer = _layer(AffineMap()).eval()
    z, context = _inputs(layer, torch.float32)
    with torch.no_grad():
        before = layer.inverse(z, context), layer.forward(z, context)
        for parameter in layer.parameters():
            parameter.mul_(1.5)
        after = layer.inverse(z, context)
        torch.testing.assert_close(after, layer._inverse_by_full_passes(z, context)[0], rtol=1e-4, atol=1e-4)
    assert (after - before[0]).abs().mean() > 0.1


def test_gradients_go_through_the_inverse():
    layer = _layer(AffineMap(), features=4).double()
    z, context = _inputs(layer, torch.float64)
    z, context = z[:3].requires_grad_(), context[:3].requires_grad_()
    with torch.no_grad():
        without = layer.inverse_and_log_det(z, context)
    assert all(torch.equal(a, b) for a, b in zip(without, layer.inverse_and_log_det(z, context), strict=True))
    assert torch.autograd.gradcheck(layer.inverse_and_log_det, (z, context))
    layer.inverse(z, context).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())
