"""Objectives of energies against closed forms, quadrature and autodiff.

Most of it on one column, where the base is N(0, 1) and the tilt a quadratic: the model is then
N(b / (1 + a), 1 / (1 + a)), its log Z' is known, and records are the quantiles of a known normal.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import hexad
from hexad.energy import (
    EBM,
    DenoisingScoreMatching,
    EnergyDiscrepancy,
    ImplicitScoreMatching,
    MaximumLikelihood,
    NoiseContrastive,
    SlicedScoreMatching,
)
from hexad.event import Event
from hexad.model import Density
from hexad.nn.scalar import ScalarMLP
from hexad.randomness import fork, stream
from hexad.recipes import RECIPES
from hexad.testing import check_model
from hexad.train.divergence import first_bad_layer

SCALE, MEAN = 0.7, 0.4  # of the records


class Quadratic(nn.Module):
    """E(z) = a z^2 / 2 - b z."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(2))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return 0.5 * self.theta[0] * z.square().sum(1) - self.theta[1] * z.sum(1)


class Normal(Density):
    """A density without parameters, as noise."""

    def __init__(self, mean: float, scale: float) -> None:
        super().__init__(Event.of(1, "real"))
        self.law = torch.distributions.Normal(mean, scale)

    def log_prob(self, x, *, context=None):
        return self.law.log_prob(x).sum(1)

    def sample(self, n, *, context=None, generator=None):
        noise = torch.randn(n, 1, generator=generator, dtype=torch.float64)
        return self.law.loc + self.law.scale * noise

    def path(self, n, *, context=None, generator=None):
        raise NotImplementedError


def quantiles(n: int, mean: float, scale: float) -> torch.Tensor:
    """Return n records that stand for N(mean, scale^2), (n, 1)."""
    levels = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return (mean + scale * math.sqrt(2) * torch.erfinv(2 * levels - 1))[:, None]


def theta_of(mean: float, variance: float) -> torch.Tensor:
    """Return (a, b) of the tilt that makes the model N(mean, variance)."""
    return torch.tensor([1 / variance - 1, mean / variance], dtype=torch.float64)


def quadratic(objective) -> EBM:
    """Return the model with a quadratic tilt of N(0, 1), in float64."""
    objective.regularisation = 0.0
    return EBM(Event.of(1, "real"), objective=objective, network=Quadratic()).double()


def slopes(model: EBM, theta: torch.Tensor, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return the derivative of each record's loss in a and in b at theta, (2, n), of equal draws."""
    rows, h = [], 1e-4
    if len(model.chains):  # at the law of the model
        variance = 1 / (1 + float(theta[0]))
        model.chains = quantiles(4000, float(theta[1]) * variance, variance**0.5)
    for i in range(2):
        ends = []
        for sign in (1, -1):
            moved = theta.clone()
            moved[i] += sign * h
            with torch.no_grad():
                model.network.theta.copy_(moved)
            ends.append(model.loss(x, generator=stream(seed)).detach())
        rows.append((ends[0] - ends[1]) / (2 * h))
    with torch.no_grad():
        model.network.theta.copy_(theta)
    return torch.stack(rows)


# what makes it, and the variance that its noise adds to the law it fits
CASES = {
    "likelihood": (lambda: MaximumLikelihood(), 0.0),
    "implicit": (lambda: ImplicitScoreMatching(), 0.0),
    "sliced": (lambda: SlicedScoreMatching(), 0.0),
    "denoising": (lambda: DenoisingScoreMatching(0.5, draws=4), 0.25),
    "contrastive": (lambda: NoiseContrastive(draws=4), 0.0),
    "contrastive, other noise": (lambda: NoiseContrastive(draws=4, noise=Normal(0.2, 1.0)), 0.0),
    "discrepancy": (lambda: EnergyDiscrepancy(0.5, draws=200, stabiliser=0.0), 0.0),
}


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_zero_in_mean_at_the_truth_and_points_to_it_elsewhere(name):
    make, added = CASES[name]
    model, x = quadratic(make()), quantiles(4000, MEAN, SCALE)
    variance = SCALE**2 + added
    truth = theta_of(MEAN, variance)
    if name.startswith("contrastive"):  # its own constant has to be right too
        with torch.no_grad():
            model.objective.log_normaliser.fill_(log_normaliser(truth))
    found = slopes(model, truth, x)
    error = found.std(1) / len(x) ** 0.5
    assert (found.mean(1).abs() < 4 * error + 1e-6).all()
    for i, gap in ((0, 0.5), (0, -0.5), (1, 0.5), (1, -0.5)):
        off = truth.clone()
        off[i] += gap
        if name.startswith("contrastive"):
            with torch.no_grad():
                model.objective.log_normaliser.fill_(log_normaliser(off))
        pull = float(slopes(model, off, x)[i].mean()) * math.copysign(1, gap)
        assert pull > 5 * float(error[i]) + 1e-4, (i, gap)


def log_normaliser(theta: torch.Tensor) -> float:
    """Return log E[exp(-E)] over N(0, 1) in closed form."""
    a, b = map(float, theta)
    return 0.5 * b * b / (1 + a) - 0.5 * math.log(1 + a)


@pytest.mark.parametrize("name", ["likelihood", "implicit", "sliced", "denoising"])
def test_minimum_over_the_scale_is_where_it_is_known_to_be(name):
    make, added = CASES[name]
    model, x = quadratic(make()), quantiles(2000, 0.0, SCALE)
    known = 1 / (SCALE**2 + added) - 1
    low, high = known - 0.5, known + 0.5
    for _ in range(12):
        middle = (low + high) / 2
        rises = float(slopes(model, torch.tensor([middle, 0.0]).double(), x)[0].mean()) > 0
        low, high = (low, middle) if rises else (middle, high)
    at = torch.tensor([known, 0.0]).double()
    here, there = (slopes(model, at + torch.tensor([gap, 0.0]), x)[0] for gap in (0.0, 0.1))
    curvature = float(there.mean() - here.mean()) / 0.1
    # implicit and sliced have a closed form: a = 1/s^2 - 1 of the records' own variance
    exact = name in ("likelihood", "implicit", "sliced")
    error = 0.01 if exact else 4 * float(here.std()) / len(x) ** 0.5 / curvature
    assert low == pytest.approx(known, abs=error + 5e-4)
    assert error < 0.15


def test_contrastive_minimum_holds_the_log_normaliser_of_the_quadrature():
    model, x = quadratic(NoiseContrastive(draws=4)), quantiles(4000, MEAN, SCALE)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = model.loss(x, generator=stream(1)).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    learned, exact = float(model.objective.log_normaliser.detach()), model.log_partition().value
    assert exact == pytest.approx(log_normaliser(model.network.theta.detach()), abs=1e-6)
    assert abs(exact) > 0.1
    assert learned == pytest.approx(exact, abs=0.04)
    assert torch.allclose(model.network.theta, theta_of(MEAN, SCALE**2), atol=0.12)


def test_contrastive_loss_is_the_logistic_regression_of_its_own_draws():
    model, x, noise = quadratic(NoiseContrastive(draws=3, noise=Normal(0.2, 1.3))), quantiles(5, 0.0, 1.0), 0.0
    with torch.no_grad():
        model.network.theta.copy_(theta_of(MEAN, SCALE**2))
        model.objective.log_normaliser.fill_(0.3)
        model.shift.fill_(0.5)
        model.whiten.fill_(2.0)
        model.colour.fill_(0.5)
    noise = model.objective.noise.sample(15, generator=stream(2))
    posterior = []
    for y in (x, noise):  # densities of records in their own space
        log_p = -model.energy(y).detach() - 0.3
        posterior.append(torch.sigmoid(log_p - math.log(3) - model.objective.noise.log_prob(y)))
    known = -posterior[0].log() - torch.log1p(-posterior[1]).reshape(5, 3).sum(1)
    assert torch.allclose(model.loss(x, generator=stream(2)).detach(), known)


def network_model(objective, dims: int) -> EBM:
    """Return a float64 model whose network is not flat."""
    objective.regularisation = 0.0
    with fork(0):
        model = EBM(Event.of(dims, "real"), (16, 16), 2, objective).double()
        nn.init.normal_(model.network.last.weight)
    model.prepare(torch.randn(300, dims, generator=stream(0)).double(), generator=stream(0))
    return model


def test_implicit_loss_has_the_hessians_trace():
    model, x = network_model(ImplicitScoreMatching(), 3), torch.randn(6, 3, generator=stream(1)).double()
    found = model.loss(x).detach()
    for row, value in zip(model.whitened(x), found, strict=True):

        def log_p(z):
            return (model.base.log_prob(z[None]) - model.network(z[None]))[0]

        score = torch.autograd.functional.jacobian(log_p, row)
        hessian = torch.autograd.functional.hessian(lambda z: model.network(z[None])[0], row)
        assert float(value) == pytest.approx(float(0.5 * score.square().sum() - hessian.trace()), abs=1e-9)


def test_sliced_is_implicit_in_expectation_and_in_one_column():
    x = torch.randn(4, 3, generator=stream(1)).double()
    sliced = network_model(SlicedScoreMatching(draws=1), 3)
    exact = network_model(ImplicitScoreMatching(), 3).loss(x).detach()
    draws = sliced.loss(x.repeat_interleave(2000, 0), generator=stream(2)).detach().reshape(4, 2000)
    error = draws.std(1) / 2000**0.5
    assert ((draws.mean(1) - exact).abs() < 4 * error).all()
    assert (error > 1e-4).all()
    x = x[:, :1]
    one = network_model(SlicedScoreMatching(), 1).loss(x)
    assert torch.allclose(one, network_model(ImplicitScoreMatching(), 1).loss(x))


@pytest.mark.parametrize("sigma", [0.5, (0.1, 0.4, 1.0)])
def test_noise_score_is_that_of_the_mixture_of_levels(sigma):
    u = torch.randn(7, 3, generator=stream(3)).double().requires_grad_()
    levels = torch.tensor(sigma, dtype=torch.float64).reshape(-1)
    parts = torch.distributions.Normal(0.0, levels).log_prob(u[..., None]).sum(1)
    known = torch.autograd.grad(torch.logsumexp(parts, 1).sum(), u)[0]
    assert torch.allclose(DenoisingScoreMatching(sigma).noise_score(u), known)


def test_denoising_of_several_levels_is_zero_in_mean_at_the_noised_law():
    objective = DenoisingScoreMatching((0.2, 1.0), draws=2)
    model = quadratic(objective)
    parts = torch.tensor([SCALE**2 + 0.04, SCALE**2 + 1.0]).double()

    class Noised(nn.Module):  # scaled by theta, which is 1 at the truth
        def __init__(self):
            super().__init__()
            self.theta = nn.Parameter(torch.ones(2))

        def forward(self, z):
            log_p = torch.logsumexp(torch.distributions.Normal(0.0, parts.sqrt()).log_prob(z), 1)
            return -self.theta[0] * log_p - 0.5 * z[:, 0].square()  # the base's energy taken away again

    model.network = Noised().double()
    x = quantiles(4000, 0.0, SCALE)
    found = slopes(model, torch.ones(2).double(), x)[0]
    error = float(found.std()) / len(x) ** 0.5
    assert abs(float(found.mean())) < 4 * error
    assert abs(float(slopes(model, torch.tensor([1.5, 1.0]).double(), x)[0].mean())) > 10 * error


def test_discrepancy_is_that_of_the_quadrature():
    t, draws = 0.36, 500
    objective = EnergyDiscrepancy(t**0.5, draws=draws, stabiliser=0.0)
    model, x = quadratic(objective), quantiles(3000, MEAN, SCALE)
    theta = theta_of(-0.2, 0.9)
    with torch.no_grad():
        model.network.theta.copy_(theta)
    axis = torch.linspace(-8, 8, 1601).double()[:, None]
    u = -model.base.log_prob(axis) + model.network(axis).detach()
    kernel = torch.distributions.Normal(0.0, t**0.5).log_prob(axis - axis.T).exp() * 0.01
    smoothed = -torch.log(kernel @ torch.exp(-u))  # U_t at the axis
    p = torch.distributions.Normal(MEAN, SCALE).log_prob(axis[:, 0]).exp() * 0.01
    known = float(p @ u - (p @ kernel) @ smoothed)
    loss = model.loss(x, generator=stream(4)).detach()
    error = float(loss.std()) / len(x) ** 0.5
    assert float(loss.mean()) == pytest.approx(known, abs=4 * error + 5 / draws)
    assert 4 * error + 5 / draws < 0.3 * abs(known)


def test_discrepancy_of_its_own_draws():
    model, x = quadratic(EnergyDiscrepancy(0.4, draws=3, stabiliser=2.0)), quantiles(5, 0.0, 1.0)
    with torch.no_grad():
        model.network.theta.copy_(theta_of(MEAN, SCALE**2))
    xi = 0.4 * torch.randn(5, 4, 1, generator=stream(5), dtype=torch.float64)
    like = x[:, None] + xi[:, :1] + xi[:, 1:]
    ratio = torch.exp(model.energy(x)[:, None] - model.energy(like.flatten(0, 1)).reshape(5, 3))
    known = torch.log(2.0 / 3 + ratio.mean(1))
    assert torch.allclose(model.loss(x, generator=stream(5)), known)


@pytest.mark.parametrize(("start", "k", "reached"), [("short-run", 40, 1), ("short-run", 0, 0), ("persistent", 40, 1)])
def test_chains_have_the_law_of_the_model_where_they_are_long_enough(start, k, reached):
    objective = MaximumLikelihood(start, k=k, particles=10_000)
    model, generator = quadratic(objective), stream(6)
    with torch.no_grad():
        model.network.theta.copy_(theta_of(1.5, 0.3))
    model.log_steps[1] = math.log(0.5)
    model.chains.copy_(model.base.sample(10_000, generator))
    model.after_step(quantiles(4, 0.0, 1.0), generator=generator)
    mean, variance = (1.5, 0.3) if reached else (0.0, 1.0)
    assert float(model.chains.mean()) == pytest.approx(mean, abs=0.03)
    assert float(model.chains.var()) == pytest.approx(variance, rel=0.05)


def test_short_runs_do_not_remember():
    model = quadratic(MaximumLikelihood("short-run", k=1, particles=4000))
    model.chains.fill_(50.0)
    model.after_step(quantiles(4, 0.0, 1.0), generator=stream(7))
    assert float(model.chains.abs().max()) < 6


@pytest.mark.parametrize("make", [ImplicitScoreMatching, NoiseContrastive])
def test_without_chains_log_z_is_annealed_back_from_samples(make, monkeypatch):
    model = network_model(make(), 2)
    exact, generator = model.log_partition().value, stream(8)
    assert len(model.chains) == 0
    assert model.negatives() is None
    model.sample_steps = 60
    x = model.sample(32, generator=generator)
    for _ in range(100):
        model.after_step(x, generator=generator)
    monkeypatch.setattr("hexad.energy.ebm._QUADRATURE", 0)
    found = model.log_partition(generator=generator, effort=0.06)
    assert found.low < exact < found.high
    assert found.high - found.low < 0.8
    assert float(model.mean_acceptance()) == pytest.approx(0.57, abs=0.1)


def test_acceptance_is_a_vital_sign():
    model, x = quadratic(ImplicitScoreMatching()), quantiles(64, 0.0, 1.0)
    (sign,) = model.vitals(x)
    assert (sign.name, sign.well) == ("acceptance", True)
    with torch.no_grad():
        model.log_steps[1] = 8.0  # steps that are far too long
    first = model.evaluate(x)
    for _ in range(150):
        model.langevin(first, rate=0.0, generator=stream(9))
    (sign,) = model.vitals(x)
    assert not sign.well
    assert sign.value < 0.1
    assert "no longer fit" in sign.words


@pytest.mark.parametrize("name", [*CASES, "short-run"])
def test_objective_keeps_the_contract(name):
    objective = MaximumLikelihood("short-run", k=3) if name == "short-run" else CASES[name][0]()
    with fork(1):
        model = EBM(Event.of(1, "real"), (8,), 2, objective, sample_steps=20)
    if name != "contrastive, other noise":  # whose draws are float64
        check_model(model)
    assert type(objective).__name__ in repr(model)


def test_noise_with_parameters_is_a_second_player():
    with fork(2):
        noise = RECIPES["realnvp"].build(Event.of(2, "real"), transforms=2, hidden=(8,))
        noise.prepare(torch.randn(100, 2, generator=stream(0)))
        model = EBM(Event.of(2, "real"), (8,), 1, NoiseContrastive(noise=noise), sample_steps=10)
    assert model.players == ("model", "noise")
    x = torch.randn(5, 2, generator=stream(1))
    assert torch.equal(model.loss(x, player="noise"), noise.loss(x))
    model.loss(x, generator=stream(1)).mean().backward()
    assert all(p.grad is None for p in noise.parameters())
    model.loss(x, player="noise").mean().backward()
    owners = {id(p) for p in model.player_parameters("noise")}
    assert owners == {id(p) for p in noise.parameters()}
    assert not owners & {id(p) for p in model.player_parameters("model")}
    assert all(p.grad is not None for p in noise.parameters())


@pytest.mark.parametrize("objective", [MaximumLikelihood, NoiseContrastive, SlicedScoreMatching, EnergyDiscrepancy])
def test_the_guard_names_the_layer_of_the_energy(objective):
    model = network_model(objective(), 2)
    with torch.no_grad():
        model.network.inner[1].weight[0, 0] = math.nan
    x = torch.randn(8, 2, generator=stream(1)).double()
    found = first_bad_layer(model, lambda: model.loss(x, generator=stream(1)))
    assert found == "the output of layer 'network.inner.1' (Linear)"


def test_energies_that_are_not_finite_have_no_likelihood():
    model = quadratic(ImplicitScoreMatching())
    with torch.no_grad():
        model.network.theta.fill_(math.nan)
    with pytest.raises(hexad.InputError, match="log Z is nan: the energy is not finite everywhere"):
        model.log_likelihood(torch.zeros(2, 1).double())


class Column(nn.Module):
    """Gives a column, as networks mostly do."""

    def __init__(self, value: float = 0.0, squeeze: bool = False) -> None:
        super().__init__()
        self.value, self.squeeze, self.layer = value, squeeze, nn.Linear(2, 1)

    def forward(self, z):
        return self.layer(z).squeeze(1) + self.value if self.squeeze else self.layer(z)


def test_what_cannot_be_trained_is_said_in_one_line():
    event = Event.of(2, "real")
    with pytest.raises(ValueError, match=r"gives shape \(2, 1\) for 2 records of 2 columns; expected \(2,\)"):
        EBM(event, network=Column())
    with pytest.raises(ValueError, match="gives nan at the origin; expected a finite energy"):
        EBM(event, network=Column(math.nan, squeeze=True))
    with torch.no_grad():
        assert EBM(event, network=Column(squeeze=True)).validate(torch.zeros(3, 2)).name == "log_prob"
    with pytest.raises(ValueError, match="at most 16, got 17: take objective=sliced"):
        EBM(Event.of(17, "real"), objective=ImplicitScoreMatching())
    with pytest.raises(ValueError, match="positive standard deviations"):
        DenoisingScoreMatching((0.1, -1.0))
    with pytest.raises(ValueError, match="one positive standard deviation"):
        EnergyDiscrepancy(0.0)


def test_recipe_takes_the_objective_and_refuses_what_it_has_not():
    table = torch.randn(60, 1, generator=stream(3)).numpy()

    def fit(objective, steps=2, **options):
        return hexad.fit("ebm", table, steps=steps, objective=objective, hidden=[8], components=1, **options)

    assert isinstance(fit("denoising", sigma=[0.1, 0.3]).model.objective, DenoisingScoreMatching)
    assert fit("discrepancy", sigma=0.2, draws=3).model.objective.draws == 3
    short = fit("short-run", k=4).model.objective
    assert (short.start, short.k) == ("short-run", 4)
    with pytest.raises(hexad.InputError, match="option k of ebm: objective=contrastive takes draws, regularisation"):
        fit("contrastive", k=3)
    with pytest.raises(hexad.InputError, match="one positive standard deviation"):
        fit("discrepancy", sigma=[0.2, 0.3])
    with pytest.raises(hexad.InputError, match="objective='likelyhood' of ebm"):
        fit("likelyhood")
    with pytest.raises(hexad.InputError, match="differentiates its loss twice"):
        fit("sliced", compile=True)


def test_spectral_network_is_no_steeper_than_its_bound():
    with fork(4):
        network = ScalarMLP(3, (16, 16), spectral=True).double()
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=10.0)
    x = torch.randn(500, 3, generator=stream(4)).double().requires_grad_()
    value, gradient = network.value_and_gradient(x)
    known = torch.autograd.grad(network(x).sum(), x)[0]
    assert torch.allclose(value, network(x))
    assert torch.allclose(gradient, known)
    bound = 1.1**2 * float(network.last.weight.norm().detach())
    assert 0.05 * bound < float(gradient.norm(dim=1).max()) < bound
