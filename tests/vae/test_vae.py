"""The VAE against probabilistic PCA, enumeration and its own samples."""

import itertools
import math

import pytest
import torch

from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.flow import RealNVP
from hexad.likelihood import importance_bound
from hexad.vae import VAE, BernoulliLikelihood, LogisticLikelihood, NormalLikelihood, Posterior, Prior, likelihood_for

EVENTS = {
    "binary": Event.of(5, "binary"),
    "ordinal": Event.of((1, 2, 3), Support("ordinal", levels=4)),
    "real": Event.of(3, "real"),
    "cells": Event((3,), (Support("real", step=0.5), Support("real"), Support("real", step=0.01))),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def model_of(kind, context=0, **options):
    torch.manual_seed(0)
    return VAE(EVENTS[kind], 2, (16,), context, **options)


def records(kind, n=7):
    event = EVENTS[kind]
    u = torch.rand(n, *event.shape, generator=seeded(3))
    return (u * event.levels).floor() if event.levels else (4 * u - 2).mul(2).round() / 2


def broad(model: VAE) -> VAE:
    """Make the posterior a little wider than the prior, whatever the record: its weights are bounded."""
    last = model.encoder.layers[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, 0.2)
    return model.double()


def pca(orthogonal: bool, n: int = 200, sigma: float = 0.5) -> tuple[VAE, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A linear VAE with the best posterior of its class, n records, their codes, and their log p."""
    model = VAE(Event.of(4, "real"), 2, ()).double()
    assert isinstance(model.likelihood, NormalLikelihood)
    w = torch.tensor([[1.0, 0.9], [-0.5, -0.2], [0.8, 0.9], [0.2, -0.4]], dtype=torch.float64)
    if orthogonal:
        w[:, 1] -= w[:, 0] * (w[:, 0] @ w[:, 1]) / (w[:, 0] @ w[:, 0])
    b = torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)
    precision = torch.eye(2, dtype=torch.float64) + w.T @ w / sigma**2
    encode = precision.inverse() @ w.T / sigma**2
    with torch.no_grad():
        linear = model.encoder.layers[0]
        linear.weight.copy_(torch.cat([encode, torch.zeros_like(encode)]))
        # the diagonal normal nearest to the posterior has the inverse diagonal of the precision
        linear.bias.copy_(torch.cat([-encode @ b, -0.5 * precision.diagonal().log()]))
        model.decoder.layers[0].weight.copy_(w)
        model.decoder.layers[0].bias.copy_(b)
        model.likelihood.log_scale.fill_(math.log(sigma))
    z = torch.randn(n, 2, generator=seeded(1), dtype=torch.float64)
    x = z @ w.T + b + sigma * torch.randn(n, 4, generator=seeded(2), dtype=torch.float64)
    covariance = w @ w.T + sigma**2 * torch.eye(4, dtype=torch.float64)
    return model, x, z, torch.distributions.MultivariateNormal(b, covariance).log_prob(x)


@torch.no_grad()
def test_at_the_true_posterior_every_weight_is_p():
    model, x, _, log_p = pca(orthogonal=True)
    log_w = model.importance_log_weights(x, 10, generator=seeded())
    assert torch.allclose(log_w, log_p.expand(10, -1), atol=1e-9)
    stated = model.log_likelihood(x, generator=seeded())
    assert stated.kind == "lower_bound"
    assert stated.measure == "density"
    assert "64 samples" in stated.protocol
    assert torch.allclose(stated.value, log_p, atol=1e-9)


@torch.no_grad()
def test_bounds_stand_in_order_and_reach_log_p():
    model, x, _, log_p = pca(orthogonal=False)
    log_w = model.importance_log_weights(x, 2048, generator=seeded())
    bounds = [log_w.unflatten(0, (-1, k)).logsumexp(1).sub(math.log(k)).mean() for k in (1, 2, 8, 64, 512, 2048)]
    assert all(a < b for a, b in itertools.pairwise(bounds))
    assert float(bounds[-1] - log_p.mean()) == pytest.approx(0, abs=0.01)
    elbo = torch.stack([model.elbo(x, generator=seeded(k)) for k in range(100)]).mean()
    assert elbo < bounds[-1] - 0.05
    assert float(elbo) == pytest.approx(float(bounds[0]), abs=0.02)


@torch.no_grad()
def test_evidence_is_the_bound_plus_the_divergence_from_the_posterior():
    model, x, _, log_p = pca(orthogonal=False)
    x, log_p = x[:2], log_p[:2]
    w, sigma2 = model.decoder.layers[0].weight, model.likelihood.log_scale.exp()[0] ** 2
    precision = torch.eye(2, dtype=torch.float64) + w.T @ w / sigma2
    mean, log_scale = model.encoder(x).chunk(2, -1)
    q = torch.distributions.MultivariateNormal(mean, torch.diag_embed((2 * log_scale).exp()))
    posterior = torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
    gap = torch.distributions.kl_divergence(q, posterior)
    draws = model.elbo(x.repeat(40000, 1), generator=seeded()).unflatten(0, (-1, 2))
    assert float(gap.min()) > 0.05
    assert torch.allclose(draws.mean(0) + gap, log_p, atol=5 * float(draws.std(0).max()) / 200)


@torch.no_grad()
def test_with_the_true_code_among_the_draws_the_bound_is_an_upper_one():
    model, x, z, log_p = pca(orthogonal=False, n=4000)
    h = model.encoder(x)
    mean, log_scale = h.chunk(2, -1)
    _, log_q = model.posterior.sample_and_log_prob(h, (z - mean) / log_scale.exp())
    at_truth = model.likelihood.log_prob(x, model.decoder(z)) + model.prior.log_prob(z) - log_q
    log_w = model.importance_log_weights(x, 3, generator=seeded())
    lower = importance_bound(log_w)[0].mean()
    upper = importance_bound(torch.cat([log_w, at_truth[None]]))[0].mean()
    assert lower < log_p.mean() < upper


@torch.no_grad()
@pytest.mark.parametrize("kind", ["binary", "ordinal"])
def test_masses_of_all_records_sum_to_one_and_are_the_samples_frequencies(kind):
    event = Event.of(3, EVENTS[kind].supports[0])
    torch.manual_seed(1)
    model = broad(VAE(event, 2, (8,)))
    for p in model.decoder.parameters():
        p.mul_(3)
    model.draws = 4000
    x = torch.cartesian_prod(*[torch.arange(event.levels, dtype=torch.float64)] * 3)
    p = model.log_likelihood(x, generator=seeded()).value.exp()
    assert float(p.sum()) == pytest.approx(1, abs=0.01)
    samples = model.sample(40000, generator=seeded())
    place = (samples * event.levels ** torch.arange(2, -1, -1)).sum(1).long()
    frequency = torch.bincount(place, minlength=len(x)) / 40000
    assert float((frequency - p).abs().max()) < 0.01
    assert float((frequency - p).abs().sum()) < 0.08


@torch.no_grad()
def test_masses_of_real_cells_are_the_samples_frequencies():
    torch.manual_seed(1)
    model = broad(VAE(Event.of(1, Support("real", step=0.5)), 1, (8,)))
    x = 0.5 * torch.arange(-40, 41, dtype=torch.float64)[:, None]
    model.draws = 2000
    stated = model.log_likelihood(x, generator=seeded())
    assert stated.measure == "mass"
    p = stated.value.exp()
    assert float(p.sum()) == pytest.approx(1, abs=0.01)
    cells = (model.sample(40000, generator=seeded())[:, 0] / 0.5).round().long() + 40
    assert float((torch.bincount(cells, minlength=81) / 40000 - p).abs().max()) < 0.01


@torch.no_grad()
def test_means_are_the_samples_means():
    for kind in EVENTS:
        model = model_of(kind)
        z = torch.randn(2, 2, generator=seeded())
        h = model.decoder(z).repeat(20000, 1)
        noise = torch.randn(40000, model.event.dims, generator=seeded())
        mean = model.likelihood.sample(h, noise).unflatten(0, (-1, 2)).mean(0)
        assert torch.allclose(mean, model.decode(z).flatten(1), atol=0.05), kind


def test_another_prior_may_be_a_flow():
    torch.manual_seed(0)
    flow = RealNVP(Event.of(2, "real"), 2, (8,))
    assert isinstance(flow, Prior)
    model = VAE(EVENTS["binary"], 2, (8,), prior=flow)
    assert isinstance(model.posterior, Posterior)
    reference = VAE(EVENTS["binary"], 2, (8,))
    weights = {name: t for name, t in model.state_dict().items() if not name.startswith("prior.")}
    reference.load_state_dict(weights)
    x = records("binary").repeat(4000, 1)
    # an untrained flow is the standard normal: the divergence by draws is the closed form's
    sampled, closed = (m.elbo_terms(x, generator=seeded())[1].unflatten(0, (-1, 7)).mean(0) for m in (model, reference))
    assert torch.allclose(sampled, closed, atol=0.03)
    model.loss(x[:7], generator=seeded()).mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model.path(3, generator=seeded()).states[-1].equal(model.sample(3, generator=seeded()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", list(EVENTS))
def test_contract(kind, dtype):
    model, x = model_of(kind, context=2).to(dtype), records(kind).to(dtype)
    model.prepare(x)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    context = torch.randn(7, 2, dtype=dtype, generator=seeded())
    loss = model.loss(x, context=context, generator=seeded())
    assert loss.shape == (7,)
    assert loss.dtype == dtype
    assert torch.equal(loss, model.loss(x, context=context, generator=seeded()))
    assert not torch.allclose(loss, model.loss(x, generator=seeded()))
    reconstruction, kl = model.elbo_terms(x, context=context, generator=seeded())
    assert torch.allclose(loss, kl - reconstruction)
    loss.mean().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.abs().sum() > 0 for p in model.parameters())
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    with torch.no_grad():
        sample = model.sample(7, context=context, generator=seeded(1))
        path = model.path(7, context=context, generator=seeded(1))
        stated = model.log_likelihood(x, context=context, generator=seeded(), budget=5)
        assert model.encode(x, context=context).shape == (7, 2)
        assert model.decode(model.encode(x)).shape == x.shape
    assert sample.shape == x.shape
    assert sample.dtype == dtype
    assert torch.equal(path.states[-1], sample)
    assert path.axis == "latent"
    assert "5 samples" in stated.protocol
    assert (stated.errors > 0).all()
    other = model_of(kind, context=2).to(dtype)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.sample(7, context=context, generator=seeded(1)), sample)


@torch.no_grad()
@pytest.mark.parametrize("kind", list(EVENTS))
def test_rows_do_not_depend_on_one_another(kind, monkeypatch):
    model, x = model_of(kind), records(kind)
    assert torch.allclose(model.sample(3, generator=seeded()), model.sample(50, generator=seeded())[:3], atol=1e-5)
    whole = model.log_likelihood(x, generator=seeded()).value
    assert torch.allclose(model.log_likelihood(x[:4], generator=seeded()).value, whole[:4], atol=1e-5)
    monkeypatch.setattr("hexad.vae.vae._CHUNK", 20000)  # a few rows a chunk: the same draws
    assert torch.allclose(model.log_likelihood(x, generator=seeded()).value, whole, atol=1e-5)


def test_prepare_starts_at_the_marginals():
    bits = (torch.rand(4000, 3, generator=seeded()) < torch.tensor([0.1, 0.5, 0.9])).float()
    bernoulli = BernoulliLikelihood(3)
    bernoulli.prepare(bits)
    assert torch.allclose(bernoulli.mean(torch.zeros(1, 3))[0], bits.mean(0), atol=1e-3)
    normal = NormalLikelihood(Event.of(2, "real"))
    normal.prepare(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert torch.equal(normal.scaled(torch.tensor([[3.0, 5.0]])), torch.tensor([[1.0, 0.0]]))
    logistic = LogisticLikelihood(Event.of(1, Support("ordinal", levels=17)))
    assert torch.equal(logistic.scaled(torch.tensor([[0.0], [8.0], [16.0]])), torch.tensor([[-1.0], [0.0], [1.0]]))


@torch.no_grad()
@pytest.mark.parametrize("scale", ["column", "output"])
def test_units(scale):
    x = records("cells", 50).double()
    steps = torch.tensor([0.5, 0.0, 0.01])
    losses = []
    for c in (1.0, 100.0):
        event = Event((3,), tuple(Support("real", step=c * float(step)) for step in steps))
        torch.manual_seed(0)
        model = VAE(event, 2, (8,), likelihood=likelihood_for(event, scale)).double()
        model.prepare(c * x)
        losses.append(model.loss(c * x, generator=seeded()))
    # the one column without a cell has a density, which shifts; the masses of the others do not
    assert torch.allclose(losses[1], losses[0] + math.log(100.0), atol=1e-5)


def test_words():
    with pytest.raises(ValueError, match="columns must be of one kind"):
        VAE(Event((2,), (Support("binary"), Support("real"))))
    with pytest.raises(InputError, match="unknown scale 'colunm'; did you mean 'column'"):
        likelihood_for(Event.of(2, "real"), "colunm")
    with pytest.raises(ValueError, match="posterior of 2 coordinates, expected latent=3"):
        VAE(EVENTS["real"], 3, posterior=VAE(EVENTS["real"], 2).posterior)
    assert "LogisticLikelihood" in repr(model_of("ordinal"))
