"""What watches a flow in training: the transform in which numbers stop being finite, the error of the inverse."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hexad.event import Event
from hexad.flow import Flow, RealNVP
from hexad.randomness import fork, stream
from hexad.train.divergence import NOWHERE, first_bad_layer
from hexad.transforms import Affine, Compose, Part, Transform


class Odd(Transform):
    """The identity, whose output, log-determinant or inverse is wrong where asked for."""

    def __init__(self, what: str = "") -> None:
        super().__init__()
        self.what, self.scale = what, torch.nn.Parameter(torch.ones(()))

    def forward_and_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z = x * (math.nan if self.what == "output" else 1.0) * self.scale
        return z, x.new_full((len(x),), math.inf if self.what == "log-determinant" else 0.0)

    def inverse_and_log_det(self, z: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return z + (0.1 if self.what == "inverse" else 0.0), z.new_zeros(len(z))


def _flow(what: str) -> Flow:
    chain = [Affine(torch.zeros(2), torch.ones(2)), Odd(), Part(Odd(what), 2), Odd()]
    return Flow(Event.of(2, "real"), Compose(chain))


@pytest.mark.parametrize("what", ["output", "log-determinant"])
def test_the_transform_is_named_where_numbers_stop_being_finite(what):
    flow, x = _flow(what), torch.randn(5, 2, generator=stream(0))
    assert (
        first_bad_layer(flow, lambda: flow.loss(x))
        == "the output of transform 'transform.transforms.2.transform' (Odd)"
    )
    assert "forward_and_log_det" not in vars(flow.transform.transforms[2].transform)


def test_a_flow_that_is_well_is_left_as_it_was():
    flow, x = _flow(""), torch.randn(5, 2, generator=stream(0))
    before = flow.loss(x)
    assert first_bad_layer(flow, lambda: flow.loss(x)) == NOWHERE
    assert torch.equal(flow.loss(x), before)
    (vital,) = flow.vitals(x)
    assert vital.well
    assert vital.value == pytest.approx(0, abs=1e-6)


def test_an_inverse_that_does_not_invert_is_a_lost_sign():
    (vital,) = _flow("inverse").vitals(torch.zeros(5, 2))
    assert vital.name == "inverse error"
    assert vital.value == pytest.approx(0.1)
    assert not vital.well


def test_the_inverse_error_of_a_trained_flow_is_rounding():
    with fork(0):
        flow = RealNVP(Event.of(3, "real"), transforms=4, hidden=(8,), context=2)
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
    x, context = torch.randn(100, 3, generator=stream(0)), torch.randn(100, 2, generator=stream(1))
    (vital,) = flow.vitals(x, context=context)
    assert 0 < vital.value < 1e-4
