from __future__ import annotations

import math

import pytest
import torch

from hexad.baselines import Independent
from hexad.baselines.independent import fit_mixtures
from hexad.event import Event, Support
from hexad.randomness import stream

LN2 = math.log(2)


def test_frequencies_are_smoothed_by_the_stated_count() -> None:
    event = Event((2,), (Support("ordinal", levels=4), Support("binary")))
    x = torch.tensor([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    model = Independent(event, pseudo_count=2.0)
    model.prepare(x)
    p_0, p_1 = (2 + 0.5) / 5, (3 + 1) / 5
    assert model.log_prob(x)[0].item() == pytest.approx(math.log(p_0 * p_1), abs=1e-12)
    unseen = torch.tensor([[2.0, 0.0]])
    assert model.log_prob(unseen).item() == pytest.approx(math.log(0.5 / 5 * 1 / 5), abs=1e-12)
    every = torch.cartesian_prod(torch.arange(4.0), torch.arange(2.0))
    assert float(model.log_prob(every).logsumexp(0)) == pytest.approx(0, abs=1e-12)


def test_samples_follow_the_probabilities() -> None:
    event = Event((3,), (Support("ordinal", levels=3), Support("real"), Support("binary")))
    g = stream(0, "data")
    x = torch.stack([torch.randint(3, (500,), generator=g), torch.randn(500, generator=g), torch.ones(500)], 1)
    model = Independent(event)
    model.prepare(x)
    drawn = model.sample(40_000, generator=stream(0, "sample"))
    for code in range(3):
        p = float(model.log_mass[0, code].exp())
        share = float((drawn[:, 0] == code).double().mean())
        assert share == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 40_000))
    mean = float((model.log_weights.exp() * model.means).sum())
    assert float(drawn[:, 1].mean()) == pytest.approx(mean, abs=5 * float(drawn[:, 1].std()) / 200)
    assert torch.equal(drawn[:, 2].unique(), torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_a_mixture_is_found_and_its_size_chosen() -> None:
    g = stream(0, "mixture")
    left = torch.rand(20_000, generator=g) < 0.3
    noise = torch.randn(20_000, generator=g, dtype=torch.float64)
    x = torch.where(left, -2 + 0.5 * noise, 1 + noise)
    weights, means, scales = fit_mixtures(x, torch.tensor(0.0, dtype=torch.float64), 5)
    used = weights > -math.inf
    assert int(used.sum()) == 2
    order = means[used].argsort()
    torch.testing.assert_close(means[used][order], torch.tensor([-2.0, 1.0], dtype=torch.float64), rtol=0, atol=0.08)
    torch.testing.assert_close(
        scales[used][order].exp(), torch.tensor([0.5, 1.0], dtype=torch.float64), rtol=0.08, atol=0
    )
    assert float(weights[used][order][0].exp()) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("unit", [1.0, 128.0, 1e-9])
def test_units_shift_densities_and_no_masses(unit: float) -> None:
    g = stream(0, "units")
    x = torch.randn(3000, 2, generator=g, dtype=torch.float64).exp()
    x[:, 1] = x[:, 1].mul(4).round() / 4

    def fitted(c: float) -> torch.Tensor:
        model = Independent(Event((2,), (Support("real"), Support("real", step=0.25 * c))))
        model.prepare(c * x)
        return model.log_prob(c * x)

    torch.testing.assert_close(fitted(unit), fitted(1.0) - math.log(unit), rtol=1e-9, atol=1e-9)


def test_cells_of_one_column_sum_to_one() -> None:
    x = torch.randn(2000, 1, generator=stream(0, "x"), dtype=torch.float64).mul(5).round() / 5
    model = Independent(Event.of(1, Support("real", step=0.2)))
    model.prepare(x)
    grid = 0.2 * torch.arange(-200, 201, dtype=torch.float64)[:, None]
    assert float(model.log_prob(grid).logsumexp(0)) == pytest.approx(0, abs=1e-9)
    assert model.log_likelihood(x).kind == "exact"
    # near the best that any model can do: the cells' own frequencies
    counts = torch.unique(x, return_counts=True)[1] / 2000
    assert float(model.log_prob(x).mean()) == pytest.approx(float((counts * counts.log()).sum()), abs=0.02)


def test_a_column_of_zeros_and_ones_is_fitted_by_two_spikes() -> None:
    x = (torch.rand(2000, 1, generator=stream(0, "x")) < 0.2).double()
    model = Independent(Event.of(1, Support("real", step=1.0)))
    model.prepare(x)
    p = float(x.mean())
    assert float(model.log_prob(x).mean()) == pytest.approx(p * math.log(p) + (1 - p) * math.log(1 - p), abs=1e-3)


def test_digits() -> None:
    """2.43 bits a dimension, by any split of the 1797 images (NUMBERS)."""
    from sklearn.datasets import load_digits

    x = torch.tensor(load_digits().data).reshape(-1, 1, 8, 8)
    x = x[torch.randperm(len(x), generator=stream(0, "split"))]
    model = Independent(Event.of((1, 8, 8), Support("ordinal", levels=17)))
    model.prepare(x[:1257])
    assert -float(model.log_prob(x[1437:]).mean()) / (64 * LN2) == pytest.approx(2.43, abs=0.04)


def test_the_path_fills_columns_in_order() -> None:
    model = Independent(Event.of(5, "binary"))
    model.prepare(torch.ones(10, 5))
    path = model.path(3, generator=stream(0))
    assert path.axis == "position"
    assert torch.equal(path.states[-1], model.sample(3, generator=stream(0)))
    assert not path.states[0].any()
    assert not path.states[2][:, 2:].any()
    assert torch.equal(path.states[2][:, :2], path.states[-1][:, :2])


def test_a_pseudo_count_must_be_positive() -> None:
    with pytest.raises(ValueError, match="pseudo_count must be positive"):
        Independent(Event.of(2, "binary"), 0.0)
