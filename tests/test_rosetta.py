r"""One law, seven languages: on :math:`N(\mu, \Sigma)` the linear member of each family gives the same number.

Every model is of the family's own class, with the parameters that :math:`\mu` and :math:`\Sigma` imply set by hand, so
it is the formula of the family that is held, not its training. The number is the expected log-density,
:math:`-\tfrac12\log\det(2\pi e\Sigma)`. It is taken over the records :math:`\mu \pm \sqrt D L e_i` with
:math:`\Sigma = L L^\top`, which have exactly the law's mean and covariance: the mean of a quadratic over them is its
expectation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from exact import GaussianDenoiser
from hexad.autoregressive import AR, MADE
from hexad.baselines import Gaussian
from hexad.diffusion import Diffusion, linear
from hexad.energy import EBM
from hexad.event import Event
from hexad.flow import Flow
from hexad.gan import GAN
from hexad.model import GenerativeModel
from hexad.nn import MLP
from hexad.randomness import fork, stream
from hexad.recipes import FAMILIES
from hexad.transforms import ActNorm, AffineCoupling, Compose
from hexad.vae import VAE

D = 4
EVENT = Event.of(D, "real")
PHI, INTERCEPT, INNOVATION = (0.6, -0.3), 1.05, 0.5  # of the AR(2) whose four rows are the second law
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Law:
    """N(mean, covariance) in D columns, with its Cholesky factor L."""

    mean: Tensor
    covariance: Tensor

    @property
    def factor(self) -> Tensor:
        return torch.linalg.cholesky(self.covariance)

    @property
    def records(self) -> Tensor:
        return self.mean + spread(D) @ self.factor.T

    def log_p(self, x: Tensor) -> Tensor:
        return MultivariateNormal(self.mean, self.covariance).log_prob(x)

    @property
    def number(self) -> float:
        return -0.5 * float(torch.logdet(2 * math.pi * math.e * self.covariance))


def spread(n: int) -> Tensor:
    """Return 2n points of mean 0 and covariance 1 in n dimensions."""
    axes = math.sqrt(n) * torch.eye(n)
    return torch.cat([axes, -axes])


def low_rank_plus_diagonal() -> Law:
    loadings = torch.tensor([[1.0, 0.9], [-0.5, -0.2], [0.8, 0.9], [0.2, -0.4]])
    return Law(torch.tensor([0.5, -1.0, 2.0, 0.0]), loadings @ loadings.T + 0.3 * torch.eye(D))


def rows_of_a_series() -> Law:
    """The joint law of four rows of a stationary AR(2), by the equations of Yule and Walker."""
    rho = [1.0, PHI[0] / (1 - PHI[1])]
    while len(rho) < D:
        rho.append(PHI[0] * rho[-1] + PHI[1] * rho[-2])
    variance = INNOVATION / (1 - PHI[0] * rho[1] - PHI[1] * rho[2])
    apart = (torch.arange(D)[:, None] - torch.arange(D)).abs()
    return Law(torch.full((D,), INTERCEPT / (1 - sum(PHI))), variance * torch.tensor(rho)[apart])


LAWS = {"low rank plus diagonal": low_rank_plus_diagonal, "four rows of an AR(2)": rows_of_a_series}


# -- the linear members -----------------------------------------------------------------------------------------------


def baseline(law: Law) -> Gaussian:
    """The Gaussian, fitted to records that have the law's moments."""
    model = Gaussian(EVENT)
    model.prepare(law.records)
    return model


def energy(law: Law) -> EBM:
    r"""A quadratic energy :math:`\tfrac12|\Sigma^{-1/2}(x - m)|^2 + w \cdot \Sigma^{-1/2}(x - m)`: the base has another
    mean m, and the linear tilt moves it to the law's, so that log Z' is not 0.
    """
    columns = len(law.mean)
    model = EBM(Event.of(columns, "real"), ())
    values, vectors = torch.linalg.eigh(law.covariance)
    model.shift.copy_(law.mean + torch.tensor([0.3, -0.2, 0.1, 0.4])[:columns])
    model.colour.copy_(vectors @ (values.sqrt()[:, None] * vectors.T))
    model.whiten.copy_(vectors @ (values.rsqrt()[:, None] * vectors.T))
    model.network.last.weight.copy_(-model.whitened(law.mean[None]))
    model.chains.sub_(model.network.last.weight)  # draws of the base, moved to the model
    return model


def vae(law: Law) -> VAE:
    r"""Probabilistic PCA, :math:`x = W z + \mu + \sigma\epsilon`, with its true posterior: :math:`\sigma^2` is the
    least eigenvalue, and as the columns of W are orthogonal, the posterior's covariance is diagonal.
    """
    values, vectors = torch.linalg.eigh(law.covariance)
    noise = values[0]
    loadings = vectors[:, 1:] * (values[1:] - noise).clamp(min=0).sqrt()
    precision = 1 + loadings.square().sum(0) / noise
    encode = loadings.T / noise / precision[:, None]
    model = VAE(EVENT, D - 1, ())
    into, out = model.encoder.layers[0], model.decoder.layers[0]
    into.weight.copy_(torch.cat([encode, torch.zeros_like(encode)]))
    into.bias.copy_(torch.cat([-encode @ law.mean, -0.5 * precision.log()]))
    out.weight.copy_(loadings)
    out.bias.copy_(law.mean)
    model.likelihood.log_scale.fill_(0.5 * noise.log())
    return model


def regressions(law: Law) -> tuple[Tensor, Tensor]:
    """Return the coefficients of each column on those before it, (D, D) strictly lower, and the residual variances."""
    unit = law.factor / law.factor.diagonal()
    return torch.eye(D) - torch.linalg.inv(unit), law.factor.diagonal().square()


def made(law: Law, order: tuple[int, ...] = (2, 0, 3, 1)) -> MADE:
    """Direct links and one normal component a column: each column's regression on those before it, in some order."""
    places = list(order)
    moved = Law(law.mean[places], law.covariance[places][:, places])
    coefficients, variances = regressions(moved)
    model = MADE(EVENT, (), order, components=1, law="gaussian")
    outputs = model.network.leave.weight.view(D, 3, D), model.network.leave.bias.view(D, 3)
    for k, column in enumerate(order):
        outputs[0][column, 1, places] = coefficients[k] + 9.0 * (torch.arange(D) >= k)  # which the mask takes away
        outputs[1][column, 1] = moved.mean[k] - coefficients[k] @ moved.mean
        bound = model.head.bound  # the log-scale leaves through a soft bound
        outputs[1][column, 2] = bound * torch.atanh(0.5 * variances[k].log() / bound)
    return model


def ar(law: Law) -> AR:
    """The AR(2) that the second law is four rows of."""
    model = AR(Event.of(1, "real", "series"), 2)
    mean, variance, first = law.mean[0], law.covariance[0, 0], law.covariance[0, 1] / law.covariance[0, 0]
    model.orders.fill_(2)
    model.coefficients.copy_(torch.tensor(PHI)[None])
    model.intercept.fill_(INTERCEPT)
    model.variance.fill_(INNOVATION)
    model.start_coefficients[0, 1, 0] = first
    model.start_intercept.copy_(torch.stack([mean, mean * (1 - first)])[None])
    model.start_variance.copy_(torch.stack([variance, variance * (1 - first.square())])[None])
    return model


def flow(law: Law) -> Flow:
    """Standardisation and D - 1 affine couplings with linear networks: the last column is freed of the others first."""
    coefficients, variances = regressions(law)
    scale = law.covariance.diagonal().sqrt()
    layers = [ActNorm(D)]
    layers[0].shift.copy_(law.mean)
    layers[0].log_scale.copy_(scale.log())
    for k in range(D - 1, 0, -1):
        kept = torch.arange(D) != k
        layer = AffineCoupling(kept, lambda inputs, outputs: MLP(inputs, outputs, ()))
        last, bound = layer.network.layers[0], layer.elementwise.bound
        last.weight.copy_(torch.stack([coefficients[k, kept] * scale[kept] / scale[k], torch.zeros(D - 1)]))
        log_scale = 0.5 * variances[k].log() - scale[k].log()
        last.bias.copy_(torch.stack([torch.zeros(()), bound * torch.atanh(log_scale / bound)]))
        layers.append(layer)
    return Flow(EVENT, Compose(layers))


def gan(law: Law) -> GAN:
    """A linear generator, G(z) = L z + b."""
    model = GAN(EVENT, D, ())
    model.generator.layers[0].weight.copy_(law.factor)
    model.generator.layers[0].bias.copy_(law.mean)
    return model


def diffusion(law: Law, levels: int = 50) -> Diffusion:
    """The exact denoiser of Gaussian data, which is linear, with the forward process's variances."""
    schedule = linear(levels, last=0.2)
    return Diffusion(EVENT, GaussianDenoiser(schedule, law.mean, law.covariance), schedule, variance="beta")


# -- their numbers ----------------------------------------------------------------------------------------------------


def by_log_likelihood(model: GenerativeModel, law: Law) -> Tensor:
    """Return log p of each record, as the model states it."""
    stated = model.log_likelihood(law.records, generator=stream(0, "rosetta"))
    assert stated is not None
    return stated.value


def by_energy(model: GenerativeModel, law: Law) -> Tensor:
    """Return -U(x) - log Z of each record; a linear tilt w of a standard normal base has log Z' = |w|^2 / 2."""
    assert isinstance(model, EBM)
    return -model.energy(law.records) - 0.5 * model.network.last.weight.square().sum()


def by_windows(model: GenerativeModel, law: Law) -> Tensor:
    """Return the sum over rows of log p given the rows before, each record a series of four rows."""
    assert isinstance(model, AR)
    return torch.stack([model.log_prob(record[:, None]).sum() for record in law.records])


def by_generator(model: GenerativeModel, law: Law) -> Tensor:
    """Return log p of each record under the law of G(z), read off its values at 0 and at the unit vectors."""
    assert isinstance(model, GAN)
    moved = model.decode(torch.cat([torch.zeros(1, D), torch.eye(D)]))
    columns = moved[1:] - moved[0]
    return MultivariateNormal(moved[0], columns.T @ columns).log_prob(law.records)


def by_bound(model: GenerativeModel, law: Law) -> Tensor:
    """Return the expected bound with its known gap added back, one number: each term is quadratic in (x_0, eps), so
    its mean over 4 D points is its expectation.
    """
    assert isinstance(model, Diffusion)
    points = spread(2 * D)
    x, eps = law.mean + points[:, :D] @ law.factor.T, points[:, D:]
    total = model.prior_term(x) + model.reconstruction_term(x, eps)
    for t in range(2, model.schedule.levels + 1):
        total = total + model.reverse_term(x, torch.full((len(x),), t), eps)
    return (known_gap(model, law) - total.mean()).reshape(1)


def known_gap(model: Diffusion, law: Law) -> Tensor:
    """Return the divergence of the reverse process from the forward one: that of the laws at the top, and level by
    level that of normal laws with equal means, whose variances have a ratio in each direction of the covariance.
    """
    exact, values = model.schedule.exact, torch.linalg.eigvalsh(law.covariance)
    alpha2, sigma2 = exact["alpha"].square()[:, None], exact["sigma"].square()[:, None]
    posterior = values * sigma2 / (alpha2 * values + sigma2)  # variances of z_0 given z_t, (T + 1, D)
    forward = exact["beta_tilde"][:, None] + exact["pull"].square()[:, None] * posterior
    below = posterior[1] / model.last_step.log_scale.exp().square()
    ratios = torch.cat([below[None], (forward / model.variance.table())[2:], alpha2[-1:] * values + sigma2[-1:]])
    return 0.5 * ((ratios - 1 - ratios.log()).sum() + (alpha2[-1] * law.mean.square()).sum())


@dataclass(frozen=True)
class Member:
    family: str
    build: Callable[[Law], GenerativeModel]
    numbers: Callable[[GenerativeModel, Law], Tensor] = by_log_likelihood
    laws: tuple[str, ...] = tuple(LAWS)
    samples: bool = True


MEMBERS = {
    "quadratic energy": Member("energy", energy, by_energy),
    "probabilistic PCA": Member("vae", vae),
    "linear generator": Member("gan", gan, by_generator),
    "linear MADE": Member("autoregressive", made),
    "AR(2)": Member("autoregressive", ar, by_windows, ("four rows of an AR(2)",), samples=False),
    "linear flow": Member("flow", flow),
    "linear denoiser": Member("diffusion", diffusion, by_bound, samples=False),
    "Gaussian": Member("baseline", baseline),
}
PAIRS = [pytest.param(m, LAWS[law], id=f"{name}, {law}") for name, m in MEMBERS.items() for law in m.laws]


@pytest.fixture(autouse=True)
def _by_hand():
    """Set parameters in place, in float64."""
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad(), fork(0):
            yield
    finally:
        torch.set_default_dtype(old)


def test_every_family_speaks():
    assert {member.family for member in MEMBERS.values()} == set(FAMILIES)


@pytest.mark.parametrize(("member", "law"), PAIRS)
def test_the_linear_members_give_the_same_number(member, law):
    law = law()
    numbers = member.numbers(member.build(law), law)
    assert float(numbers.mean()) == pytest.approx(law.number, abs=TOLERANCE)
    if len(numbers) > 1:
        assert torch.allclose(numbers, law.log_p(law.records), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(("member", "law"), [pair for pair in PAIRS if pair.values[0].samples])
def test_and_sample_the_same_law(member, law):
    law, n = law(), 10_000
    x = member.build(law).sample(n, generator=stream(0, "samples"))
    variances = law.covariance.diagonal()
    errors = ((variances[:, None] * variances + law.covariance.square()) / n).sqrt()
    assert ((torch.cov(x.T) - law.covariance).abs() < 5 * errors).all()
    assert ((x.mean(0) - law.mean).abs() < 5 * (variances / n).sqrt()).all()


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_in_two_columns_the_energy_integrates_its_own_z(law):
    law = law()
    marginal = Law(law.mean[:2], law.covariance[:2, :2])
    stated = energy(marginal).log_likelihood(law.records[:, :2])
    assert stated.kind == "exact"
    assert torch.allclose(stated.value, marginal.log_p(law.records[:, :2]), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_in_four_columns_the_energy_anneals_to_the_number(law):
    law = law()
    stated = energy(law).log_likelihood(law.records, budget=64)
    off = float(stated.value.mean()) - law.number
    assert stated.kind == "interval"
    assert abs(off) < 4 * stated.common_stderr < 0.05


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_diffusions_bound_is_below_the_number_by_its_known_gap(law):
    law, n = law(), 4000
    model, x = diffusion(law), law.mean + torch.randn(n, D, generator=stream(0, "records")) @ law.factor.T
    stated = model.log_likelihood(x, generator=stream(0, "bound"))
    below = law.log_p(x) - stated.value
    assert stated.kind == "lower_bound"
    assert float(below.mean()) == pytest.approx(float(known_gap(model, law)), abs=4 * float(below.std()) / n**0.5)
