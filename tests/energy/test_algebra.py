"""Energies that are calculated with, against closed forms, quadrature and enumeration."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.checks import InputError
from hexad.energy import (
    EBM,
    RBM,
    Banana,
    DoubleWell,
    Gaussian,
    Ising,
    Tilt,
    exp,
    gaussian_mixture,
    log_partition,
    mixture,
    potential,
    product,
)
from hexad.event import Event
from hexad.flow import RealNVP, fit_to_energy
from hexad.nn.scalar import ScalarMLP
from hexad.randomness import fork, stream

PLANE = Event.of(2, "real")
BOX = [(-9.0, 9.0), (-9.0, 9.0)]
NARROW = Gaussian([1.0, -0.5], [[0.6, 0.2], [0.2, 0.9]])
WIDE = Gaussian([-1.0, 0.5], [[2.0, -0.7], [-0.7, 1.5]])
X = torch.randn(50, 2, generator=stream(0), dtype=torch.float64)


def bent(x):
    """A smooth function that is no quadratic."""
    return (x[:, 0] * x[:, 1]).sin() + 0.1 * x.square().sum(1)


def network():
    """Return a ScalarMLP in float64 that is not flat."""
    with fork(0):
        net = ScalarMLP(2, (8,)).double()
        torch.nn.init.normal_(net.last.weight)
    return net


COMBINED = {
    "sum": (NARROW + WIDE, lambda x: NARROW.energy(x) + WIDE.energy(x)),
    "difference": (NARROW - WIDE, lambda x: NARROW.energy(x) - WIDE.energy(x)),
    "negation": (-NARROW, lambda x: -NARROW.energy(x)),
    "multiple": (2 * NARROW, lambda x: 2 * NARROW.energy(x)),
    "multiple from behind": (NARROW * 2.0, lambda x: 2 * NARROW.energy(x)),
    "temperature": (NARROW / 4, lambda x: NARROW.energy(x) / 4),
    "number": (3.0 - NARROW + 1, lambda x: 4 - NARROW.energy(x)),
    "nested": (2 * (NARROW + 3 * (WIDE - NARROW)) - 1, lambda x: 6 * WIDE.energy(x) - 4 * NARROW.energy(x) - 1),
    "nothing": (NARROW - NARROW, lambda x: torch.zeros(len(x), dtype=x.dtype)),
    "builtin sum": (sum([NARROW, WIDE]), lambda x: NARROW.energy(x) + WIDE.energy(x)),
    "product": (product([NARROW, WIDE], [1, 0.5]), lambda x: NARROW.energy(x) + 0.5 * WIDE.energy(x)),
    "function": (potential(bent) + WIDE, lambda x: bent(x) + WIDE.energy(x)),
    "mixture": (
        mixture([NARROW, WIDE + 1], [3, 1]),
        lambda x: -(0.75 * (-NARROW.energy(x)).exp() + 0.25 * (-WIDE.energy(x) - 1).exp()).log(),
    ),
    "tilt": (
        WIDE * exp(-potential(bent)),
        lambda x: bent(x) + WIDE.energy(x) + math.log(2 * math.pi) + 0.5 * math.log(2.0 * 1.5 - 0.49),
    ),
}


@pytest.mark.parametrize("name", COMBINED)
def test_operators_are_their_formulas_and_their_gradients_those_of_autodiff(name):
    made, formula = COMBINED[name]
    x = X.clone().requires_grad_()
    known = formula(x)
    torch.testing.assert_close(made.energy(x), known)
    (slope,) = torch.autograd.grad(known.sum(), x) if known.requires_grad else (torch.zeros_like(x),)
    value, gradient = made.value_and_gradient(X)
    torch.testing.assert_close(value, known.detach())
    torch.testing.assert_close(gradient, slope)
    assert not value.requires_grad


def test_a_network_is_an_energy_with_its_parameters_and_closed_form_gradient():
    net = network()
    made = 2 * potential(net) + NARROW
    assert {id(p) for p in made.parameters()} == {id(p) for p in net.parameters()}
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(made.energy(x).sum(), x)
    torch.testing.assert_close(made.value_and_gradient(X)[1], slope)
    made.energy(X).mean().backward()
    assert all(p.grad is not None for p in list(net.parameters())[:-1])


def test_the_same_object_is_kept_once():
    assert (NARROW + WIDE) - WIDE is not NARROW  # a part of weight 0 stays, and is not evaluated
    assert NARROW + 0 is NARROW
    assert 1 * NARROW is NARROW
    assert -1 * (-NARROW) is NARROW
    hot = potential(lambda x: x.sum(1) * math.inf)
    torch.testing.assert_close((NARROW + hot - hot).energy(X), NARROW.energy(X))
    assert len((2 * (NARROW + WIDE) + WIDE).parts) == 2


@pytest.mark.parametrize(
    "energy",
    [NARROW, 2.5 * NARROW, NARROW / 3 + 2, gaussian_mixture([[2, 0], [-2, 1]], [[1, 0.5], [0.3, 1]], [1, 4]) - 1.5],
    ids=["plain", "cold", "hot and lifted", "mixture"],
)
def test_log_z_that_is_carried_through_is_that_of_quadrature(energy):
    assert energy.log_z is not None
    assert log_partition(energy).exact
    assert log_partition(energy, box=[(-20, 20), (-20, 20)]).value == pytest.approx(energy.log_z, abs=1e-9)


def test_log_z_is_never_guessed():
    for energy in (NARROW + WIDE, -NARROW, 0 * NARROW, 2 * mixture([NARROW, WIDE]), potential(bent)):
        assert energy.log_z is None
    assert mixture([NARROW, NARROW + WIDE]).log_z is None


def test_product_of_gaussians_is_the_known_gaussian():
    # precisions add; log Z of exp(-a - b) is that of the joint quadratic, completed
    precision = NARROW.precision + WIDE.precision
    linear = NARROW.precision @ NARROW.mean + WIDE.precision @ WIDE.mean
    middle = torch.linalg.solve(precision, linear)
    left = NARROW.mean @ NARROW.precision @ NARROW.mean + WIDE.mean @ WIDE.precision @ WIDE.mean - linear @ middle
    known = float(math.log(2 * math.pi) - 0.5 * torch.logdet(precision) - 0.5 * left)
    assert log_partition(NARROW + WIDE, box=BOX).value == pytest.approx(known, abs=1e-9)
    # a number that is far from 0, so that a wrong scale of the weights is seen
    found = log_partition(NARROW + WIDE + 20, base=WIDE, runs=256, levels=40, generator=stream(0))
    assert found.low < known - 20 < found.high
    assert found.high - found.low < 0.25
    assert found.confidence == 0.95
    assert not found.exact


def test_shares_of_a_mixture_are_weights_times_z():
    parts = [Gaussian([-4.0], [0.01]), Gaussian([4.0], [1.0])]
    raw = mixture(parts, [1, 1])
    drawn = raw.sample(20_000, generator=stream(0))
    assert float((drawn < 0).double().mean()) == pytest.approx(0.1 / 1.1, abs=0.01)
    meant = mixture([part + part.log_z for part in parts], [1, 1])
    assert meant.log_z == pytest.approx(0.0, abs=1e-12)
    left = log_partition(meant, box=[(-9, 0)]).value
    assert math.exp(left) == pytest.approx(0.5 + 0.25 * math.erfc(4 / 2**0.5), abs=1e-8)


@pytest.fixture(scope="module")
def flow():
    """Return a flow that is not the identity."""
    with fork(0):
        made = RealNVP(PLANE, transforms=2, hidden=(8,))
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    return made


def test_a_flow_is_tilted_annealed_and_sampled(flow):
    tilt = flow * exp(-potential(bent)) * exp(-0.5 * NARROW)
    assert isinstance(tilt, Tilt)
    assert tilt.base is flow
    x = X.float()
    known = -flow.log_prob(x) + bent(x) + 0.5 * NARROW.energy(x)
    torch.testing.assert_close(tilt.energy(x), known)
    truth = log_partition(tilt, box=[(-15, 15), (-15, 15)], tolerance=1e-4)
    found = log_partition(tilt, levels=20, generator=stream(0))
    assert found.low < truth.value < found.high
    assert found.high - found.low < 0.6
    draws = tilt.sample(1000, levels=20, generator=stream(1)).double()
    axis = torch.linspace(-15, 15, 301)
    grid = torch.cartesian_prod(axis, axis)
    mean = torch.softmax(-tilt.energy(grid).detach().double(), 0) @ grid.double()
    torch.testing.assert_close(draws.mean(0), mean, atol=0.15, rtol=0)
    assert abs(float(mean[0] - flow.sample(4000, generator=stream(2)).detach()[:, 0].mean())) > 0.3  # the tilt moves it


def test_a_base_that_is_far_too_wide_still_gives_a_narrow_interval():
    # a few of its draws start where the banana is steep; with one step size a level they would stay there
    energy, truth = Banana(1.6, 0.35, 0.6), math.log(2 * math.pi * 1.6 * 0.6)
    found = log_partition(energy, base=Gaussian([0.0, 1.0], [9.0, 9.0]), levels=60, generator=stream(0))
    assert found.low < truth < found.high
    assert found.high - found.low < 1.5


def test_factors_multiply_and_refuse_what_is_no_base(flow):
    pair = exp(-NARROW) * exp(-WIDE)
    torch.testing.assert_close((pair * flow).energy(X.float()), (flow * pair).energy(X.float()))
    for wrong in (NARROW + WIDE, 2.0, "flow"):
        with pytest.raises(InputError, match=r"expected a model with exact density \(a Density\) or a solvable"):
            wrong * exp(-NARROW)
    with pytest.raises(InputError, match="exp: expected an energy, got float; make one by"):
        exp(-1.0)


def test_binary_tilt_moves_by_draws_of_its_base():
    base, field = Ising(2, 3, 0.3), potential(lambda x: 1.5 * x.flatten(1).sum(1) - 2 * x[:, 0, 0])
    tilt = base * exp(-field)
    truth = log_partition(tilt, units=(2, 3))
    assert truth.exact
    found = log_partition(tilt, levels=40, generator=stream(0))
    assert found.low < truth.value < found.high
    assert found.high - found.low < 0.5
    states = (torch.arange(64)[:, None] >> torch.arange(6) & 1).double().reshape(-1, 2, 3)
    mean = torch.softmax(-tilt.energy(states), 0) @ states.flatten(1)
    drawn = tilt.sample(4000, levels=10, generator=stream(1)).flatten(1)
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.05, rtol=0)


def test_models_with_energies_join_in():
    with fork(0):
        rbm = RBM(Event.of(8, "binary"), hidden=4)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.normal_(generator=stream(0))
    assert log_partition(potential(rbm), units=8).value == pytest.approx(rbm.log_partition().value, abs=1e-5)
    with fork(0):
        ebm = EBM(PLANE, (8,)).double()
        torch.nn.init.normal_(ebm.network.last.weight)
    known = ebm.log_partition().value
    assert log_partition(potential(ebm), box=[(-12, 12), (-12, 12)]).value == pytest.approx(known, abs=1e-6)
    moved = potential(ebm) + NARROW
    assert {id(p) for p in ebm.parameters()} <= {id(p) for p in moved.parameters()}


def test_a_flow_is_fitted_to_a_potential():
    energy = Banana(1.0, 0.4, 0.7) + 2.0
    with fork(0):
        flow = RealNVP(PLANE, transforms=4, hidden=(16,))
    fit = fit_to_energy(flow, energy.energy, steps=80, batch_size=128, lr=1e-2, draws=2048, generator=stream(0))
    assert fit.log_z == pytest.approx(energy.log_z, abs=0.05)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: potential(lambda x: x).energy(X), r"expected one number a record, \(50,\), got shape \(50, 2\)"),
        (lambda: potential(lambda x: 1.0).energy(X), r"expected one number a record, \(50,\), got float"),
        (lambda: potential(3), "expected a function, a network or a model, got int"),
        (lambda: NARROW + "a", r"energy \+ str: expected an energy or a number; make one .*potential"),
        (lambda: NARROW + math.nan, "expected a finite number as coefficient, got nan"),
        (lambda: NARROW / 0, "expected a temperature that is not 0"),
        (lambda: mixture([NARROW], [1, 2]), "a weight a part, got 1 parts and 2 weights"),
        (lambda: mixture([]), "got 0 parts"),
        (lambda: mixture([NARROW, WIDE], [1, -2]), "expected weights above 0, got 1, -2"),
        (lambda: mixture([NARROW, DoubleWell(dims=3)]), r"records of one shape and kind, got \(2,\), \(3,\)"),
        (lambda: product([]), "a power a part, got 0 parts and 0 powers"),
        (lambda: log_partition(NARROW + WIDE), "no closed form is known; give box="),
        (lambda: log_partition(NARROW, box=BOX, units=2), "given together; expected one"),
        (lambda: log_partition(NARROW, box=[(0, 1)] * 3), "expected one or two axes, got 3"),
        (lambda: log_partition(NARROW, box=[(0, 1), (2, 1)]), "expected finite ends, the lower first"),
        (lambda: log_partition(NARROW, box=3), "a pair of numbers an axis"),
        (lambda: log_partition(NARROW, units=23), "expected 1 to 22 of them, got 23"),
        (lambda: log_partition(NARROW + WIDE, base=WIDE, runs=1), "at least 2 runs and 1 level, got runs=1"),
        (lambda: log_partition(potential(lambda x: x[:, 0].log()), box=BOX), "got NaN or minus infinity"),
        (
            lambda: log_partition(potential(lambda x: x[:, 0].log()), base=WIDE, levels=2, generator=stream(0)),
            "expected finite numbers wherever the base has mass",
        ),
        (lambda: potential(lambda x: x.detach().sum(1)).value_and_gradient(X), "no gradient in x"),
    ],
)
def test_mistakes_are_one_line(make, words):
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_quadrature_states_its_error_and_what_lies_on_the_edge():
    whole = log_partition(NARROW, box=BOX)
    assert whole.stderr < 1e-9
    assert abs(whole.value - NARROW.log_z) < 1e-10
    kink = potential(lambda x: x[:, 0].abs())
    found = log_partition(kink, box=[(-3, 5)], tolerance=1e-6)
    assert abs(found.value - math.log(2 - math.exp(-3) - math.exp(-5))) < found.stderr < 1e-6
    assert "exp(-E) on its edge is at most 0.05 of the peak" in found.protocol
    # a peak between the first points is found by the next ones
    spike = Gaussian([0.501], [1e-6])
    assert log_partition(spike, box=[(-4, 4)]).value == pytest.approx(spike.log_z, abs=1e-9)


def test_repr_shows_the_structure():
    text = repr(2 * NARROW - potential(bent) + 1)
    assert "Sum(" in text
    assert "2, -1; +1" in text
    assert "Gaussian(features=2)" in text
    assert "bent" in text
