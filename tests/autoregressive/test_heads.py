"""Laws of one column: masses that add up to 1 and hold in the tails, and draws that follow them."""

import math

import mpmath
import pytest
import torch

from hexad.autoregressive.heads import Bernoulli, Categorical, Mixture, gaussian_log_mass, logistic_log_mass
from hexad.checks import InputError
from hexad.event import Event, Support

LEVELS = Event((3,), tuple(Support("ordinal", levels=k) for k in (5, 2, 7)))


def exact(law: str, middle: float, width: float) -> float:
    """Return the log mass of the standardised cell to 60 digits."""
    with mpmath.workdps(60):
        a, b = -(abs(mpmath.mpf(middle)) + mpmath.mpf(width) / 2), -(abs(mpmath.mpf(middle)) - mpmath.mpf(width) / 2)
        cdf = {"gaussian": mpmath.ncdf, "logistic": lambda v: 1 / (1 + mpmath.exp(-v))}[law]
        return float(mpmath.log(cdf(b) - cdf(a)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-5)])
@pytest.mark.parametrize(("law", "mass"), [("gaussian", gaussian_log_mass), ("logistic", logistic_log_mass)])
def test_cell_masses_hold_for_small_cells_and_far_tails(law, mass, dtype, tolerance):
    for middle in (0.0, 0.25, -1.5, 6.0, -30.0):
        for width in (2.0**-30, 2.0**-10, 0.25, 1.0, 16.0):
            m = torch.tensor(middle, dtype=dtype, requires_grad=True)
            s = torch.zeros((), dtype=dtype, requires_grad=True)
            value = mass(torch.zeros((), dtype=dtype), m, s, torch.tensor(width, dtype=dtype))
            truth = exact(law, middle, width)
            assert abs(float(value.detach()) - truth) <= tolerance * (1 + abs(truth)), (middle, width)
            value.backward()
            assert m.grad.isfinite()
            assert s.grad.isfinite()


@pytest.mark.parametrize("mass", [gaussian_log_mass, logistic_log_mass])
def test_the_gradient_of_a_mass_is_its_derivative(mass):
    mean, log_scale = (torch.randn(20, dtype=torch.float64, requires_grad=True) for _ in range(2))
    x, width = torch.linspace(-4, 4, 20).double(), torch.logspace(-3, 1, 20).double()
    assert torch.autograd.gradcheck(lambda m, s: mass(x, m, s, width), (mean, log_scale))


def test_without_a_cell_it_is_the_density():
    x, mean, log_scale = torch.randn(3, 9, dtype=torch.float64)
    zero = torch.zeros(9, dtype=torch.float64)
    normal = torch.distributions.Normal(mean, log_scale.exp()).log_prob(x)
    assert torch.allclose(gaussian_log_mass(x, mean, log_scale, zero), normal)
    small = zero + 1e-7
    assert torch.allclose(
        logistic_log_mass(x, mean, log_scale, zero), logistic_log_mass(x, mean, log_scale, small) - small.log()
    )


@pytest.mark.parametrize(
    "head",
    [Categorical(LEVELS), Mixture(LEVELS, 3), Mixture(LEVELS, 3, "gaussian")],
    ids=["softmax", "logistic", "gaussian"],
)
def test_levels_have_mass_1_and_draws_follow_it(head):
    outputs = torch.randn(1, 3, head.outputs, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    head = head.double()
    for column, support in enumerate(LEVELS.supports):
        k = slice(column, column + 1)
        levels = torch.arange(support.levels, dtype=torch.float64)[:, None]
        mass = head.log_prob(outputs[:, k].expand(support.levels, 1, -1), levels, k).exp()[:, 0]
        assert abs(float(mass.sum()) - 1) < 1e-12
        n = 40_000
        uniform = torch.rand(n, 1, head.draws, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        drawn = head.draw(outputs[:, k].expand(n, 1, -1), uniform, k)[:, 0].long()
        share = torch.bincount(drawn, minlength=support.levels).double() / n
        assert len(share) == support.levels
        assert ((share - mass).abs() < 5 * (mass * (1 - mass) / n).sqrt() + 1e-9).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_bit_is_1_where_the_uniform_number_is_below_its_probability(dtype):
    head = Bernoulli()
    uniform = torch.rand(50_000, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    uniform[:3, 0, 0] = torch.tensor([0.0, 2.0**-53, 1 - 2.0**-53])  # the ends of what is drawn
    noise = head.noise(uniform, dtype)
    assert noise.dtype == dtype
    for logit in (-750.0, -30.0, -2.0, 0.0, 0.3, 30.0, 750.0):
        drawn = head.draw(torch.full((50_000, 1, 1), logit, dtype=dtype), noise)
        assert drawn.dtype == dtype
        wanted = (uniform < torch.tensor(logit, dtype=torch.float64).sigmoid())[..., 0]
        assert int((drawn.bool() != wanted).sum()) <= (1 if dtype == torch.float32 else 0), logit


@pytest.mark.parametrize("law", ["logistic", "gaussian"])
def test_draws_of_real_columns_follow_the_density_and_the_masses(law):
    event = Event((2,), (Support("real"), Support("real", step=0.5)))
    head = Mixture(event, 3, law).double()
    head.prepare(torch.tensor([[0.0, 0.2], [1.0, 0.7]], dtype=torch.float64))
    outputs = torch.randn(1, 2, head.outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    n = 40_000
    uniform = torch.rand(n, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = head.draw(outputs.expand(n, 2, -1), uniform)
    cells = torch.arange(-60, 60, dtype=torch.float64) * 0.5 + 0.2
    mass = head.log_prob(outputs[:, 1:].expand(120, 1, -1), cells[:, None], slice(1, 2)).exp()[:, 0]
    share = (x[:, 1:] - cells).abs().lt(1e-9).double().mean(0)
    assert abs(float(share.sum()) - 1) < 1e-3
    assert ((share - mass).abs() < 5 * (mass * (1 - mass) / n).sqrt() + 1e-4).all()
    grid = torch.linspace(-300, 300, 600_001, dtype=torch.float64)
    density = head.log_prob(outputs[:, :1].expand(len(grid), 1, -1), grid[:, None], slice(0, 1)).exp()[:, 0]
    cdf = torch.cumulative_trapezoid(density, grid)
    assert abs(float(cdf[-1]) - 1) < 1e-4
    at = cdf[torch.searchsorted(grid, x[:, 0].sort().values).clamp(1, len(cdf)) - 1]
    assert float((at - torch.arange(n) / n).abs().max()) < 1.95 / math.sqrt(n)


def test_prepared_outputs_state_the_marginals():
    g = torch.Generator().manual_seed(0)
    x = torch.stack([torch.randint(0, s.levels, (4000,), generator=g) for s in LEVELS.supports], 1).double()
    head = Categorical(LEVELS).double()
    outputs = head.prepare(x).expand(4000, -1, -1)
    assert torch.allclose(head.log_prob(outputs, x).mean(0), -torch.tensor([5.0, 2.0, 7.0]).double().log(), atol=0.01)
    bits = (torch.rand(4000, 2, generator=g) < torch.tensor([0.1, 0.0])).double()
    assert torch.allclose(torch.sigmoid(Bernoulli().prepare(bits))[:, 0], bits.mean(0), atol=1e-3)
    z = torch.randn(4000, 1, generator=g).double()
    normal = Mixture(Event.of(1, "real"), 16).double()
    assert abs(float(normal.log_prob(normal.prepare(z).expand(4000, -1, -1), z).mean()) + 1.42) < 0.05


def test_an_unknown_law_is_named():
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        Mixture(LEVELS, 2, "logistics")
