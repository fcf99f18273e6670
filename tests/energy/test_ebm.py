"""The energy tilt against quadrature and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.energy import EBM, MaximumLikelihood
from hexad.energy.tilt_base import GaussianMixture
from hexad.event import Event, Support
from hexad.mcmc import anneal
from hexad.nn.scalar import ScalarMLP
from hexad.nn.scalar_conv import OnPictures, ScalarConv
from hexad.randomness import fork, stream


def records(n, dims, seed=0):
    """Correlated columns of unequal scale with a bent one."""
    z = torch.randn(n, dims, generator=stream(seed, "records"), dtype=torch.float64)
    z[:, 1] += 0.7 * z[:, 0].square() - 0.7
    return z * torch.linspace(0.5, 2, dims, dtype=torch.float64)


def tilted(dims=2, components=1, scale=1.0, seed=0):
    """A float64 model whose energy is not flat."""
    with fork(seed):
        model = EBM(Event.of(dims, "real"), (32, 32), components).double()
        model.prepare(records(500, dims), generator=stream(seed, "prepare"))
        torch.nn.init.normal_(model.network.last.weight, std=scale)
    return model


@pytest.mark.parametrize(("hidden", "frequencies"), [((16, 8), 0), ((), 0), ((16, 8), 5)])
def test_network_gradient_is_that_of_autodiff(hidden, frequencies):
    with fork(0):
        network = ScalarMLP(3, hidden, frequencies=frequencies).double()
        torch.nn.init.normal_(network.last.weight)
    x = torch.randn(7, 3, generator=stream(0)).double().requires_grad_()
    value, gradient = network.value_and_gradient(x)
    known = network(x)
    assert torch.allclose(value, known)
    assert torch.allclose(gradient, torch.autograd.grad(known.sum(), x)[0])


@pytest.mark.parametrize("components", [1, 3])
def test_base_is_a_density_with_its_gradient(components):
    base, x = GaussianMixture(2, components).double(), records(2000, 2)
    base.fit(x, generator=stream(1))
    z = x[:5].clone().requires_grad_()
    value, gradient = base.value_and_gradient(z)
    parts = torch.distributions.MultivariateNormal(base.means, scale_tril=base.factors)
    known = torch.logsumexp(base.log_weights + parts.log_prob(z[:, None]), 1)
    assert torch.allclose(-value, known)
    assert torch.allclose(base.log_prob(z), known)
    assert torch.allclose(gradient, torch.autograd.grad(-known.sum(), z)[0])
    drawn = base.sample(20_000, stream(2))
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(x.T), rtol=0.08, atol=0.05)


def test_one_component_is_the_gaussian_and_several_find_their_modes():
    x, base = records(300, 3), GaussianMixture(3).double()
    base.fit(x, floor=0.0, generator=None)
    assert torch.allclose(base.means[0], x.mean(0))
    assert torch.allclose(base.factors[0] @ base.factors[0].T, torch.cov(x.T, correction=0), rtol=1e-3)
    centres = torch.tensor([[-2.0, 0], [2, 0], [0, 2]]).double()
    x = (centres[:, None] + 0.1 * torch.randn(3, 400, 2, generator=stream(3)).double()).flatten(0, 1)
    base = GaussianMixture(2, 3).double()
    base.fit(x, generator=stream(3))
    assert torch.cdist(centres, base.means).amin(1).max() < 0.05


@pytest.mark.parametrize("components", [1, 4])
def test_log_z_is_zero_exactly_at_the_start(components):
    with fork(1):
        model = EBM(Event.of(3, "real"), (16,), components).double()
    x = records(400, 3)
    model.prepare(x, generator=stream(4))
    stated = model.log_likelihood(x[:9], budget=8)
    assert stated.kind == "interval"
    for end in (stated.low, stated.value, stated.high):
        assert torch.allclose(end, -model.energy(x[:9]).detach(), atol=1e-12)
    if components == 1:
        known = torch.distributions.MultivariateNormal(x.mean(0), torch.cov(x.T, correction=0)).log_prob(x[:9])
        assert torch.allclose(stated.value, known, atol=0.05)  # up to the little that is added to the covariance


@pytest.mark.parametrize("components", [1, 4])
def test_density_integrates_to_one_in_the_units_of_the_data(components):
    model = tilted(components=components)
    axes = [torch.linspace(-12, 12, 601).double(), torch.linspace(-12, 24, 601).double()]
    x = torch.cartesian_prod(*axes)
    stated = model.log_likelihood(x)
    assert stated.kind == "exact"
    assert "quadrature" in stated.protocol
    assert stated.common_stderr < 1e-6
    assert float(stated.value.exp().sum()) * (24 / 600) * (36 / 600) == pytest.approx(1, abs=1e-4)


def test_interval_holds_the_value_of_the_quadrature(monkeypatch):
    model = tilted(scale=2.0)
    exact = model.log_partition().value
    generator = stream(5)
    for _ in range(60):
        model.after_step(records(4, 2), generator=generator)
    # the same model through the annealed branch, as if it had more columns
    monkeypatch.setattr("hexad.energy.ebm._QUADRATURE", 0)
    found = model.log_partition(generator=generator, effort=0.3)
    assert found.confidence == 0.95
    assert found.low < exact < found.high
    assert found.high - found.low < 0.3


def test_forward_runs_are_below_and_reverse_runs_above():
    model = tilted(scale=2.0)
    bridge, generator, n = model.bridge(), stream(6), 1000
    times, exact = torch.linspace(0, 1, 41).tolist(), model.log_partition().value
    with torch.no_grad():
        forward, _ = anneal(bridge, model.evaluate(model.base.sample(n, generator)), times, generator=generator)
        # exact samples of the model: the base's draws, resampled by their weights
        many = model.base.sample(200_000, generator)
        weights = torch.exp(-model.network(many)).cumsum(0)
        picked = torch.searchsorted(weights, weights[-1] * torch.rand(n, generator=generator).double())
        reverse, _ = anneal(bridge, model.evaluate(many[picked]), times, reverse=True, generator=generator)
    assert float(forward.mean()) < exact + 3 * float(forward.std()) / math.sqrt(n)
    assert float(reverse.mean()) > exact - 3 * float(reverse.std()) / math.sqrt(n)
    assert float(forward.exp().mean()) == pytest.approx(math.exp(exact), rel=0.1)


def test_a_convolutional_tilt_of_pictures_has_the_law_of_its_energy():
    event, generator = Event.of((1, 1, 2), "real"), stream(11)
    with fork(11):
        network = OnPictures(ScalarConv(event.shape, (4,)))
        model = EBM(event, objective=MaximumLikelihood(k=5, particles=3000), network=network).double()
        model.prepare(records(500, 2).unflatten(1, (1, 1, 2)), generator=generator)
        for layer in [*network.network.read, network.network.last]:
            torch.nn.init.normal_(layer.weight, std=2.0)
    axis = torch.linspace(-9, 9, 301).double()
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        x = model.coloured(grid)
        assert torch.allclose(model.tilt(x), network.network(x))
        p = torch.softmax(-model.energy(x), 0)
        stated = model.log_likelihood(x)
        volume = (axis[1] - axis[0]).square() * model.colour.det().abs()
        assert float(stated.value.exp().sum() * volume) == pytest.approx(1, abs=1e-4)
        for _ in range(15):
            model.after_step(x[:4], generator=generator)
    assert float((model.base.log_prob(grid) - p.log()).std()) > 0.3  # the tilt is felt
    assert torch.allclose(model.chains.mean(0), p @ grid, atol=0.08)
    assert torch.allclose(model.chains.square().mean(0), p @ grid.square(), rtol=0.12)


@pytest.mark.parametrize(("k", "restart", "scale"), [(5, 0.05, 2.0), (0, 1.0, 0.5)])
def test_chains_and_samples_have_the_law_of_the_model(k, restart, scale):
    model, generator = tilted(scale=scale), stream(7)
    model.objective.k, model.objective.restart = k, restart
    axis = torch.linspace(-9, 9, 401).double()
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        weights = torch.softmax(model.base.log_prob(grid) - model.network(grid), 0)
        model.chains = model.base.sample(4000, generator)
        model.sample_steps = 100
        for _ in range(20):
            model.after_step(records(4, 2), generator=generator)
        sample = model.whitened(model.sample(4000, generator=generator))
    for chain in (model.chains, sample):
        assert torch.allclose(chain.mean(0), weights @ grid, atol=0.08)
        assert torch.allclose(chain.square().mean(0), weights @ grid.square(), rtol=0.11)


def test_loss_is_the_contrast_and_zero_in_mean_at_the_truth():
    model, generator = tilted(scale=2.0), stream(8)
    with torch.no_grad():
        many = model.base.sample(400_000, generator)
        weights = torch.exp(-model.network(many)).cumsum(0)
        picked = torch.searchsorted(weights, weights[-1] * torch.rand(40_000, generator=generator).double())
        truth = many[picked.clamp(max=len(many) - 1)]
    model.chains = truth[20_000:]
    x = model.coloured(truth[:20_000])
    model.objective.regularisation = 0.0
    loss = model.loss(x)
    assert torch.allclose(loss, model.tilt(x) - model.network(model.chains).mean())
    for parameter, grad in zip(
        model.parameters(), torch.autograd.grad(loss.mean(), list(model.parameters())), strict=True
    ):
        assert float(grad.abs().max()) < 0.15, parameter.shape
    shifted = torch.autograd.grad(model.loss(x + 0.5).mean(), list(model.parameters()))
    assert max(float(grad.abs().max()) for grad in shifted) > 0.5


def test_training_bends_the_gaussian():
    with fork(9):
        model = EBM(Event.of(2, "real"), (64, 64))
    x, generator = records(4000, 2).float(), stream(9)
    model.prepare(x, generator=generator)
    with torch.no_grad():
        before = model.validate(x).value
    optimizer = torch.optim.Adam(model.parameters(), 5e-3, fused=True)
    for _ in range(150):
        batch = x[torch.randint(4000, (128,), generator=generator)]
        optimizer.zero_grad()
        model.loss(batch, generator=generator).mean().backward()
        optimizer.step()
        model.after_step(batch, generator=generator)
    with torch.no_grad():
        after = model.validate(x)
    entropy = math.log(2 * math.pi * math.e) + math.log(0.5) + math.log(2)
    assert after.name == "log_prob"
    assert before + 0.1 < after.value < -entropy + 0.05


def test_mixture_gives_way_to_the_gaussian_where_records_are_few():
    with fork(10):
        model = EBM(Event.of(10, "real"), (8,), components=8).double()
    model.prepare(torch.randn(60, 10, generator=stream(10)).double(), generator=stream(10))
    assert torch.equal(model.base.means, torch.zeros(8, 10).double())


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="real event without steps"):
        EBM(Event.of(3, "binary"))
    with pytest.raises(ValueError, match="dequantise first"):
        EBM(Event.of(3, Support("real", step=0.1)))
    assert "chains=128, k=5" in repr(EBM(Event.of(3, "real"), (8,)))


def test_vital_signs_see_chains_that_left_and_an_energy_that_they_lost():
    model, x = tilted(scale=0.1), records(500, 2)
    _, gap, drift = model.vitals(x)
    assert gap.well
    assert drift.value == pytest.approx(1, abs=0.15)
    middle = x.mean(0)
    chains = model.coloured(model.chains)
    model.chains.copy_(model.whitened(middle + 10 * (chains - chains.mean(0))))
    _, gap, drift = model.vitals(x)
    scale = (chains - chains.mean(0)).square().sum(1).mean().sqrt() / (x - middle).square().sum(1).mean().sqrt()
    assert drift.value == pytest.approx(float(10 * scale), rel=1e-6)
    assert not drift.well
    expected = (model.energy(x).mean() - model.energy(model.coloured(model.chains)).mean()) / (
        (model.energy(x).var(correction=0) + model.energy(model.coloured(model.chains)).var(correction=0)) / 2
    ).sqrt()
    assert gap.value == pytest.approx(float(expected.detach()), rel=1e-6)
    assert gap.value < 0
