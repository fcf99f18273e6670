"""Glow: a density on pictures of any size that halves, whose path shows whole pictures."""

from __future__ import annotations

import pytest
import torch

from hexad.event import Event
from hexad.flow import Glow
from hexad.randomness import fork, stream
from hexad.recipes import recipe_of
from hexad.testing import check_model
from hexad.transforms import Spline


def _glow(shape: tuple[int, int, int], levels: int, **options: object) -> Glow:
    with fork(0):
        flow = Glow(Event.of(shape, "real"), transforms=2, levels=levels, hidden=8, **options)  # type: ignore[arg-type]
        with torch.no_grad():
            for parameter in flow.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return flow


@pytest.mark.parametrize(("shape", "levels"), [((1, 4, 4), 2), ((3, 4, 2), 1), ((1, 6, 6), 1)])
def test_log_prob_is_that_of_the_inverse_by_autodiff(shape, levels):
    flow = _glow(shape, levels).double()
    z = flow.base.sample(2, generator=stream(0))
    with torch.no_grad():
        x = flow.sample(2, generator=stream(0))
    assert x.shape == (2, *shape)
    jacobians = torch.stack(
        [torch.autograd.functional.jacobian(lambda row: flow.transform.inverse(row[None])[0], row) for row in z]
    )
    expected = flow.base.log_prob(z) - torch.linalg.slogdet(jacobians).logabsdet
    torch.testing.assert_close(flow.log_prob(x), expected)


@pytest.mark.parametrize("elementwise", [None, Spline(4, 3.0)])
def test_contract(elementwise):
    check_model(_glow((1, 4, 4), 2, elementwise=elementwise), seed=1)


def test_density_of_four_pixels_integrates_to_1():
    # importance sampling from a wide normal: the mean of the weights is the integral
    flow = _glow((1, 2, 2), 1).double()
    wide = 2.0
    x = wide * torch.randn(200_000, 4, generator=stream(0), dtype=torch.float64)
    log_q = torch.distributions.Normal(0, wide).log_prob(x).sum(1)
    with torch.no_grad():
        weights = (flow.log_prob(x.view(-1, 1, 2, 2)) - log_q).exp()
    error = float(weights.std()) / len(weights) ** 0.5
    assert error < 0.02
    assert abs(float(weights.mean()) - 1) < 4 * error


def test_a_level_leaves_half_of_its_channels():
    flow = _glow((1, 8, 8), 2)
    assert [step.channels for step in flow.transform.transforms if hasattr(step, "channels")] == [4, 4, 8, 8]


def test_every_state_of_the_path_is_a_picture_and_the_last_is_the_sample():
    flow = _glow((1, 8, 8), 2)
    path = flow.path(3, generator=stream(0))
    assert path.states.shape == (5, 3, 1, 8, 8)
    assert path.labels == ("base", "Step", "Step", "Step", "Step")
    assert torch.equal(path.states[-1], flow.sample(3, generator=stream(0)))
    # the numbers that the first level leaves stay noise until it is undone
    kept = torch.isclose(path.states[0], path.states[2]).float().mean()
    assert kept == pytest.approx(0.5, abs=0.01)


def test_what_it_does_not_take():
    with pytest.raises(ValueError, match="takes pictures"):
        Glow(Event.of(4, "real"))
    with pytest.raises(ValueError, match="has no 2 levels; take 1"):
        Glow(Event.of((1, 6, 6), "real"), levels=2)
    assert recipe_of("glow").why_not(Event.of((1, 7, 6), "real")) == (
        "glow takes pictures with even sides, not 7 x 6 pixels"
    )
    assert "not vector" in (recipe_of("glow").why_not(Event.of(4, "real")) or "")


def test_levels_end_at_four_pixels():
    build = recipe_of("glow").build
    sides = {(1, 8, 8): 2, (1, 28, 28): 2, (3, 32, 32): 4, (1, 2, 2): 1, (1, 10, 8): 1}
    for shape, levels in sides.items():
        flow = build(Event.of(shape, "real"), transforms=1, hidden=4)
        assert sum(type(t).__name__ == "Squeeze" for t in flow.transform.transforms) == levels, shape


def test_its_work_counts_every_pixel():
    flow = _glow((1, 8, 8), 1)
    assert flow.work == 16 * sum(p.numel() for p in flow.parameters())
