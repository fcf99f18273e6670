"""RealNVP of pictures: levels of checkerboards and channels, each a density; what it does not take is said."""

from __future__ import annotations

import pytest
import torch

from hexad.checks import InputError
from hexad.event import Event
from hexad.flow import MultiscaleRealNVP
from hexad.randomness import fork, stream
from hexad.recipes import recipe_of


def _flow(shape: tuple[int, int, int], levels: int) -> MultiscaleRealNVP:
    with fork(0):
        flow = MultiscaleRealNVP(Event.of(shape, "real"), transforms=2, levels=levels, hidden=8)
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return flow


@pytest.mark.parametrize(("shape", "levels"), [((1, 4, 4), 2), ((3, 4, 2), 1)])
def test_log_prob_is_that_of_the_inverse_by_autodiff(shape, levels):
    flow = _flow(shape, levels).double()
    z = flow.base.sample(2, generator=stream(0))
    with torch.no_grad():
        x = flow.sample(2, generator=stream(0))
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda row: flow.transform.inverse(row[None])[0], row) for row in z]
    )
    expected = flow.base.log_prob(z) - torch.linalg.slogdet(jacobians).logabsdet
    torch.testing.assert_close(flow.log_prob(x), expected)


def test_a_level_moves_pixels_then_channels_and_leaves_half_of_these():
    flow = _flow((1, 8, 8), 2)
    moved = [step.channels for step in flow.transform.transforms if hasattr(step, "channels")]
    assert moved == [1, 1, 4, 4, 2, 2, 8, 8]


def test_the_recipe_says_what_it_does_not_take():
    build, picture = recipe_of("realnvp").build, Event.of((1, 8, 8), "real")
    assert isinstance(build(picture, multiscale=True), MultiscaleRealNVP)
    with pytest.raises(InputError, match=r"takes pictures with even sides, not records of shape \(4,\)"):
        build(Event.of(4, "real"), multiscale=True)
    with pytest.raises(InputError, match="expected one number of channels"):
        build(picture, multiscale=True, hidden=(8, 8))
    with pytest.raises(InputError, match="base=student: expected normal"):
        build(picture, multiscale=True, base="student")
