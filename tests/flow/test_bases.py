"""Bases of flows against scipy, quadrature and their own draws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy import stats

from hexad.event import Event
from hexad.flow import MAF, NSF, Flow, Mixture, RealNVP, StandardNormal, Student
from hexad.flow.bases import draws_are_differentiable
from hexad.randomness import fork, stream
from hexad.recipes import recipe_of
from hexad.testing import check_model
from hexad.transforms import ActNorm, Compose


def _student(features):
    base = Student(features, 3.0)
    with torch.no_grad():
        base.log_excess.copy_(torch.linspace(0.0, 1.5, features))
    return base


def _mixture(features, components=3):
    with fork(0):
        base = Mixture(features, components)
        with torch.no_grad():
            for parameter in base.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
    return base


BASES = {
    "normal": StandardNormal,
    "student": _student,
    "mixture": _mixture,
    "one component": lambda features: _mixture(features, 1),
}


def _cdf(name, base, x, column):
    """Return the cdf of one column at x, by scipy."""
    if name == "normal":
        return stats.norm.cdf(x)
    if name == "student":
        return stats.t.cdf(x, df=1 + float(base.log_excess[column].detach().exp()))
    weights, means = base.logits.softmax(0).detach(), base.means[:, column].detach()
    scales = base.log_scales[:, column].detach().exp()
    return sum(float(w) * stats.norm.cdf(x, float(m), float(s)) for w, m, s in zip(weights, means, scales, strict=True))


@pytest.mark.parametrize("name", BASES)
def test_one_column_integrates_to_1(name):
    base = BASES[name](1).double()
    # x = sinh(t) reaches tails of any weight
    t = torch.linspace(-22, 22, 8001, dtype=torch.float64)
    with torch.no_grad():
        total = torch.trapezoid(base.log_prob(t.sinh()[:, None]).exp() * t.cosh(), t)
    assert float(total) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", BASES)
def test_draws_follow_the_law_of_each_column(name):
    base = BASES[name](3)
    draws = base.sample(4000, generator=stream(1)).detach().numpy()
    for column in range(3):
        result = stats.kstest(draws[:, column], lambda x, column=column: _cdf(name, base, x, column))
        assert result.pvalue > 1e-3
        off = stats.kstest(draws[:, column] + 0.15, lambda x, column=column: _cdf(name, base, x, column))
        assert off.pvalue < 1e-3  # a shift would be seen


@pytest.mark.parametrize("name", BASES)
def test_density_of_draws_is_that_of_the_law(name):
    base = BASES[name](2).double()
    with torch.no_grad():
        x = base.sample(20_000, generator=stream(2))
        # E[g / p] = 1 for a normalised g that is narrower than p
        g = stats.multivariate_normal([0.3, -0.2], 0.09).logpdf(x.numpy())
        ratio = (torch.from_numpy(g) - base.log_prob(x)).exp()
    assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / 20_000**0.5


def test_log_densities_are_scipys():
    x = 3 * torch.randn(50, 3, generator=stream(0), dtype=torch.float64)
    student, mixture = _student(3).double(), _mixture(3).double()
    df = (1 + student.log_excess.exp()).detach().numpy()
    expected = stats.t.logpdf(x.numpy(), df=df).sum(1)
    torch.testing.assert_close(student.log_prob(x).detach(), torch.from_numpy(expected))
    weights = mixture.logits.softmax(0).tolist()
    parts = [
        w * stats.multivariate_normal(m.detach().numpy(), s.detach().exp().square().numpy()).pdf(x.numpy())
        for w, m, s in zip(weights, mixture.means, mixture.log_scales, strict=True)
    ]
    torch.testing.assert_close(mixture.log_prob(x).detach(), torch.from_numpy(sum(parts)).log())
    normal = StandardNormal(3).double().log_prob(x)
    torch.testing.assert_close(normal, torch.from_numpy(stats.norm.logpdf(x.numpy()).sum(1)))


@pytest.mark.parametrize("name", ["student", "mixture", "one component"])
def test_densities_have_gradients_in_all_parameters(name):
    base = BASES[name](2).double()
    x = torch.randn(5, 2, generator=stream(0), dtype=torch.float64)
    parameters = [p.detach().clone().requires_grad_() for p in base.parameters()]
    names = [key for key, _ in base.named_parameters()]

    def density(*values):
        return torch.func.functional_call(_Density(base), dict(zip(_prefixed(names), values, strict=True)), (x,))

    assert torch.autograd.gradcheck(density, parameters)


class _Density(torch.nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, x):
        return self.base.log_prob(x)


def _prefixed(names):
    return [f"base.{name}" for name in names]


def test_draws_carry_gradients_where_they_can():
    base = _student(1).double()
    with torch.no_grad():
        base.log_excess.fill_(math.log(9.0))  # nu = 10
    x = base.sample(400_000, generator=stream(0))
    (slope,) = torch.autograd.grad(x.square().mean(), base.log_excess)
    # E[x^2] = nu / (nu - 2), with d nu / d log_excess = nu - 1
    assert float(slope) == pytest.approx(-2 / 8**2 * 9, rel=0.05)
    normal = _mixture(2, 1)
    draws = normal.sample(10, generator=stream(0))
    parts = torch.autograd.grad(draws.sum(), [normal.means, normal.log_scales])
    torch.testing.assert_close(parts[0], torch.full((1, 2), 10.0))
    torch.testing.assert_close(parts[1][0], (draws - normal.means).sum(0).detach())
    assert all(draws_are_differentiable(b) for b in (base, normal, StandardNormal(2)))
    assert not draws_are_differentiable(_mixture(2))
    assert draws_are_differentiable(_mixture(2).requires_grad_(False))


def test_mixtures_start_from_data():
    x = torch.tensor([2.0, 0.5, 1.0]) * torch.randn(500, 3, generator=stream(0)) + 5
    x[:, 2] = 7.0  # constant: keeps its scale
    one, many = Mixture(3, 1), Mixture(3, 4)
    one.prepare(x)
    many.prepare(x, generator=stream(1))
    torch.testing.assert_close(one.means[0], x.mean(0))
    torch.testing.assert_close(one.log_scales[0, :2].exp(), x[:, :2].std(0, correction=0))
    assert one.log_scales[0, 2] == 0
    assert all((x == mean).all(1).any() for mean in many.means)
    assert len(many.means.unique(dim=0)) > 1
    assert torch.equal(many.log_scales, one.log_scales.expand(4, -1))


@pytest.mark.parametrize("name", ["student", "mixture", "one component"])  # what learns
def test_bases_keep_the_contract(name):
    check_model(BASES[name](2), seed=1)


@pytest.mark.parametrize("kind", [RealNVP, NSF, MAF])
@pytest.mark.parametrize("name", ["student", "mixture"])
def test_flows_take_any_base_and_still_integrate_to_1(kind, name):
    base = {"student": lambda: Student(2, 6.0), "mixture": lambda: _mixture(2)}[name]()
    with fork(3):
        flow = kind(Event.of(2, "real"), transforms=2, hidden=(8,), base=base).double()
        with torch.no_grad():
            for parameter in flow.transform.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    t = torch.linspace(-6, 6, 301, dtype=torch.float64)
    with torch.no_grad():
        density = flow.log_prob(torch.cartesian_prod(t.sinh(), t.sinh())).exp().reshape(301, 301)
        total = torch.trapezoid(torch.trapezoid(density * t.cosh(), t) * t.cosh(), t)
    assert float(total) == pytest.approx(1, abs=2e-3)
    check_model(flow.float(), seed=1)


def test_students_tails_reach_the_data_where_a_normals_do_not():
    # along a line the log density of a Student falls like a logarithm, of a normal like a square
    x = torch.tensor([[10.0], [100.0], [1000.0]], dtype=torch.float64)
    event = Event.of(1, "real")
    heavy = Flow(event, Compose([ActNorm(1)]), base=Student(1, 3.0)).double().log_prob(x).tolist()
    light = Flow(event, Compose([ActNorm(1)])).double().log_prob(x).tolist()
    assert [a - b for a, b in pairwise(heavy)] == pytest.approx([4 * math.log(10)] * 2, rel=0.05)
    assert light[0] - light[1] > 4000


@pytest.mark.parametrize("recipe", ["realnvp", "nsf", "maf", "nsf-ar", "planar", "radial", "sylvester"])
def test_recipes_name_their_base(recipe):
    event, build = Event.of(3, "real"), recipe_of(recipe).build
    kinds = {"normal": StandardNormal, "student": Student, "mixture": Mixture, "learned": Mixture}
    for name, kind in kinds.items():
        base = build(event, transforms=1, base=name).base
        assert type(base) is kind
        assert base.features == 3
        if kind is Mixture:
            assert len(base.means) == (1 if name == "learned" else 8)
    assert type(build(event, transforms=1).base) is StandardNormal
    with pytest.raises(ValueError, match="base='studnt'"):
        recipe_of(recipe).check_options({"base": "studnt"})


def test_words():
    with pytest.raises(ValueError, match="degrees of freedom must be above 1"):
        Student(2, 1.0)
    with pytest.raises(ValueError, match="components must be at least 1"):
        Mixture(2, 0)
    with pytest.raises(ValueError, match="the base is of records"):
        Flow(Event.of(3, "real"), Compose([ActNorm(3)]), base=Student(2))
