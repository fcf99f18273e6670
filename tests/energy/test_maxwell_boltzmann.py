"""Speeds of noble gases: the closed form against quadrature and tables, the chains against the closed form."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import kstest

from hexad.energy.maxwell_boltzmann import MASSES, MaxwellBoltzmann, SpeedEnergy, VelocityEnergy
from hexad.randomness import stream

SPEEDS = {  # mode, mean, root mean square at 298.15 K in m/s
    "4He": (1113.0, 1255.8, 1363.1),
    "20Ne": (498.0, 561.9, 609.9),
    "40Ar": (352.2, 397.4, 431.4),
    "132Xe": (193.9, 218.8, 237.4),
}


@pytest.mark.parametrize("gas", MASSES)
def test_the_closed_form_has_the_known_speeds_and_integrates_to_one(gas: str) -> None:
    law = MaxwellBoltzmann.of(gas)
    assert [round(speed, 1) for speed in (law.mode, law.mean, law.root_mean_square)] == list(SPEEDS[gas])
    v = torch.linspace(0, 14 * law.scale, 200_001, dtype=torch.float64)
    p = law.log_prob(v).exp()
    step = float(v[1])
    assert float(p.sum()) * step == pytest.approx(1, abs=1e-9)
    assert float((p * v).sum()) * step == pytest.approx(law.mean, rel=1e-9)
    assert float((p * v.square()).sum()) * step == pytest.approx(law.root_mean_square**2, rel=1e-9)
    assert float(v[p.argmax()]) == pytest.approx(law.mode, abs=step)
    x = v[1:-1:500].clone().requires_grad_()
    (slope,) = torch.autograd.grad(law.cdf(x).sum(), x)
    torch.testing.assert_close(slope, law.log_prob(x).exp().detach(), rtol=1e-7, atol=1e-12)
    assert float(law.log_prob(torch.tensor(-1.0))) == -math.inf


@pytest.mark.parametrize("space", ["velocity", "speed"])
def test_chains_on_the_energy_have_the_law(space: str) -> None:
    law = MaxwellBoltzmann.of("40Ar")
    v = law.sample(4000, space=space, generator=stream(0, "gas", space))  # type: ignore[arg-type]
    assert kstest(v.numpy(), lambda x: law.cdf(torch.from_numpy(x)).numpy()).pvalue > 0.01
    warmer = MaxwellBoltzmann.of("40Ar", 330.0)
    assert kstest(v.numpy(), lambda x: warmer.cdf(torch.from_numpy(x)).numpy()).pvalue < 1e-4


@pytest.mark.parametrize("space", ["velocity", "speed"])
@pytest.mark.parametrize("gas", MASSES)
def test_thinned_chains_have_the_law_of_every_gas(gas: str, space: str) -> None:
    law = MaxwellBoltzmann.of(gas)
    found = law.chains(100, space=space, steps=400, generator=stream(1, gas, space))  # type: ignore[arg-type]
    v = found.thinned()[:, 0]
    assert len(v) > 1500
    assert float(found.r_hat) < 1.05
    assert kstest(v.numpy(), lambda x: law.cdf(torch.from_numpy(x)).numpy()).pvalue > 0.01
    warmer = MaxwellBoltzmann.of(gas, 330.0)
    assert kstest(v.numpy(), lambda x: warmer.cdf(torch.from_numpy(x)).numpy()).pvalue < 0.01
    assert float(v.square().mean().sqrt()) == pytest.approx(law.root_mean_square, rel=0.03)


def test_both_energies_have_their_closed_gradients_and_refuse_no_speed() -> None:
    for energy, columns in ((VelocityEnergy(), 3), (SpeedEnergy(), 1)):
        x = torch.rand(20, columns, generator=stream(2), dtype=torch.float64).add(0.1).requires_grad_()
        value, slope = energy.value_and_gradient(x)
        torch.testing.assert_close(torch.autograd.grad(value.sum(), x)[0], slope)
    law = MaxwellBoltzmann(1.0, 1.0)
    torch.testing.assert_close(value, law.energy(law.scale * x[:, 0]))
    assert SpeedEnergy().value_and_gradient(torch.tensor([[-1.0], [0.0]]))[0].tolist() == [math.inf] * 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MaxwellBoltzmann(-1.0), "mass: expected a number above 0, got -1.0"),
        (lambda: MaxwellBoltzmann(1e-26, math.nan), "temperature: expected a number above 0, got nan"),
        (lambda: MaxwellBoltzmann.of("4he"), "unknown gas '4he'; did you mean '4He'"),
        (lambda: MaxwellBoltzmann.of("4He").sample(2, space="momentum"), "unknown space 'momentum'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_are_told(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        make()
