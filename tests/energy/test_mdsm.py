"""The multiscale energy against normal laws, whose score is known at every level, and against quadrature."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.energy import MultiscaleEnergy
from hexad.energy.mdsm import LevelState
from hexad.event import Event, Support
from hexad.mcmc import anneal
from hexad.randomness import fork, stream

DEVIATION = 0.5


class OfNormals(MultiscaleEnergy):
    """Knows G of records that are N(0, DEVIATION^2) in each column."""

    def potential(self, u, sigma):
        v = 1 + sigma.square()
        variance = DEVIATION**2 + sigma.square()
        tilt = 0.5 * u.square().sum(1) * v * (1 / v - 1 / variance) - 0.5 * u.shape[1] * (variance / v).log()
        return (sigma.square() + 1 / u.shape[1]).sqrt() * tilt


def normals(dims, low=0.1):
    """A float64 model of normals; its levels begin at ``low``."""
    with fork(0):
        return OfNormals(Event.of(dims, "real"), (4,), noise=(low, 20.0)).double()


def drawn(dims=2, scale=0.2, noise=(0.05, 20.0)):
    """A float64 model whose network is drawn."""
    with fork(1):
        model = MultiscaleEnergy(Event.of(dims, "real"), (16, 16), noise=noise).double()
        torch.nn.init.normal_(model.network.last.weight, std=scale)
    return model


def test_energy_score_and_denoised_record_of_normals_are_the_known_ones():
    model = normals(3)
    y = torch.randn(5, 3, generator=stream(0)).double()
    sigma = torch.tensor([0.1, 0.5, 1.0, 7.0, 20.0]).double()
    variance = DEVIATION**2 + sigma.square()
    energy, gradient = model.value_and_gradient(y, sigma)
    known = y.square().sum(1) / (2 * variance) + 1.5 * (2 * math.pi * variance).log()
    assert torch.allclose(energy, known)
    assert torch.allclose(gradient, y / variance[:, None])
    assert torch.allclose(model.denoised(y, sigma), y * (DEVIATION**2 / variance)[:, None])
    assert torch.allclose(model.score(y, sigma), -y / variance[:, None])


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_gradient_is_that_of_the_energy_in_the_units_of_the_records(network):
    with fork(2):
        model = MultiscaleEnergy(Event.of((1, 4, 4), "real"), (8, 8), network).double()
        for parameter in model.network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    x = 3 + 2 * torch.randn(40, 1, 4, 4, generator=stream(1)).double()
    model.prepare(x)
    scaled = model.scaled(x)
    assert torch.allclose(scaled.mean(0), torch.zeros(16).double(), atol=1e-12)
    assert float(scaled.square().mean()) == pytest.approx(1)
    assert torch.allclose(model.unscaled(scaled), x)
    x = x[:6].requires_grad_()
    lowest = torch.full((6,), model.noise[0]).double()
    energy = model.energy(x)
    assert torch.allclose(energy, model.value_and_gradient(scaled[:6], lowest)[0] + 16 * model.scale.log())
    (slope,) = torch.autograd.grad(energy.sum(), x)
    assert torch.allclose(model.score(x.detach(), lowest), -slope)


def test_loss_of_the_truth_is_what_no_model_can_remove():
    model, n = normals(2), 40_000
    x = DEVIATION * torch.randn(n, 2, generator=stream(2)).double()
    low, high = model.noise
    sigma2 = (low * (high / low) ** ((torch.arange(1000).double() + 0.5) / 1000)).square()
    # the part of the variance of eps that y does not tell
    hidden = DEVIATION**2 / (DEVIATION**2 + sigma2)
    # of |eps|^2 in two columns: 2 D (1 - told^2), over D^2
    known = (hidden * (1 + sigma2) + 1 - (1 - hidden).square()).mean()
    right = model.loss(x, generator=stream(3)).mean().detach()
    assert float(right) == pytest.approx(float(known), rel=0.01)
    wrong = drawn(2, noise=(low, high))
    assert float(wrong.loss(x, generator=stream(3)).mean().detach()) > float(known) + 0.02
    assert model.validate(x, generator=stream(3)).direction == "lower"


def test_slope_of_the_loss_vanishes_at_the_truth():
    model, x = normals(1), DEVIATION * torch.randn(40_000, 1, generator=stream(4)).double()
    factor = torch.tensor(1.0).double().requires_grad_()
    own = OfNormals.potential

    class Scaled(OfNormals):
        def potential(self, u, sigma):
            return factor * own(self, u, sigma)

    model.__class__ = Scaled
    (slope,) = torch.autograd.grad(model.loss(x, generator=stream(5)).mean(), factor)
    assert abs(float(slope)) < 0.02
    factor.data.fill_(1.2)
    (slope,) = torch.autograd.grad(model.loss(x, generator=stream(5)).mean(), factor)
    assert float(slope) > 0.05


def test_samples_of_normals_have_the_variance_of_records_with_the_lowest_noise():
    model = normals(2)
    path = model.path(8_000, generator=stream(6))
    assert path.axis == "noise level"
    assert torch.allclose(path.states[0].var(0), torch.tensor(401.0).double(), rtol=0.05)
    sample = path.states[-1]
    assert torch.allclose(sample.mean(0), torch.zeros(2).double(), atol=0.015)
    assert torch.allclose(sample.var(0), torch.tensor(DEVIATION**2 + 0.01).double(), rtol=0.05)
    levels = model._ladder()
    assert levels[0] == pytest.approx(20)
    assert levels[-1] == pytest.approx(0.1)
    assert len(levels) == 60


def test_kernel_leaves_each_level_as_it_is():
    model, bridge = normals(2), normals(2).bridge()
    for t in (0.05, 0.6, 1.0):
        sigma, weight = bridge.level(t)
        precision = (1 - weight) / (1 + sigma**2) + weight / (DEVIATION**2 + sigma**2)
        exact = torch.randn(20_000, 2, generator=stream(7)).double() / precision**0.5
        state, generator = LevelState(exact), stream(8)
        for _ in range(5):
            state = bridge.move(state, t, generator)
        assert not torch.equal(state.y, exact)
        assert torch.allclose(state.y.var(0), torch.tensor(1 / precision).double(), rtol=0.04)
    assert model.noise == bridge.model.noise


def test_annealed_log_z_of_normals_holds_the_known_one():
    model = normals(3)
    found = model.log_partition(generator=stream(9), effort=1.0)
    assert found.confidence == 0.95
    assert found.low < 0 < found.high  # the energy is normalised
    assert found.high - found.low < 1.5
    assert "noise" in found.protocol


def test_forward_runs_are_below_log_z_and_reverse_runs_above():
    model = normals(2)
    bridge, n, known = model.bridge(), 1000, 0.0
    times = torch.linspace(0, 1, 31).tolist()
    forward, _ = anneal(bridge, bridge.base(n, stream(10)), times, generator=stream(11))
    exact = math.sqrt(DEVIATION**2 + 0.01) * torch.randn(n, 2, generator=stream(12)).double()
    start = LevelState(exact)
    reverse, _ = anneal(bridge, start, times, reverse=True, generator=stream(14))
    assert float(forward.mean()) < known
    assert float(reverse.mean()) > known
    assert float(torch.logsumexp(forward, 0)) - math.log(n) == pytest.approx(known, abs=0.2)


@pytest.mark.parametrize("dims", [1, 2])
def test_density_integrates_to_one_in_the_units_of_the_data(dims):
    model = drawn(dims)
    x = 5 + 3 * torch.randn(500, dims, generator=stream(15)).double()
    model.prepare(x)
    axis = torch.linspace(-25, 35, 30_001 if dims == 1 else 401).double()
    grid = torch.cartesian_prod(*[axis] * dims).reshape(-1, dims)
    stated = model.log_likelihood(grid)
    assert stated.kind == "exact"
    cell = float(axis[1] - axis[0]) ** dims
    assert float(stated.value.exp().sum()) * cell == pytest.approx(1, abs=2e-3)


def test_training_finds_the_law_of_two_modes():
    def record(n, generator):
        sign = 2 * torch.randint(2, (n, 1), generator=generator).float() - 1
        return sign * 1.5 + 0.4 * torch.randn(n, 1, generator=generator)

    with fork(3):
        model = MultiscaleEnergy(Event.of(1, "real"), (64, 64))
    generator = stream(16)
    model.prepare(record(5000, generator))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2, fused=True)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 400)
    for _ in range(400):
        optimizer.zero_grad()
        model.loss(record(256, generator), generator=generator).mean().backward()
        optimizer.step()
        rate.step()
    test = record(20_000, stream(17))
    noise = float(model.noise[0] * model.scale)
    test = test + noise * torch.randn(test.shape, generator=stream(18))
    sd = math.hypot(0.4, noise)
    parts = [torch.distributions.Normal(m, sd).log_prob(test.double()) for m in (-1.5, 1.5)]
    truth = torch.logaddexp(*parts)[:, 0] - math.log(2)
    with torch.no_grad():
        gap = truth - model.log_likelihood(test).value
    assert -0.005 < float(gap.mean()) < 0.05
    assert abs(model.log_partition().value) < 0.25  # the derivative in the level leaves little to normalise
    sample = model.sample(4000, generator=stream(19))
    assert float((sample > 0).float().mean()) == pytest.approx(0.5, abs=0.04)
    assert float(sample.abs().mean()) == pytest.approx(1.5, abs=0.05)


def test_a_record_without_spread_and_what_cannot_be_taken():
    model = MultiscaleEnergy(Event.of(2, "real"), (8,))
    model.prepare(torch.full((10, 2), 4.0))
    assert float(model.scale) == 1
    assert "noise=0.02 to 20" in repr(model)
    with pytest.raises(ValueError, match="dequantise first"):
        MultiscaleEnergy(Event.of(3, Support("real", step=0.1)))
    with pytest.raises(ValueError, match="lowest < highest"):
        MultiscaleEnergy(Event.of(3, "real"), noise=(2.0, 1.0))
    with pytest.raises(ValueError, match="takes pictures"):
        MultiscaleEnergy(Event.of(3, "real"), network="conv")
