"""Flows: densities that integrate to 1, agree with the Jacobian of the inverse, and follow their samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch

from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.flow import (
    FFJORD,
    IAF,
    MAF,
    NICE,
    NSF,
    Flow,
    GaussianizationFlow,
    PlanarFlow,
    RadialFlow,
    RealNVP,
    ResidualFlow,
    SylvesterFlow,
)
from hexad.randomness import fork, stream
from hexad.testing import check_model
from hexad.transforms import ActNorm, Compose, Permutation, Sigmoidal, Spline, coupling_masks

FLOWS: dict[str, Callable[..., Flow]] = {
    "realnvp": RealNVP,
    "nsf": NSF,
    "maf": MAF,
    "nsf-ar": partial(MAF, elementwise=Spline()),
    "planar": PlanarFlow,
    "radial": RadialFlow,
    "sylvester": SylvesterFlow,
    "nice": NICE,
    "iaf": IAF,
    "naf": partial(MAF, elementwise=Sigmoidal(4)),
    "gaussianization": partial(GaussianizationFlow, components=4),
    "residual": ResidualFlow,
    "ffjord": lambda event, transforms, **options: FFJORD(event, tolerance=1e-9, **options),
}
PLAIN = ("planar", "radial", "sylvester")  # without networks


def _flow(event: Event, size: float = 0.1, context: int = 0, name: str = "realnvp") -> Flow:
    with fork(1):
        sizes = {} if name in PLAIN else {"hidden": (16,)}
        flow = FLOWS[name](event, transforms=4, context=context, **sizes).double()
        size = 5 * size if name in PLAIN else size
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(size * torch.randn_like(parameter))
    return flow


def _line(name: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n points of the line and the width that each stands for."""
    t = torch.linspace(-12, 12, n, dtype=torch.float64)
    step = t[1] - t[0]
    if name == "gaussianization":  # its tails are those of logistic distributions, layer upon layer
        return (0.7 * t).sinh(), 0.7 * (0.7 * t).cosh() * step
    return t, step.expand(n)


@pytest.mark.parametrize("name", FLOWS)
def test_density_of_two_columns_integrates_to_1(name):
    flow = _flow(Event.of(2, "real"), name=name)
    points = 401
    if isinstance(flow, FFJORD):  # a solver a point: fewer of them, and no more digits than are held to
        flow.layers[1].tolerance, points = 1e-5, 121
    edge, width = _line(name, points)
    grid = torch.cartesian_prod(edge, edge)
    with torch.no_grad():
        total = flow.log_prob(grid).exp() @ torch.cartesian_prod(width, width).prod(1)
        moved = (flow.sample(500, generator=stream(0)) - flow.base.sample(500, generator=stream(0))).abs().mean()
    assert moved > 0.1  # far from the identity that it starts as
    assert abs(total - 1) < 2e-4  # a little lies outside


@pytest.mark.parametrize("name", FLOWS)
def test_log_prob_is_that_of_the_inverse_by_autodiff(name):
    flow = _flow(Event.of((1, 2, 2), "real"), name=name)
    noise = flow.base.sample(5, generator=stream(0))
    with torch.no_grad():
        x = flow.sample(5, generator=stream(0))
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda z: flow.transform.inverse(z[None])[0], row) for row in noise]
    )
    base = -0.5 * noise.square().sum(1) - 2 * math.log(2 * math.pi)
    torch.testing.assert_close(flow.log_prob(x), base - torch.linalg.slogdet(jacobians).logabsdet)


def test_path_has_a_state_a_layer_and_ends_at_the_sample():
    flow = _flow(Event.of((1, 2, 2), "real"))
    with torch.no_grad():
        path = flow.path(3, generator=stream(0))
        assert torch.equal(path.states[-1], flow.sample(3, generator=stream(0)))
    assert torch.equal(path.states[0].flatten(1), flow.base.sample(3, generator=stream(0)))
    assert path.axis == "layer"
    assert path.labels == ("base", *["AffineCoupling", "ActNorm"] * 4)


def test_prepare_normalises_the_data():
    x = 3 * torch.randn(2000, 2, generator=stream(0)) + 5
    with fork(0):
        flow = RealNVP(Event.of(2, "real"), transforms=2, hidden=(8,))
    before = flow.log_prob(x).mean()
    flow.prepare(x)
    z = flow.transform(x)
    torch.testing.assert_close(z.std(0), torch.ones(2), rtol=1e-3, atol=1e-3)
    expected = -2 * math.log(3) - math.log(2 * math.pi) - 1  # a Gaussian is fitted at once
    assert abs(flow.log_prob(x).mean() - expected) < 0.1
    assert flow.log_prob(x).mean() > before


@pytest.mark.parametrize(("columns", "used"), [(2, 300), (8192, 256)])
def test_prepare_takes_fewer_records_of_many_columns(columns, used):
    x = torch.randn(300, columns, generator=stream(0)) + torch.arange(300)[:, None]
    flow = Flow(Event.of(columns, "real"), Compose([ActNorm(columns)]))
    flow.prepare(x)
    torch.testing.assert_close(flow.transform.transforms[0].shift, x[:used].mean(0))


@pytest.mark.parametrize("name", FLOWS)
def test_context_moves_the_density(name):
    flow = _flow(Event.of(2, "real"), context=3, name=name)
    x, context = torch.zeros(4, 2).double(), torch.randn(4, 3, generator=stream(0)).double()
    with torch.no_grad():
        assert not torch.allclose(flow.log_prob(x, context=context), flow.log_prob(x))
        sample = flow.sample(4, context=context, generator=stream(0))
        z = flow.transform(sample, context)
    torch.testing.assert_close(z, flow.base.sample(4, generator=stream(0)))


@pytest.mark.parametrize(("features", "wanted"), [(0, "none"), (3, r"one of shape \(4, 3\)")])
def test_a_context_of_another_shape_is_refused(features, wanted):
    flow, x = _flow(Event.of(2, "real"), context=features, name="maf"), torch.zeros(4, 2).double()
    given = torch.ones(4, 2)
    uses = (flow.log_prob, flow.loss, flow.vitals, lambda x, context: flow.sample(len(x), context=context))
    for use in (*uses, lambda x, context: flow.path(len(x), context=context)):
        with pytest.raises(InputError, match=rf"the flow takes {wanted}, got one of shape \(4, 2\)"):
            use(x, context=given)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("shape", [2, 3, (1, 2, 3)])
def test_contract(shape, name):
    flow = _flow(Event.of(shape, "real"), name=name).float()
    if isinstance(flow, FFJORD):
        flow.layers[1].tolerance = 1e-5  # its own: the other tests ask for more
    check_model(flow, seed=1)


@pytest.mark.parametrize("name", ["maf", "nsf-ar", "iaf", "naf", "gaussianization"])
def test_one_column_and_a_record_far_out(name):
    flow = _flow(Event.of(1, "real"), name=name).float()
    x = torch.tensor([[-1e6], [-0.5], [0.5], [1e6]])
    assert torch.isfinite(flow.log_prob(x)).all()
    edge, width = _line(name, 4001)
    with torch.no_grad():
        total = flow.double().log_prob(edge[:, None]).exp() @ width
    assert abs(total - 1) < 1e-3


@pytest.mark.parametrize("name", FLOWS)
def test_far_records_have_finite_densities_and_gradients(name):
    flow = _flow(Event.of(3, "real"), name=name).float()
    x = (1e6 * torch.tensor([[1.0, 1, 1], [-1, 1, -1], [0, 1e-6, -1]])).requires_grad_()
    log_prob = flow.log_prob(x)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in flow.parameters() if p.grad is not None)


def test_volume_is_preserved_but_for_the_scales_of_nice():
    flow, x = _flow(Event.of(3, "real"), name="nice"), torch.randn(5, 3, generator=stream(0)).double()
    z, log_det = flow.transform.forward_and_log_det(x)
    torch.testing.assert_close(log_det, -flow.transform.transforms[-1].log_scale.sum().expand(5))
    assert (z - x).abs().mean() > 0.1
    back, _ = flow.transform.inverse_and_log_det(z)
    torch.testing.assert_close(back, x)


@pytest.mark.parametrize("features", [2, 3, 8])
def test_every_column_is_moved_as_often_as_kept(features):
    with fork(0):
        masks = coupling_masks(features, 6)
        again = coupling_masks(features, 5)
    assert len(again) == 5
    assert (torch.stack(masks).sum(0) == 3).all()
    assert all(torch.equal(a, ~b) for a, b in zip(masks[::2], masks[1::2], strict=True))


def test_equal_seeds_are_equal_models():
    flows = []
    for _ in range(2):
        with fork(7):
            flows.append(RealNVP(Event.of(5, "real"), transforms=4, hidden=(8,)))
    a, b = (flow.state_dict() for flow in flows)
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_masked_flows_take_a_single_column():
    flow = _flow(Event.of(1, "real"), name="nsf-ar")
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    with torch.no_grad():
        assert abs(torch.trapezoid(flow.log_prob(x[:, None]).exp(), x) - 1) < 1e-4


@pytest.mark.parametrize("linear", [True, False])
def test_nsf_has_a_linear_map_where_asked(linear):
    flow = NSF(Event.of(3, "real"), transforms=2, hidden=(8,), linear=linear)
    layers = ["ActNorm", "LULinear", "SplineCoupling"] if linear else ["ActNorm", "SplineCoupling"]
    assert [type(layer).__name__ for layer in flow.transform.transforms] == layers * 2


def test_maf_goes_forth_and_back():
    flow = MAF(Event.of(3, "real"), transforms=3, hidden=(8,))
    orders = [layer.network.order.tolist() for layer in flow.transform.transforms[1::2]]
    assert orders == [[0, 1, 2], [2, 1, 0], [0, 1, 2]]


def test_words():
    flow = _flow(Event.of(2, "real"))
    assert all(word in repr(flow) for word in ("RealNVP", "AffineCoupling", "ActNorm", "MLP"))
    assert all(word in repr(NSF(Event.of(2, "real"))) for word in ("LULinear", "SplineCoupling", "Spline(bins=8"))
    assert all(word in repr(MAF(Event.of(2, "real"))) for word in ("Autoregressive", "AffineMap", "MaskedMLP"))
    with pytest.raises(ValueError, match="dequantise first"):
        Flow(Event.of(2, Support("real", step=1.0)), Compose([ActNorm(2)]))
    with pytest.raises(ValueError, match="dequantise first"):
        Flow(Event.of(2, "binary"), Compose([Permutation(torch.arange(2))]))
    with pytest.raises(ValueError, match="at least 2 columns"):
        RealNVP(Event.of(1, "real"))
    with pytest.raises(ValueError, match="at least 2 columns"):
        NSF(Event.of(1, "real"))
