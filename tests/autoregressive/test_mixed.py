"""RNADE, and records of several kinds: against quadrature, enumeration, torch's distributions and normal laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import distributions

import hexad
from hexad.autoregressive import MADE, RNADE
from hexad.autoregressive.heads import Mixture
from hexad.autoregressive.made import head_for
from hexad.checks import InputError
from hexad.event import Event, Support
from hexad.randomness import fork, stream
from hexad.transforms import Preprocessing

BIT, LEVEL, REAL = Support("binary"), Support("ordinal", levels=3), Support("real")
MIXED = Event((4,), (REAL, BIT, LEVEL, BIT))
MAKE = {
    "made": lambda event: MADE(event, (16,), "random", components=2),
    "made normal": lambda event: MADE(event, (16,), components=2, law="gaussian"),
    "rnade": lambda event: RNADE(event, 12, "random", components=2),
}


def built(name, event=MIXED, spread=0.5):
    with fork(3):
        model = MAKE[name](event).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=spread)
    return model.eval()


@pytest.mark.parametrize("name", MAKE)
def test_the_sum_over_codes_of_the_integral_over_reals_is_1(name):
    model, line = built(name, spread=0.2), torch.linspace(-100, 100, 8_001, dtype=torch.float64)
    codes = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(2)).double()
    x = torch.cat([line.repeat_interleave(12)[:, None], codes.repeat(len(line), 1)], 1)
    with torch.no_grad():
        total = model.log_prob(x).exp().sum() * (line[1] - line[0])
    assert float(total) == pytest.approx(1, abs=1e-6)
    assert model.log_likelihood(x[:3]).measure == "mixed"


def test_the_density_of_two_reals_integrates_to_1():
    model, line = built("rnade", Event.of(2, "real"), 0.2), torch.linspace(-15, 15, 301, dtype=torch.float64)
    with torch.no_grad():
        total = model.log_prob(torch.cartesian_prod(line, line)).exp().sum() * (line[1] - line[0]) ** 2
    assert float(total) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["made normal", "rnade"])
def test_each_column_has_its_own_law(name):
    model = built(name)
    x = torch.tensor([[0.3, 1, 2, 0], [-2.0, 0, 1, 1], [1.5, 1, 0, 0]]).double()
    outputs = model.conditionals(x)
    bits = [distributions.Bernoulli(logits=outputs[:, k, 0]).log_prob(x[:, k]) for k in (1, 3)]

    def parts(k):
        logits, means, raw = outputs[:, k].unflatten(1, (3, 2)).unbind(1)
        return distributions.Categorical(logits=logits), distributions.Normal(means, (10 * torch.tanh(raw / 10)).exp())

    weights, normals = parts(0)
    real = distributions.MixtureSameFamily(weights, normals).log_prob(x[:, 0])
    weights, normals = parts(2)
    z, top = x[:, 2, None] - 1, x[:, 2, None]  # the levels are shown as -1, 0, 1, a cell is 1 wide
    above = torch.where(top == 2, 1.0, normals.cdf(z + 0.5))
    below = torch.where(top == 0, 0.0, normals.cdf(z - 0.5))
    level = (weights.probs * (above - below)).sum(1).log()
    assert torch.allclose(model.log_prob(x), real + level + sum(bits), atol=1e-10)


def test_a_slice_of_the_columns_has_the_laws_of_the_whole():
    head = head_for(MIXED, 2, "logistic").double()
    g = stream(0)
    outputs = torch.randn(5, 4, head.outputs, generator=g).double()
    uniform = torch.rand(5, 4, head.draws, generator=g, dtype=torch.float64)
    x = head.draw(outputs, uniform)
    assert set(x[:, 1].tolist()) <= {0, 1}
    assert set(x[:, 2].tolist()) <= {0, 1, 2}
    for k in (slice(0, 1), slice(1, 3), slice(3, 4), slice(1, None)):
        assert torch.allclose(head.log_prob(outputs[:, k], x[:, k], k), head.log_prob(outputs, x)[:, k], atol=1e-12)
        assert torch.allclose(head.draw(outputs[:, k], uniform[:, k], k), x[:, k], atol=1e-12)
        assert torch.equal(head.embed(x[:, k], k), head.embed(x)[:, k])


def test_rnade_is_a_normal_law_where_its_units_cancel():
    model = RNADE(Event.of(3, "real"), 4, components=1).double()
    cross = {1: [0.7, 0.0], 2: [-0.4, 1.2]}
    scales = torch.tensor([1.5, 0.6, 0.9]).double()
    with torch.no_grad():
        model.rho.copy_(torch.tensor([1.0, 2.0, 0.5]))
        # relu(a) - relu(-a) = a
        model.enter.copy_(torch.tensor([[1, -1, 0, 0], [0, 0, 1, -1], [3, 3, 3, 3]]).double())
        for k, (first, second) in cross.items():
            model.leave[k, :, 1] = torch.tensor([first, -first, second, -second]).double() / model.rho[k]
        model.bias.view(3, 3)[:, 1] = torch.tensor([0.2, -1.0, 0.5]).double()
        model.bias.view(3, 3)[:, 2] = 10 * torch.atanh(scales.log() / 10)
    b = torch.tensor([[0, 0, 0], [0.7, 0, 0], [-0.4, 1.2, 0]]).double()
    inverse = torch.linalg.inv(torch.eye(3).double() - b)
    law = distributions.MultivariateNormal(
        inverse @ torch.tensor([0.2, -1.0, 0.5]).double(), inverse @ scales.square().diag() @ inverse.T
    )
    x = torch.randn(50, 3, generator=stream(1)).double()
    assert torch.allclose(model.log_prob(x), law.log_prob(x), atol=1e-6)
    drawn = model.sample(20_000, generator=stream(2))
    assert (torch.cov(drawn.T) - law.covariance_matrix).abs().max() < 0.12
    assert (drawn.mean(0) - law.mean).abs().max() < 0.06


def test_rnade_scales_by_the_number_of_columns_before():
    model = RNADE(Event.of(4, "real"), order=[2, 0, 3, 1])
    assert torch.allclose(model.rho[model.order].square(), torch.tensor([4.0, 4.0, 2.0, 4 / 3]))


def test_preprocessing_leaves_codes_and_standardises_reals():
    event = Event((4,), (REAL, BIT, LEVEL, Support("real", step=0.5)))
    g = stream(0)
    x = torch.stack(
        [
            torch.randn(200, generator=g).double() * 50 + 900,
            (torch.rand(200, generator=g) < 0.2).double(),
            torch.randint(0, 3, (200,), generator=g).double(),
            (torch.randn(200, generator=g).double() * 8).round() / 2,
        ],
        1,
    )
    found = Preprocessing.fit(event, "columns", x)
    found = Preprocessing.from_json(event, found.to_json())
    z, shift = found.encode(x, dtype=torch.float64)
    assert torch.equal(z[:, 1:3], x[:, 1:3])
    assert torch.allclose(z[:, [0, 3]].mean(0), torch.zeros(2).double(), atol=1e-12)
    deviation = x.std(0, correction=0)
    assert torch.allclose(shift, -deviation[0].log().expand(200))  # the mass of the step's cell stays
    assert [s.kind for s in found.event.supports] == ["real", "binary", "ordinal", "real"]
    assert found.event.supports[3].step == pytest.approx(0.5 / float(deviation[3]))
    assert not found.dequantises
    assert torch.allclose(found.decode(z), x)


def table(n, seed=0):
    """Return records whose bit moves the real column, and whose level follows the real column's sign; and log p."""
    g = np.random.default_rng(seed)
    bit = g.random(n) < 0.3
    real = 100 + 20 * bit + 5 * g.standard_normal(n)
    level = np.where(g.random(n) < 0.8, np.where(real > 110, 2, 0), 1)
    log_p = np.where(bit, np.log(0.3), np.log(0.7)) + np.where(level == 1, np.log(0.2), np.log(0.8))
    log_p += -0.5 * ((real - 100 - 20 * bit) / 5) ** 2 - np.log(5 * np.sqrt(2 * np.pi))
    return pd.DataFrame({"bit": bit.astype(int), "real": real, "level": level}), log_p.mean()


@pytest.mark.parametrize("name", ["made", "rnade"])
def test_a_table_of_several_kinds_is_learned(name):
    frame, _ = table(3000)
    fresh, truth = table(2000, 1)
    data = hexad.load_data(frame, support={"bit": "binary", "real": "real", "level": "ordinal"}, step={"real": 0})
    run = hexad.fit(name, data, steps=300, lr=0.01, components=3, progress=False)
    stated = run.log_likelihood(fresh)
    assert (stated.kind, stated.measure) == ("exact", "mixed")
    assert truth - 0.25 < float(stated.value.mean()) < truth + 0.08
    drawn = run.sample(2000, seed=1)
    assert set(drawn["bit"].unique()) == {0, 1}
    assert set(drawn["level"].unique()) <= {0, 1, 2}
    assert abs(drawn["real"][drawn["bit"] == 1].mean() - 120) < 2.5
    gaps = pd.DataFrame({"bit": [np.nan, np.nan], "real": [99.0, 122.0], "level": [0, 2]})
    bits = [run.impute(gaps, seed=s).data["bit"].tolist() for s in range(3)]
    assert all(found == [0, 1] for found in bits)


def test_what_they_cannot_take_is_said():
    with pytest.raises(InputError, match="real columns need at least 1"):
        MADE(MIXED, components=0)
    with pytest.raises(InputError, match="components must be at least 1"):
        RNADE(MIXED, components=0)
    with pytest.raises(InputError, match="permutation of 0 to 3"):
        RNADE(MIXED, order=[0, 1, 1, 2])
    assert isinstance(head_for(Event.of(2, "real"), 2, "logistic"), Mixture)
