from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor

from hexad.baselines import Dequantised, Gaussian, GaussianMixture
from hexad.event import Event, Support
from hexad.model import Density
from hexad.randomness import stream
from hexad.transforms import Preprocessing

MIX = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.2, 0.0], [0.0, -1.0, 2.0]], dtype=torch.float64)


def records(n: int, seed: int = 0) -> Tensor:
    """Return correlated normal records."""
    return torch.randn(n, 3, generator=stream(seed, "records"), dtype=torch.float64) @ MIX.T + 3


def two_clusters(n: int, seed: int = 0) -> Tensor:
    """Return two far clusters of different shape."""
    g = stream(seed, "clusters")
    first = torch.rand(n, 1, generator=g) < 0.25
    noise = torch.randn(n, 2, generator=g, dtype=torch.float64)
    return torch.where(first, 4 + noise @ torch.tensor([[1.0, 0.9], [0.0, 0.3]], dtype=torch.float64), -4 + 0.5 * noise)


def test_the_fit_is_the_maximum_likelihood_one_and_the_density_torch_s() -> None:
    x = records(500)
    model = Gaussian(Event.of(3, "real"))
    model.prepare(x)
    torch.testing.assert_close(model.mean, x.mean(0))
    torch.testing.assert_close(model.factor @ model.factor.T, x.T.cov(correction=0))
    want = torch.distributions.MultivariateNormal(x.mean(0), x.T.cov(correction=0)).log_prob(x)
    torch.testing.assert_close(model.log_prob(x), want)
    drawn = model.sample(20_000, generator=stream(0))
    torch.testing.assert_close(drawn.T.cov(), x.T.cov(correction=0), rtol=0.05, atol=0.05)


def test_cells_add_a_twelfth_of_their_square() -> None:
    x = records(500)
    model = Gaussian(Event((3,), (Support("real", step=0.6), Support("real"), Support("real", step=1.2))))
    model.prepare(x)
    added = torch.tensor([0.6**2 / 12, 0.0, 1.2**2 / 12], dtype=torch.float64)
    torch.testing.assert_close(model.factor @ model.factor.T, x.T.cov(correction=0) + added.diag())


def test_fewer_rows_than_columns_and_copies_of_a_column_are_survived() -> None:
    x = torch.randn(10, 30, generator=stream(0), dtype=torch.float64)
    model = Gaussian(Event.of(30, "real"))
    model.prepare(x)
    assert model.log_prob(x).isfinite().all()
    model = Gaussian(Event.of(2, "real"))
    model.prepare(x[:, :1].repeat(1, 2))
    assert model.log_prob(x[:, :1].repeat(1, 2)).isfinite().all()


@pytest.mark.parametrize("kind", [Gaussian, GaussianMixture])
def test_one_column_has_exact_masses(kind: type[Gaussian] | type[GaussianMixture]) -> None:
    event = Event.of(1, Support("real", step=0.5))
    x = torch.randn(1000, 1, generator=stream(0), dtype=torch.float64).mul(2).round() / 2
    model = Dequantised.where_needed(event, kind(event))
    assert isinstance(model, Density)
    model.prepare(x, generator=stream(0))
    grid = 0.5 * torch.arange(-60, 61, dtype=torch.float64)[:, None]
    assert float(model.log_prob(grid).logsumexp(0)) == pytest.approx(0, abs=1e-9)
    assert model.log_likelihood(x).kind == "exact"


def test_the_mass_of_a_cell_in_two_columns_is_bounded_closely() -> None:
    event = Event((2,), (Support("real", step=1.0), Support("real")))
    x = torch.randn(2000, 2, generator=stream(0), dtype=torch.float64)
    x[:, 0] = x[:, 0].round()
    model = Dequantised.where_needed(event, Gaussian(event))
    assert isinstance(model, Dequantised)
    model.prepare(x)
    stated = model.log_likelihood(x, generator=stream(0, "ll"))
    assert (stated.kind, stated.measure) == ("lower_bound", "mixed")
    # the mass by the trapezoidal rule across the cell
    u = torch.linspace(-0.5, 0.5, 401, dtype=torch.float64)
    points = x[:, None].repeat(1, 401, 1)
    points[..., 0] += u
    density = model.density.log_prob(points.reshape(-1, 2)).view(2000, 401).exp()
    exact = torch.trapezoid(density, u, dim=1).log()
    gap = exact - stated.value
    assert -4 * float(gap.std()) / 2000**0.5 < float(gap.mean()) < 0.02
    single = model.log_likelihood(x, generator=stream(0, "ll"), budget=1)
    assert float(single.value.mean()) < float(stated.value.mean())


@pytest.mark.parametrize("c", [1.0, 128.0, 1e6])
def test_units_change_no_mass(c: float) -> None:
    x = (10 * records(400)).round()
    event = Event.of(3, Support("real", step=c))

    def stated(kind: type[Gaussian] | type[GaussianMixture], scale: float) -> Tensor:
        own = Event.of(3, Support("real", step=scale))
        chain = Preprocessing.fit(own, "standard", scale * x)
        model = Dequantised.where_needed(chain.event, kind(chain.event))
        z, shift = chain.encode(scale * x, dtype=torch.float64)
        model.prepare(z, generator=stream(0))
        return model.log_likelihood(z, generator=stream(0)).shifted(shift).value  # type: ignore[union-attr]

    assert event.measure == "mass"
    for kind in (Gaussian, GaussianMixture):
        torch.testing.assert_close(stated(kind, c), stated(kind, 1.0), rtol=1e-7, atol=1e-7)


def test_digits() -> None:
    """2.95 bits a dimension for the full Gaussian on dequantised values (NUMBERS)."""
    from sklearn.datasets import load_digits

    x = torch.tensor(load_digits().data)
    x = x[torch.randperm(len(x), generator=stream(0, "split"))]
    chain = Preprocessing.fit(Event.of(64, Support("ordinal", levels=17)), "standard", x[:1257])
    model = Dequantised.where_needed(chain.event, Gaussian(chain.event))
    model.prepare(chain.encode(x[:1257])[0])
    z, shift = chain.encode(x[1437:])
    one = model.log_likelihood(z, generator=stream(0), budget=1)
    assert one is not None
    assert one.shifted(shift).to_json(64)["bits_per_dim"] == pytest.approx(2.95, abs=0.06)


def test_the_mixture_finds_two_clusters_and_no_more() -> None:
    x = two_clusters(4000)
    model = GaussianMixture(Event.of(2, "real"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.prepare(x, generator=stream(0))
    used = model.log_weights > -math.inf
    assert int(used.sum()) == 2
    torch.testing.assert_close(
        model.log_weights[used].exp().sort()[0], torch.tensor([0.25, 0.75]).double(), rtol=0, atol=0.03
    )
    parts = [
        torch.distributions.MultivariateNormal(m, scale_tril=f) for m, f in zip(model.means, model.factors, strict=True)
    ]
    want = torch.logsumexp(torch.stack([p.log_prob(x) for p in parts], 1) + model.log_weights, 1)
    torch.testing.assert_close(model.log_prob(x), want)
    drawn = model.sample(20_000, generator=stream(0))
    torch.testing.assert_close(drawn.mean(0), x.mean(0), rtol=0, atol=0.15)
    assert float((drawn[:, 0] > 0).double().mean()) == pytest.approx(float((x[:, 0] > 0).double().mean()), abs=0.02)


def test_the_number_of_components_may_be_given() -> None:
    model = GaussianMixture(Event.of(2, "real"), components=3)
    model.prepare(two_clusters(500), generator=stream(0))
    assert model.log_weights.shape == (3,)
    assert (model.log_weights > -math.inf).all()


def test_one_component_is_the_gaussian() -> None:
    x = records(500)
    one, other = GaussianMixture(Event.of(3, "real"), components=1), Gaussian(Event.of(3, "real"))
    one.prepare(x, generator=stream(0))
    other.prepare(x)
    torch.testing.assert_close(one.log_prob(x), other.log_prob(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", [Gaussian, GaussianMixture])
def test_the_path_runs_from_the_mean_to_the_sample(kind: type[Gaussian] | type[GaussianMixture]) -> None:
    model = kind(Event.of(3, "real"))
    model.prepare(records(200), generator=stream(0))
    path = model.path(4, generator=stream(1))
    assert path.axis == "latent"
    assert torch.equal(path.states[-1], model.sample(4, generator=stream(1)))
    torch.testing.assert_close(path.states[4], (path.states[0] + path.states[-1]) / 2)
    torch.testing.assert_close(model.sample(2, generator=stream(1)), path.states[-1][:2], rtol=1e-12, atol=1e-12)


def test_what_they_cannot_take() -> None:
    with pytest.raises(ValueError, match="takes a real event"):
        Gaussian(Event.of(2, "binary"))
    with pytest.raises(ValueError, match="takes a real event"):
        GaussianMixture(Event.of(2, "binary"))
    with pytest.raises(ValueError, match="at least 1"):
        GaussianMixture(Event.of(2, "real"), components=0)
