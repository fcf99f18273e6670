from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hexad.diffusion import DDPM, linear
from hexad.diffusion.ddpm import Denoiser, first_noise
from hexad.event import Event, Support
from hexad.nn.embedding import FourierFeatures, SinusoidalEmbedding
from hexad.randomness import fork, stream

CODES = Event.of((1, 4, 4), Support("ordinal", levels=17))


def small(event: Event = CODES, **options: object) -> DDPM:
    """Return a small model."""
    with fork(0):
        return DDPM(event, 20, (16, 16), **options)  # type: ignore[arg-type]


def test_the_first_level_is_about_half_a_cell() -> None:
    model = small()
    noise = model.schedule.exact["sigma"][1] / model.schedule.exact["alpha"][1]
    assert 0.5 <= float(noise) / (2 / 16) <= 0.6
    # in units of the codes, whatever their number; columns without cells count as a hundredth of the deviation
    assert first_noise(Event.of(3, Support("ordinal", levels=65))) == pytest.approx(0.6 * 2 / 64)
    assert first_noise(Event.of(2, "real")) == pytest.approx(0.01)
    assert first_noise(Event.of(2, Support("real", step=0.1))) == pytest.approx(0.06)
    assert first_noise(Event((2,), (Support("real", step=0.1), Support("real")))) == pytest.approx(0.01)


@torch.no_grad()
def test_columns_with_wide_cells_are_shrunk_to_the_first_level() -> None:
    steps = (0.05, 2.0, 0.0)
    event = Event((3,), tuple(Support("real", step=step) for step in steps))
    model = small(event).double()
    noise = float(model.schedule.exact["sigma"][1] / model.schedule.exact["alpha"][1])
    assert noise == pytest.approx(0.01)
    torch.testing.assert_close(model.unit, torch.tensor([3.0, 120.0, 1.0], dtype=torch.float64), rtol=1e-5, atol=0)
    # the coordinate is the model's own affair: with a cell the value is a mass, and a column of one value has mass 1
    x = torch.randn(200, 3, generator=stream(0, "x"), dtype=torch.float64)
    x[:, 1] = 0.0
    model.prepare(x)
    other = small(Event((2,), (event.supports[0], event.supports[2]))).double()
    other.prepare(x[:, [0, 2]])
    with_it, without = (
        float(m.bound_terms(rows, generator=stream(0, "b"), draws=19).total.mean())
        for m, rows in ((model, x), (other, x[:, [0, 2]]))
    )
    assert -0.2 < with_it - without < 1.0


@torch.no_grad()
def test_before_training_it_is_the_best_linear_denoiser() -> None:
    generator = stream(0, "data")
    mix = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    z0 = torch.randn(2000, 4, generator=generator, dtype=torch.float64) @ mix + 1
    schedule = linear(50).double()
    denoiser = Denoiser(4, schedule, (8,)).double()
    denoiser.prepare(z0, torch.zeros(4, dtype=torch.float64))
    mean, covariance = z0.mean(0), z0.T.cov(correction=0)
    z = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    for level in (1, 10, 50):
        a, s = schedule.alpha[level], schedule.sigma[level]
        gain = a * covariance @ torch.linalg.inv(a * a * covariance + s * s * torch.eye(4, dtype=torch.float64))
        want = mean + (z - a * mean) @ gain.T
        torch.testing.assert_close(denoiser(z, torch.full((3,), level)), want, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_wide_records_take_the_diagonal_alone() -> None:
    denoiser = Denoiser(300, linear(20), (8,), frequencies=0)
    assert denoiser.basis is None
    z0 = 3 * torch.randn(500, 300, generator=stream(0, "z"))
    denoiser.prepare(z0, torch.zeros(300))
    a, s = denoiser.schedule["alpha"][7], denoiser.schedule["sigma"][7]
    variance = z0.var(0, correction=0)
    y = z0[:2] - a * z0.mean(0)
    want = z0.mean(0) + a * variance / (a * a * variance + s * s) * y
    torch.testing.assert_close(denoiser(z0[:2], torch.full((2,), 7)), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("objective", ["bound", "simple"])
def test_the_loss_reaches_every_parameter(objective: str) -> None:
    model = small(objective=objective)
    x = torch.randint(17, (64, 1, 4, 4), generator=stream(0, "x")).float()
    model.prepare(x)
    loss = model.loss(x, generator=stream(0, "loss"))
    assert loss.shape == (64,)
    loss.mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert ("last_step.log_scale" in dict(model.named_parameters())) == (objective == "bound")


@torch.no_grad()
def test_the_cut_never_loosens_the_bound() -> None:
    model = small().double()
    x = torch.randint(17, (50, 1, 4, 4), generator=stream(0, "x")).double()
    with fork(1):
        torch.nn.init.normal_(model.denoiser.network.leave.weight, std=2)
    z0, t = model.scaled(x), torch.full((50,), 15)
    eps = torch.randn(z0.shape, generator=stream(0, "eps"), dtype=torch.float64)
    raw = model.denoiser(model.schedule.noised(z0, t, eps), t)
    assert (raw.abs() > 1).any()
    assert (model.reverse_term(z0, t, eps) <= model._divergence(z0, raw, t) + 1e-12).all()


@torch.no_grad()
def test_context_changes_what_is_said() -> None:
    model = small(context=2)
    with fork(1):
        for layer in [*model.denoiser.network.outer, model.denoiser.network.leave]:
            torch.nn.init.normal_(layer.weight)  # type: ignore[arg-type]
    x, c = torch.zeros(8, 1, 4, 4), torch.randn(8, 2, generator=stream(0, "c"))

    def bound(context: Tensor | None) -> Tensor:
        return model.elbo(x, context=context, generator=stream(0, "elbo"))

    assert not torch.equal(bound(c), bound(-c))
    assert torch.equal(bound(None), bound(torch.zeros(8, 2)))


def test_a_short_training_beats_the_gaussian_start() -> None:
    """Two clusters: the untrained model is the Gaussian, the trained one must find the gap between them."""
    g = stream(0, "data")
    x = torch.where(torch.rand(4000, 1, generator=g) < 0.5, -1.0, 1.0) + 0.1 * torch.randn(4000, 1, generator=g)
    truth = 0.5 * math.log(2 * math.pi * math.e * 0.01) + math.log(2)
    with fork(0):
        model = DDPM(Event.of(1, "real"), 100, (32, 32))
    model.prepare(x)
    with torch.no_grad():
        before = model.log_likelihood(x[:500], generator=stream(0, "ll")).value.mean()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, fused=True)
    for _ in range(400):
        rows = torch.randint(4000, (128,), generator=g)
        optimizer.zero_grad()
        model.loss(x[rows], generator=g).mean().backward()
        optimizer.step()
    with torch.no_grad():
        after = model.log_likelihood(x[:500], generator=stream(0, "ll"))
    assert after.kind == "lower_bound"
    assert float(before) == pytest.approx(-0.5 * math.log(2 * math.pi * math.e * 1.01), abs=0.15)
    assert float(after.value.mean()) > float(before) + 0.4
    assert float(after.value.mean()) < -truth + 4 * 0.75 / 500**0.5


def test_the_budget_caps_the_levels_drawn() -> None:
    model = small()
    x = torch.zeros(3, 1, 4, 4)
    with torch.no_grad():
        assert "4 of 19" in model.log_likelihood(x, generator=stream(0), budget=5).protocol
        assert "19 of 19" in model.log_likelihood(x, generator=stream(0)).protocol


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schedule": "lin"}, "expected 'log-snr', 'linear' or 'cosine'"),
        ({"objective": "bond"}, "expected 'bound' or 'simple'"),
        ({"objective": "simple", "variance": "learned"}, "cannot learn a variance"),
        ({"event": Event((2,), (Support("binary"), Support("real")))}, "columns of one kind"),
    ],
)
def test_errors_say_what_was_expected(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small(**options)  # type: ignore[arg-type]


def test_embeddings_follow_their_formulas() -> None:
    x = torch.tensor([[0.3, -1.2]])
    features = FourierFeatures(2, 3)
    assert features.outputs == 14
    angles = torch.tensor([[0.3, -1.2, 0.6, -2.4, 1.2, -4.8]])
    torch.testing.assert_close(features(x), torch.cat([x, angles.sin(), angles.cos()], 1))
    assert FourierFeatures(2, 0)(x) is x
    embedding = SinusoidalEmbedding(5, frequencies=4)
    assert embedding(torch.tensor([0.0, 0.5, 1.0])).shape == (3, 5)
    torch.testing.assert_close(embedding.frequencies[[0, -1]], torch.tensor([math.pi / 2, 50 * math.pi]))


@torch.no_grad()
def test_the_network_s_part_has_the_posterior_s_scale() -> None:
    """Where F is standard normal, what it adds has the covariance of z_0 given z_t: it is its symmetric root."""
    mix = torch.tensor([[1.0, 0.0], [0.9, 0.2]], dtype=torch.float64)
    z0 = torch.randn(1000, 2, generator=stream(0, "z"), dtype=torch.float64) @ mix.T
    schedule = linear(50).double()
    denoiser = Denoiser(2, schedule, (8,)).double()
    denoiser.prepare(z0, torch.zeros(2, dtype=torch.float64))
    z, t = torch.zeros(1, 2, dtype=torch.float64), torch.tensor([20])
    base, columns = denoiser(z, t), []
    for unit in torch.eye(2, dtype=torch.float64):
        denoiser.network.leave.bias.copy_(unit)
        columns.append((denoiser(z, t) - base)[0])
    part = torch.stack(columns, 1)
    snr = (schedule.alpha[20] / schedule.sigma[20]).square()
    posterior = torch.linalg.inv(torch.linalg.inv(z0.T.cov(correction=0)) + snr * torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(part @ part, posterior, rtol=1e-9, atol=1e-12)
