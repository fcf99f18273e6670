"""Continuous flows: the trace against autodiff, its estimate, fixed against adaptive steps, and the stated error."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from hexad.nn import GatedMLP
from hexad.ode import rk4
from hexad.randomness import fork, stream
from hexad.transforms import Continuous


def _noisy(module, size: float = 0.3):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(size * torch.randn_like(parameter))
    return module.double()


def _network(hidden: tuple[int, ...], features: int = 4, context: int = 0) -> GatedMLP:
    with fork(0):
        return _noisy(GatedMLP(features, hidden, context=context))


def _records(n: int, features: int = 4) -> Tensor:
    return torch.randn(n, features, generator=stream(1), dtype=torch.float64)


@pytest.mark.parametrize("hidden", [(7,), (7, 6), (7, 6, 5)])
@pytest.mark.parametrize("context", [0, 2])
def test_the_trace_is_that_of_the_jacobian(hidden, context, monkeypatch):
    monkeypatch.setattr("hexad.nn.gated.COLUMNS", 3)  # two pieces, where there is no closed form
    network, x = _network(hidden, context=context), _records(3)
    given, t = torch.ones(3, context).double() if context else None, torch.rand(3, 1).double()
    v, trace = network.with_trace(given)(t, x)
    jacobian = torch.autograd.functional.jacobian(lambda x: network(t, x, given).sum(0), x).permute(1, 0, 2)
    torch.testing.assert_close(trace[:, 0], jacobian.diagonal(dim1=1, dim2=2).sum(1))
    torch.testing.assert_close(v, network(t, x, given))
    probe = _records(3).flip(0)
    _, projected = network.with_probe(probe, given)(t, x)
    torch.testing.assert_close(projected[:, 0], torch.einsum("bi,bij,bj->b", probe, jacobian, probe))


def test_a_network_of_time_and_context():
    network, x = _network((7, 6), context=2), _records(1)
    at = [network(torch.full((1, 1), t).double(), x) for t in (0.0, 0.4, 1.0)]
    assert all((a - b).abs().min() > 1e-3 for a, b in pairwise(at))
    torch.testing.assert_close(at[0], network(torch.zeros(1, 1).double(), x, torch.zeros(1, 2).double()))
    assert (network(torch.zeros(1, 1).double(), x, torch.ones(1, 2).double()) - at[0]).abs().min() > 1e-3


def _transform(trace: str, hidden: tuple[int, ...] = (7, 6), tolerance: float = 1e-11, steps: int = 8) -> Continuous:
    with fork(0):
        return _noisy(Continuous(4, hidden, trace=trace, tolerance=tolerance, steps=steps))  # type: ignore[arg-type]


def test_there_and_back_with_the_determinants_of_the_jacobians():
    transform, x = _transform("exact", hidden=(5, 4), tolerance=1e-9), _records(2)
    z, log_det = transform.forward_and_log_det(x)
    back, again = transform.inverse_and_log_det(z)
    torch.testing.assert_close(back, x, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(again, -log_det, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(transform.inverse(z), x, rtol=1e-7, atol=1e-7)
    jacobian = torch.autograd.functional.jacobian(lambda x: transform.carried(x, 1.0, 0.0).sum(0), x).permute(1, 0, 2)
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet, rtol=1e-6, atol=1e-6)


def test_fixed_steps_come_near_the_adaptive_solver():
    transform, x = _transform("exact", steps=40), _records(6)
    z, log_det = transform.forward_and_log_det(x)
    near, estimate = transform.estimate_log_det(x)
    torch.testing.assert_close(near, z, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(estimate, log_det, rtol=1e-5, atol=1e-6)
    assert log_det.abs().mean() > 0.1


@pytest.mark.parametrize("hidden", [(7, 6), (7, 6, 5)])
def test_the_estimate_of_the_log_determinant_is_unbiased(hidden):
    transform, x = _transform("hutchinson", hidden, steps=20), _records(2)
    with torch.no_grad():
        exact = transform.forward_and_log_det(x)[1]
        found = transform.estimate_log_det(x.repeat(4000, 1), generator=stream(0))[1].reshape(4000, 2)
    error = found.std(0) / 4000**0.5
    assert (error > 1e-4).all()
    assert ((found.mean(0) - exact).abs() < 4 * error + 1e-5).all()


def test_the_energy_is_that_of_the_way():
    transform, x = _transform("exact", steps=20), _records(3)
    way = transform.trained(x)
    z, energy = way.z, way.energy
    assert (energy >= (z - x).square().sum(1) - 1e-6).all()  # a straight way at constant speed has the least
    assert (energy < 3 * (z - x).square().sum(1)).all()


def test_gradients_are_the_same_with_the_memory_saved(monkeypatch):
    transform, x = _transform("exact"), _records(3)
    grads = []
    for save in (False, True):
        monkeypatch.setattr(
            "hexad.transforms.continuous.rk4", lambda *a, save_memory, save=save: rk4(*a, save_memory=save)
        )
        z, log_det = transform.estimate_log_det(x)
        grads.append(torch.autograd.grad((z.square().sum(1) - log_det).sum(), list(transform.parameters())))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_it_starts_as_the_identity_and_names_its_trace():
    x = torch.randn(3, 4)
    z, log_det = Continuous(4, (8, 8)).forward_and_log_det(x)
    assert torch.equal(z, x)
    assert not log_det.any()
    assert Continuous(4, (8, 8)).trace == "exact"
    assert Continuous(4, (8, 8, 8)).trace == "hutchinson"
    with pytest.raises(ValueError, match="expected exact or hutchinson"):
        Continuous(4, trace="none")  # type: ignore[arg-type]
