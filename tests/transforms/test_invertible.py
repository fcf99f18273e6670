"""Every transform inverts, both ways, and its log-determinant is that of its Jacobian by autodiff."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hexad.nn import MLP
from hexad.randomness import fork
from hexad.transforms import (
    ActNorm,
    AdditiveMap,
    Affine,
    AffineCoupling,
    AffineMap,
    Autoregressive,
    Bounded,
    Compose,
    Continuous,
    Coupling,
    Elementwise,
    Gaussianization,
    Householder,
    Integral,
    Inverse,
    Logit,
    LULinear,
    Permutation,
    Planar,
    Radial,
    Residual,
    Sigmoidal,
    Softplus,
    Spline,
    SplineCoupling,
    Sylvester,
    Transform,
)


def _perturbed(transform: Transform, size: float = 0.2) -> Transform:
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return transform


def _even(features: int) -> torch.Tensor:
    return torch.arange(features) % 2 == 0


def _network(context: int = 0) -> Callable[[int, int], MLP]:
    return lambda a, b: MLP(a, b, (8,), context=context, zero_init=True)


def _coupling(features: int, context: int = 0, kind: type[Coupling] = AffineCoupling) -> Coupling:
    return kind(_even(features), _network(context))


def _masked(features: int, elementwise: Elementwise, context: int = 0) -> Autoregressive:
    order = torch.randperm(features).tolist()
    return Autoregressive(features, elementwise, (16, 12), order=order, context=context, activation=nn.SiLU)


def _cycled(d: int, *values: float) -> torch.Tensor:
    return torch.tensor([values[i % len(values)] for i in range(d)], dtype=torch.float32)


def _calm(transform: Transform) -> Transform:
    """Leave time out of a continuous flow, for a solution to 1e-14 in few steps; test_continuous.py has it in."""
    assert isinstance(transform, Continuous)
    with torch.no_grad():
        transform.velocity.modulation.weight.zero_()
    return transform


MAPS = {
    "affine": lambda d: Affine(torch.randn(d), torch.rand(d) + 0.1),
    "actnorm": lambda d: _perturbed(ActNorm(d)),
    "logit": lambda d: Logit(0.05),
    "softplus": lambda d: Softplus(),
    "bounded": lambda d: Bounded(
        _cycled(d, 0, 0, -math.inf), _cycled(d, 1, math.inf, 1.5, math.inf), torch.rand(d) + 0.5
    ),
    "permutation": lambda d: Permutation(torch.randperm(d)),
    "coupling": lambda d: _perturbed(_coupling(d)),
    "spline-coupling": lambda d: _perturbed(_coupling(d, kind=SplineCoupling), 0.5),
    "autoregressive": lambda d: _perturbed(_masked(d, AffineMap())),
    "spline-autoregressive": lambda d: _perturbed(_masked(d, Spline(5, 3.0)), 0.5),
    "lu": lambda d: _perturbed(LULinear(d)),
    "planar": lambda d: _perturbed(Planar(d), 1.0),
    "radial": lambda d: _perturbed(Radial(d), 1.0),
    "sylvester": lambda d: _perturbed(Sylvester(d, max(1, d - 1)), 1.0),
    "householder": lambda d: _perturbed(Householder(d)),
    "gaussianization": lambda d: _perturbed(Gaussianization(d, 5)),
    "additive-coupling": lambda d: _perturbed(Coupling(_even(d), _network(), AdditiveMap())),
    "sigmoidal-coupling": lambda d: _perturbed(Coupling(_even(d), _network(), Sigmoidal(4)), 0.5),
    "sigmoidal-autoregressive": lambda d: _perturbed(_masked(d, Sigmoidal(4)), 0.5),
    "integral-coupling": lambda d: _perturbed(Coupling(_even(d), _network(), Integral(4)), 0.5),
    "inverse-autoregressive": lambda d: _perturbed(Inverse(_masked(d, AffineMap()))),
    "continuous": lambda d: _calm(_perturbed(Continuous(d, (4,), tolerance=1e-14), 0.1)),
    "residual": lambda d: _perturbed(Residual(d, (6, 5)), 1.0),
    "compose": lambda d: Compose([_perturbed(_coupling(d)), Permutation(torch.randperm(d)), _perturbed(ActNorm(d))]),
}


def _made(name: str, d: int, dtype: torch.dtype, n: int, seed: int = 0) -> tuple[Transform, torch.Tensor]:
    with fork(seed):
        return MAPS[name](d).to(dtype), (
            torch.rand(n, d, dtype=torch.float64) if name in ("logit", "bounded") else torch.randn(n, d)
        ).to(dtype)


def _jacobian(f, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.autograd.functional.jacobian(lambda row: f(row[None])[0], row) for row in x])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(d=st.integers(2, 7), n=st.integers(1, 5), seed=st.integers(0, 1000))
def test_inverse_both_ways(name, dtype, d, n, seed):
    transform, x = _made(name, d, dtype, n, seed)
    z, forward = transform.forward_and_log_det(x)
    back, backward = transform.inverse_and_log_det(z)
    again = transform.forward(back)
    # rounding of z moves x by eps (1 + |z|) / slope, and the log-determinant by as much again
    jacobian = _jacobian(transform.forward, x)
    spread = 1 + jacobian.abs().amax() + torch.linalg.inv(jacobian).abs().amax()
    near = float(100 * torch.finfo(dtype).eps * spread * (1 + x.abs().amax() + z.detach().abs().amax()))
    assert z.shape == x.shape
    assert forward.shape == backward.shape == (n,)
    torch.testing.assert_close(back, x, rtol=0, atol=near)
    torch.testing.assert_close(again, z, rtol=0, atol=near * float(spread))
    torch.testing.assert_close(forward, -backward, rtol=0, atol=near * d)


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(d=st.integers(2, 6), seed=st.integers(0, 1000))
def test_log_det_is_that_of_the_jacobian(name, d, seed):
    transform, x = _made(name, d, torch.float64, 3, seed)
    z, log_det = transform.forward_and_log_det(x)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(_jacobian(transform.forward, x)).logabsdet)
    expected = torch.linalg.slogdet(_jacobian(transform.inverse, z)).logabsdet
    torch.testing.assert_close(transform.inverse_and_log_det(z)[1], expected)


@pytest.mark.parametrize("name", ["coupling", "spline-coupling"])
def test_coupling_keeps_one_half_and_moves_the_other_by_it(name):
    transform, x = _made(name, 6, torch.float64, 1)
    assert isinstance(transform, Coupling)
    jacobian = _jacobian(transform.forward, x)[0]
    kept, moved = transform.kept, transform.moved
    assert sorted([*kept.tolist(), *moved.tolist()]) == list(range(6))
    assert torch.equal(jacobian[kept][:, kept], torch.eye(3, dtype=torch.float64))
    assert not jacobian[kept][:, moved].any()
    among = jacobian[moved][:, moved]
    assert not (among - among.diagonal().diag()).any()
    assert (jacobian[moved][:, kept].abs() > 0).all()


@pytest.mark.parametrize("name", ["coupling", "spline-coupling", "autoregressive", "spline-autoregressive", "lu"])
def test_layers_start_as_the_identity(name):
    x = torch.randn(3, 4)
    fresh = {
        "coupling": _coupling(4),
        "spline-coupling": _coupling(4, kind=SplineCoupling),
        "autoregressive": _masked(4, AffineMap()),
        "spline-autoregressive": _masked(4, Spline()),
        "lu": LULinear(4),
    }[name]
    z, log_det = fresh.forward_and_log_det(x)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_det, torch.zeros(3), rtol=0, atol=1e-5)


def test_affine_coupling_starts_as_the_identity_to_the_bit_and_cannot_overflow():
    coupling, x = _coupling(4), torch.randn(3, 4)
    z, log_det = coupling.forward_and_log_det(x)
    assert torch.equal(z, x)
    assert not log_det.any()
    with torch.no_grad():
        coupling.network.layers[-1].bias.fill_(1e6)
    assert torch.isfinite(coupling.forward_and_log_det(x)[1]).all()
    assert (coupling.forward_and_log_det(x)[1] >= -3.0 * 2 - 1e-5).all()


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize("form", ["coupling", "autoregressive"])
def test_layers_read_their_context(form, kind):
    with fork(0):
        if form == "coupling":
            layer = _coupling(4, context=2, kind={"affine": AffineCoupling, "spline": SplineCoupling}[kind])
        else:
            layer = _masked(4, {"affine": AffineMap(), "spline": Spline()}[kind], context=2)
        x, context = torch.randn(3, 4), torch.ones(3, 2)
        _perturbed(layer)
    z, _ = layer.forward_and_log_det(x, context)
    assert not torch.allclose(z, layer.forward(x))
    torch.testing.assert_close(layer.inverse(z, context), x)
    with torch.no_grad():
        torch.testing.assert_close(layer.inverse(z, context), x)
    torch.testing.assert_close(layer.forward(x), layer.forward(x, torch.zeros(3, 2)))


def test_lu_is_the_product_of_its_factors():
    with fork(0):
        layer = _perturbed(LULinear(3)).double()
    (a, b, c), (d, e, f), (g, h, i) = layer.factors.tolist()
    lower = torch.tensor([[1, 0, 0], [d, 1, 0], [g, h, 1]]).double()
    upper = torch.tensor([[math.exp(a), b, c], [0, math.exp(e), f], [0, 0, math.exp(i)]]).double()
    z, log_det = layer.forward_and_log_det(torch.eye(3).double())
    torch.testing.assert_close(z, (lower @ upper).T)
    torch.testing.assert_close(log_det, torch.full((3,), a + e + i).double())


def test_actnorm_is_set_to_mean_0_and_variance_1_and_keeps_the_scale_of_a_constant_column():
    norm = ActNorm(3)
    x = torch.randn(500, 3) * torch.tensor([2.0, 1e-3, 0.0]) + torch.tensor([5.0, -1.0, 7.0])
    z = norm.prepare(x)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), rtol=1e-3, atol=1e-6)
    assert norm.log_scale[2] == 0
    torch.testing.assert_close(z, norm.forward(x))
    assert torch.equal(ActNorm(3).prepare(x[:1]), torch.zeros(1, 3))  # one record: no spread, and no warning


def test_compose_prepares_each_on_what_the_ones_before_it_make():
    chain = Compose([Affine(torch.zeros(2), torch.full((2,), 0.1)), ActNorm(2), ActNorm(2)])
    z = chain.prepare(torch.randn(200, 2))
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(2))
    second = chain.transforms[2]
    torch.testing.assert_close(second.log_scale, torch.zeros(2), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Affine(torch.zeros(2), torch.tensor([1.0, 0.0])), "scale must be positive"),
        (lambda: Logit(0.5), "alpha must be in"),
        (lambda: Permutation(torch.tensor([0, 0])), "once each"),
    ],
)
def test_words_of_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("name", ["planar", "radial", "sylvester"])
def test_maps_of_free_parameters_start_as_the_identity_and_read_their_context(name):
    made = {"planar": Planar, "radial": Radial, "sylvester": lambda d, context: Sylvester(d, 2, context)}[name]
    with fork(0):
        layer, x, context = made(3, context=2).double(), torch.randn(4, 3).double(), torch.randn(4, 2).double()
    z, log_det = layer.forward_and_log_det(x, context)
    torch.testing.assert_close(z, x)
    torch.testing.assert_close(log_det, torch.zeros(4).double(), rtol=0, atol=1e-7)
    with fork(1):
        _perturbed(layer, 1.0)
    z, log_det = layer.forward_and_log_det(x, context)
    assert not torch.allclose(z, layer.forward(x))
    torch.testing.assert_close(layer.forward(x), layer.forward(x, 0 * context))
    back, back_log_det = layer.inverse_and_log_det(z, context)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(back_log_det, -log_det)
    rows = [layer.forward_and_log_det(x[i : i + 1], context[i : i + 1]) for i in range(4)]
    torch.testing.assert_close(z, torch.cat([row[0] for row in rows]))


@pytest.mark.parametrize("name", ["planar", "radial", "sylvester"])
@pytest.mark.parametrize("size", [3.0, 30.0])
def test_maps_of_free_parameters_are_invertible_whatever_these_are(name, size):
    # where the least slope is 0.001, rounding of z moves x a thousandfold: z is what must come back
    with fork(2):
        layer = _perturbed(MAPS[name](3), size).double()
        x = 3 * torch.randn(200, 3).double()
    z, log_det = layer.forward_and_log_det(x)
    assert torch.isfinite(log_det).all()
    jacobian = _jacobian(layer.forward, x)
    assert (torch.linalg.det(jacobian) > 0).all()
    torch.testing.assert_close(layer.forward(layer.inverse(z)), z, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["planar", "radial", "sylvester"])
def test_inverses_have_the_gradients_of_the_implicit_function(name):
    transform, z = _made(name, 3, torch.float64, 2, seed=4)
    parameters = dict(transform.named_parameters())

    def inverse(*values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(_Inverse(transform), {f"map.{k}": v for k, v in given.items()}, (z,))

    assert torch.autograd.gradcheck(inverse, tuple(parameters.values()))


class _Inverse(nn.Module):
    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.map = transform

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.map.inverse_and_log_det(z)


def test_sylvester_words():
    with pytest.raises(ValueError, match="directions must be from 1 to the 3 columns, got 4"):
        Sylvester(3, 4)
