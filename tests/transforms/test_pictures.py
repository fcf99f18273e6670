"""Transforms of pictures: inverse, log-determinant, which numbers move, and that shapes change nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hexad.nn import ConvNet
from hexad.randomness import fork
from hexad.transforms import (
    ActNorm,
    AffineMap,
    CheckerboardCoupling,
    Compose,
    Coupling,
    Elementwise,
    Flatten,
    InvertibleConv,
    Part,
    Spline,
    Squeeze,
    Transform,
    Unflatten,
)


def _coupling(channels: int, elementwise: Elementwise, context: int = 0) -> Coupling:
    kept = torch.arange(channels) < channels // 2
    return Coupling(kept, lambda a, b: ConvNet(a, b, 6, context=context), elementwise)


MAPS: dict[str, Callable[[int], Transform]] = {
    "actnorm": ActNorm,
    "conv": InvertibleConv,
    "affine-coupling": lambda c: _coupling(c, AffineMap()),
    "spline-coupling": lambda c: _coupling(c, Spline(4, 3.0)),
    "checkerboard": lambda c: CheckerboardCoupling(c, True, lambda a, b: ConvNet(a, b, 6), AffineMap()),
    "checkerboard-spline": lambda c: CheckerboardCoupling(c, False, lambda a, b: ConvNet(a, b, 6), Spline(4, 3.0)),
    "squeeze": lambda c: Squeeze(),
    "part": lambda c: Part(InvertibleConv(2), 2),
    "step": lambda c: Part(Compose([ActNorm(c), InvertibleConv(c), _coupling(c, AffineMap())]), c),
}


def _made(name: str, channels: int, side: int, dtype: torch.dtype, seed: int) -> tuple[Transform, Tensor]:
    with fork(seed):
        transform = MAPS[name](channels).to(dtype)
        with torch.no_grad():
            for parameter in transform.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        return transform, torch.randn(3, channels, side, 2 * side, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-11), (torch.float32, 2e-4)])
@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(channels=st.integers(2, 4), side=st.sampled_from([2, 4]), seed=st.integers(0, 1000))
def test_inverse_both_ways(name, dtype, near, channels, side, seed):
    transform, x = _made(name, channels, side, dtype, seed)
    z, forward = transform.forward_and_log_det(x)
    back, backward = transform.inverse_and_log_det(z)
    assert z[0].numel() == x[0].numel()
    assert back.shape == x.shape
    torch.testing.assert_close(back, x, rtol=near, atol=near)
    torch.testing.assert_close(transform.forward(back), z, rtol=near, atol=near)
    torch.testing.assert_close(forward, -backward, rtol=10 * near, atol=10 * near)


@pytest.mark.parametrize("name", MAPS)
def test_log_det_is_that_of_the_jacobian(name):
    transform, x = _made(name, 4, 2, torch.float64, 0)
    shape = x.shape[1:]

    def flat(row: Tensor) -> Tensor:
        return transform.forward(row.view(1, *shape)).flatten()

    jacobians = torch.stack([torch.autograd.functional.jacobian(flat, row.flatten()) for row in x])
    log_det = transform.forward_and_log_det(x)[1]
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobians).logabsdet)
    if name not in ("squeeze",):
        assert (log_det.abs() > 1e-3).all()


def test_squeeze_keeps_the_first_channels_first():
    x = torch.arange(2 * 4 * 4.0).view(1, 2, 4, 4)
    z = Squeeze().forward(x)
    assert z.shape == (1, 8, 2, 2)
    assert sorted(z[:, :4].flatten().tolist()) == x[:, :1].flatten().tolist()
    assert z[0, :4, 0, 0].tolist() == [0.0, 1.0, 4.0, 5.0]  # a square of pixels becomes channels


def test_shapes_there_and_back():
    x = torch.randn(3, 12)
    assert torch.equal(Unflatten((3, 2, 2)).forward(x), x.view(3, 3, 2, 2))
    assert torch.equal(Flatten((3, 2, 2)).inverse(x), x.view(3, 3, 2, 2))
    assert torch.equal(Flatten((3, 2, 2)).forward(x.view(3, 3, 2, 2)), x)
    assert repr(Unflatten((3, 2, 2))) == "Unflatten((3, 2, 2))"


def test_part_leaves_the_rest_to_the_bit():
    transform, x = _made("part", 4, 2, torch.float32, 0)
    z = transform.forward(x)
    assert torch.equal(z[:, 2:], x[:, 2:])
    assert not torch.isclose(z[:, :2], x[:, :2]).all()


def test_the_convolution_starts_as_a_rotation_and_mixes_channels_alone():
    with fork(0):
        layer = InvertibleConv(5).double()
    x = torch.randn(2, 5, 3, 3, dtype=torch.float64)
    z, log_det = layer.forward_and_log_det(x)
    torch.testing.assert_close(z.square().sum(1), x.square().sum(1), rtol=1e-5, atol=1e-5)  # made in float32
    torch.testing.assert_close(log_det, torch.zeros(2).double(), rtol=0, atol=1e-4)
    moved = x.clone()
    moved[:, :, 0, 0] += 1
    assert torch.equal(layer.forward(moved)[:, :, 1:], z[:, :, 1:])


def test_activation_normalisation_of_pictures_is_a_channel_each():
    x = torch.randn(50, 2, 4, 4) * torch.tensor([3.0, 0.5])[:, None, None] + 1
    norm = ActNorm(2)
    z = norm.prepare(x)
    torch.testing.assert_close(z.std((0, 2, 3), correction=0), torch.ones(2))
    torch.testing.assert_close(norm.forward_and_log_det(x)[1][0], -16 * norm.log_scale.sum())


def test_couplings_of_pictures_read_their_context():
    with fork(0):
        layer = _coupling(4, AffineMap(), context=3)
        torch.nn.init.normal_(layer.network.leave.weight)
    x, context = torch.randn(2, 4, 2, 2), torch.ones(2, 3)
    z = layer.forward(x, context)
    assert not torch.allclose(z, layer.forward(x))
    torch.testing.assert_close(layer.inverse(z, context), x)
    torch.testing.assert_close(layer.forward(x), layer.forward(x, torch.zeros(2, 3)))


def test_a_checkerboard_keeps_black_pixels_and_reads_no_white_ones():
    with fork(0):
        layer = CheckerboardCoupling(2, True, lambda a, b: ConvNet(a, b, 6), AffineMap())
        torch.nn.init.normal_(layer.network.leave.weight)
    x = torch.randn(2, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    z = layer.forward(x)
    even = (torch.arange(4)[:, None] + torch.arange(6)) % 2 == 0
    assert torch.equal(z[..., even], x[..., even])
    assert not torch.isclose(z[..., ~even], x[..., ~even]).any(-1).all()
    moved = x.clone()
    moved[0, 0, 0, 1] += 1.0  # a white pixel: it alone is moved differently
    changed = ~torch.isclose(layer.forward(moved), z)
    assert changed.nonzero().tolist() == [[0, 0, 0, 1]]
