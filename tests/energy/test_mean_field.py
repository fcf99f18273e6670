"""Mean-field approximations against enumeration."""

from __future__ import annotations

import torch

from exact import states
from hexad.energy import mean_field, mean_field_bound, tap, tap_log_z
from hexad.energy.mean_field import entropy
from hexad.randomness import stream


def pairwise(n=6, scale=1.0, seed=0):
    generator = stream(seed)
    raw = scale * torch.randn(n, n, generator=generator).double()
    return torch.randn(n, generator=generator).double(), torch.triu(raw, 1) + torch.triu(raw, 1).T


def known_log_z(bias, coupling):
    s = states(len(bias))
    return torch.logsumexp(s @ bias + 0.5 * (s @ coupling * s).sum(1), 0)


def test_entropy_of_independent_units():
    m = torch.tensor([0.5, 0.0, 1.0]).double()
    assert torch.allclose(entropy(m), torch.tensor(2.0).double().log())


def test_every_product_law_bounds_log_z_from_below():
    bias, coupling = pairwise()
    m = torch.rand(200, 6, generator=stream(1)).double()
    log_z = known_log_z(bias, coupling)
    bounds = mean_field_bound(bias, coupling, m)
    best = mean_field_bound(bias, coupling, mean_field(bias, coupling, steps=200))
    assert float(bounds.max()) < float(best) < float(log_z)


def test_the_bound_is_tight_without_couplings():
    bias, coupling = pairwise(scale=0.0)
    m = mean_field(bias, coupling)
    assert torch.allclose(m, torch.sigmoid(bias))
    assert torch.allclose(mean_field_bound(bias, coupling, m), known_log_z(bias, coupling))


def test_means_are_stationary():
    bias, coupling = pairwise()
    m = mean_field(bias, coupling, steps=500).requires_grad_()
    (slope,) = torch.autograd.grad(mean_field_bound(bias, coupling, m), m)
    assert float(slope.abs().max()) < 1e-8


def test_rows_are_machines_of_their_own():
    _, coupling = pairwise()
    bias = torch.randn(4, 6, generator=stream(2)).double()
    together = mean_field(bias, coupling)
    assert torch.allclose(together, torch.stack([mean_field(row, coupling) for row in bias]))


def test_orders_of_the_errors_in_the_couplings():
    """Halving J divides the bound's gap by 4 (second order) and TAP's by 8 (third); its means solve its equations."""
    bias, coupling = pairwise(scale=0.05)
    gaps = {"mean field": [], "tap": []}
    for scale in (1.0, 0.5):
        j = scale * coupling
        log_z = known_log_z(bias, j)
        gaps["mean field"].append(float(log_z - mean_field_bound(bias, j, mean_field(bias, j, steps=300))))
        m = tap(bias, j, steps=300)
        gaps["tap"].append(abs(float(log_z - tap_log_z(bias, j, m))))
    assert 3.7 < gaps["mean field"][0] / gaps["mean field"][1] < 4.3
    assert 6 < gaps["tap"][0] / gaps["tap"][1] < 10
    assert gaps["tap"][0] < 0.1 * gaps["mean field"][0]


def test_tap_means_are_stationary_and_near_the_true_ones():
    bias, coupling = pairwise(scale=0.3)
    m = tap(bias, coupling, steps=300).requires_grad_()
    (slope,) = torch.autograd.grad(tap_log_z(bias, coupling, m), m)
    assert float(slope.abs().max()) < 1e-8
    s = states(6)
    law = torch.softmax(s @ bias + 0.5 * (s @ coupling * s).sum(1), 0)
    truth = law @ s
    assert float((m.detach() - truth).abs().max()) < 0.5 * float((mean_field(bias, coupling) - truth).abs().max())
