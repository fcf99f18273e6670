"""Chains as a user runs them: known laws, and every complaint in one line."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.checks import InputError
from hexad.mcmc import independence, run_chains
from hexad.nn.scalar import ScalarMLP
from hexad.randomness import stream

from targets import TiltedWell, quantile_errors  # isort: skip


def bowl(x):
    return x.square().sum(1) / 2


@pytest.mark.parametrize(("kernel", "temperature"), [("mala", 1.0), ("hmc", 1.0), ("mala", 1.5), ("hmc", 0.7)])
def test_metropolis_chains_have_the_quantiles_of_a_tilted_double_well(kernel, temperature):
    start = 0.8 * torch.randn(4000, 1, generator=stream(0))
    found = run_chains(
        TiltedWell(), start, kernel=kernel, steps=20, thin=20, warmup=150, temperature=temperature, generator=stream(1)
    )
    assert float(quantile_errors(found.draws[-1, :, 0], temperature).abs().max()) < 4


def test_independent_proposals_have_the_quantiles_of_a_tilted_double_well():
    generator, well = stream(14), TiltedWell()
    point = well.point(1.2 * torch.randn(4000, 1, generator=generator))
    for _ in range(30):
        drawn = well.point(1.2 * torch.randn(4000, 1, generator=generator))
        point, _ = independence(
            point, drawn, lambda at: 0.5 * (at.x[:, 0] / 1.2).square() - at.energies[0], generator=generator
        )
    assert float(quantile_errors(point.x[:, 0]).abs().max()) < 4


@pytest.mark.parametrize("kernel", ["mala", "hmc"])
def test_metropolis_chains_have_the_moments_of_a_gaussian(kernel):
    covariance = torch.tensor([[2.0, 0.9], [0.9, 0.5]])
    precision, mean = torch.linalg.inv(covariance), torch.tensor([3.0, -1.0])
    found = run_chains(
        lambda x: ((x - mean) @ precision * (x - mean)).sum(1) / 2,
        torch.zeros(500, 2),
        kernel=kernel,
        steps=100,
        warmup=150,
        generator=stream(2),
    )
    error = (covariance.diagonal() / found.effective_sample_size).sqrt()
    assert float(((found.flat.mean(0) - mean) / error).abs().max()) < 4
    torch.testing.assert_close(found.flat.T.cov(), covariance, rtol=0.06, atol=0.02)


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_ula_has_its_known_wrong_variance_in_closed_form_and_by_autograd(spread):
    class Gaussian:
        def value_and_gradient(self, x):
            return x.square().sum(1) / (2 * spread**2), x / spread**2

    step, start = spread**2, torch.zeros(2000, 1)
    options = {"kernel": "ula", "steps": 40, "thin": 10, "warmup": 40, "step": step}
    found = run_chains(Gaussian(), start, generator=stream(3), **options)
    known = spread**2 / (1 - step / (4 * spread**2))
    assert found.draws.shape == (4, 2000, 1)
    assert float(found.draws.var()) == pytest.approx(known, rel=5 * math.sqrt(2 / 8000))
    again = run_chains(lambda x: x.square().sum(1) / (2 * spread**2), start, generator=stream(3), **options)
    torch.testing.assert_close(again.draws, found.draws)


def test_ula_takes_the_steps_that_thin_names():
    options = {"kernel": "ula", "steps": 12, "warmup": 0, "step": 0.1}
    every = run_chains(bowl, torch.ones(20, 2), generator=stream(4), **options)
    some = run_chains(bowl, torch.ones(20, 2), thin=5, generator=stream(4), **options)
    assert torch.equal(some.draws, every.draws[[4, 9]])


def test_binary_chains_have_the_enumerated_law():
    w = torch.randn(3, 3, generator=stream(5)).triu(1)
    states = torch.tensor([[(i >> j) & 1 for j in range(3)] for i in range(8)]).float()

    def energy(x):
        return -((x @ w) * x).sum(1) - 0.5 * x.sum(1)

    found = run_chains(
        energy, torch.zeros(4000, 3), kernel="gibbs-with-gradients", steps=1, warmup=60, generator=stream(6)
    )
    known = torch.softmax(-energy(states), 0)
    share = torch.bincount((found.flat @ torch.tensor([1.0, 2.0, 4.0])).long(), minlength=8) / 4000
    assert float(((share - known) / (known * (1 - known) / 4000).sqrt()).abs().max()) < 4
    assert math.isnan(found.step)
    assert "step" not in repr(found)


class Bowl:
    def value_and_gradient(self, x):
        return bowl(x), x


def test_the_repr_tells_and_warns():
    start = torch.randn(8, 2, generator=stream(7))
    good = run_chains(Bowl(), start, steps=1000, generator=stream(8))
    assert repr(good).startswith("Chains(mala, 1000 draws of 8 chains, 2 columns, step ")
    assert "acceptance 0.5" in repr(good)
    assert "run longer" not in repr(good)
    assert len(good.thinned()) < 8000 / float((8000 / good.effective_sample_size).max())
    apart = run_chains(lambda x: bowl(x) * 1e-4, 100 * start, step=0.1, warmup=0, steps=100, generator=stream(8))
    assert "(above 1.01: run longer)" in repr(apart)
    assert "too few draws to judge" in repr(run_chains(bowl, start, steps=3, warmup=9, generator=stream(8)))


def test_chains_are_equal_for_equal_generators_and_new_for_none():
    start = torch.zeros(3, 2)
    one, two = (run_chains(bowl, start, steps=5, warmup=5, generator=stream(9)).draws for _ in range(2))
    assert torch.equal(one, two)
    before = torch.get_rng_state()
    assert not torch.equal(run_chains(bowl, start, steps=5, warmup=5).draws, one)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(start, torch.zeros(3, 2))


def test_a_network_with_its_gradient_is_an_energy():
    network = ScalarMLP(2, (8,))
    torch.nn.init.normal_(network.last.weight)
    options = {"kernel": "ula", "steps": 4, "warmup": 0, "step": 0.1}
    ours = run_chains(network, torch.ones(5, 2), generator=stream(10), **options)
    theirs = run_chains(lambda x: network(x), torch.ones(5, 2), generator=stream(10), **options)
    torch.testing.assert_close(ours.draws, theirs.draws)
    assert not ours.draws.requires_grad


class Model(torch.nn.Module):
    def energy(self, x):
        return bowl(x)


class WrongShapes:
    def value_and_gradient(self, x):
        return x.sum(), x


START = torch.randn(6, 2, generator=stream(11))


def nan_somewhere(x):
    return torch.where(torch.arange(len(x)) < 2, math.nan, bowl(x))


@pytest.mark.parametrize(
    ("energy", "options", "words"),
    [
        (lambda x: x.square(), {}, "energy: expected one number a state, shape (6,), got shape (6, 2)"),
        (lambda x: x.square().sum(), {}, "energy: expected one number a state, shape (6,), got shape ()"),
        (lambda x: 1.0, {}, "energy: expected one number a state, shape (6,), got float"),
        (nan_somewhere, {}, "energy: NaN or infinite, or its gradient is, where 2 of 6 chains start; start elsewhere"),
        (lambda x: bowl(x.detach()), {}, "energy: its value has no gradient in the states"),
        (Model(), {}, "energy: expected a function of states, got a model; give its method, model.energy"),
        ("bowl", {}, "energy: expected a function of states, got str"),
        (WrongShapes(), {}, "value_and_gradient: expected shapes (6,) and (6, 2), got () and (6, 2)"),
        (
            bowl,
            {"start": torch.zeros(6)},
            "start: expected floats of shape (chains, columns), got float32 of shape (6,)",
        ),
        (bowl, {"start": torch.zeros(6, 2).long()}, "expected floats of shape (chains, columns), got int64"),
        (bowl, {"start": [[0.0]]}, "start: expected a tensor of shape (chains, columns), got list"),
        (bowl, {"kernel": "mla"}, "unknown kernel 'mla'; did you mean 'mala'?"),
        (bowl, {"kernel": "gibbs-with-gradients"}, "start: gibbs-with-gradients takes zeros and ones"),
        (bowl, {"kernel": "ula"}, "step: ula has no acceptance to adapt to; give step=..., or take kernel='mala'"),
        (bowl, {"warmup": 0}, "step: it is found in warm-up, and warmup is 0"),
        (bowl, {"steps": 0}, "steps: expected at least 1, got 0"),
        (bowl, {"steps": 3, "thin": 5}, "thin: expected at most steps=3, got 5"),
        (bowl, {"step": math.nan}, "step: expected a number above 0, got nan"),
        (bowl, {"temperature": 0.0}, "temperature: expected a number above 0, got 0.0"),
        (
            bowl,
            {"step": 1e4},
            "step: at 10000 0 % of the proposals are accepted, and chains stand still",
        ),
        (bowl, {"kernel": "hmc", "step": 50.0}, "step: at 50 0 % of the proposals are accepted"),
        (
            bowl,
            {"kernel": "ula", "step": 4.4},
            "step: at 4.4 ula ran away in 6 of 6 chains; give a smaller step",
        ),
        (lambda x: x.pow(4).sum(1), {"kernel": "ula", "step": 2.0}, "step: at 2 ula ran away in 6 of 6 chains"),
    ],
)
def test_every_complaint_is_one_line(energy, options, words):
    given = {"steps": 60, "warmup": 60, "generator": stream(12)} | options
    start = given.pop("start", START)
    with pytest.raises(InputError) as error:
        run_chains(energy, start, **given)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("step", [0.01, 2.0])
def test_a_stable_ula_is_left_alone_wherever_it_starts(step):
    far = 1000 * START
    assert run_chains(bowl, far, kernel="ula", step=step, steps=30, warmup=0, generator=stream(13)).step == step
