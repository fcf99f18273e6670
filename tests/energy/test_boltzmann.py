"""The Boltzmann machine against enumeration."""

from __future__ import annotations

import math

import pytest
import torch

from exact import states
from hexad.energy import RBM, BoltzmannMachine
from hexad.event import Event
from hexad.mcmc import scan_gibbs
from hexad.randomness import fork, stream


def machine(dims=5, hidden=0, scale=0.8, seed=0, **options):
    """A float64 machine with biases and couplings of some size."""
    with fork(seed):
        model = BoltzmannMachine(Event.of(dims, "binary"), hidden, **options).double()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=scale)
    return model


def joint_law(model):
    return torch.softmax(-model.joint_energy(states(len(model.bias))), 0).detach()


def filled_chains(model, copies=40_000):
    """Put the model's own law into its chains; return how far rounding takes them off it."""
    law = joint_law(model)
    counts = (law * copies).round().long()
    model.chain_states = states(len(model.bias)).repeat_interleave(counts, 0)
    return float((counts / counts.sum() - law).abs().max())


def test_ring_of_spins_is_solved():
    """The Ising ring by its transfer matrix: log Z = log(l1^n + l2^n) with l = 2 cosh K, 2 sinh K."""
    n, strength = 8, 0.7
    model = machine(n)
    i, j = model.pairs
    ring = ((j - i == 1) | (j - i == n - 1)).double()
    # K s s' with spins s = 2 x - 1 is 4 K x x' - 2 K (x + x') + K
    with torch.no_grad():
        model.coupling.copy_(4 * strength * ring)
        model.bias.fill_(-4 * strength)
    known = math.log((2 * math.cosh(strength)) ** n + (2 * math.sinh(strength)) ** n)
    assert model.log_partition().value + n * strength == pytest.approx(known, abs=1e-9)


@pytest.mark.parametrize("hidden", [0, 3])
def test_log_likelihood_is_exact_by_enumeration(hidden):
    model = machine(5, hidden)
    stated = model.log_likelihood(states(5))
    assert stated.kind == "exact"
    assert float(stated.value.exp().sum()) == pytest.approx(1, abs=1e-9)
    law = joint_law(model).reshape(2**hidden, 32).sum(0)
    assert torch.allclose(stated.value.exp(), law)


def test_it_is_a_restricted_machine_where_one_side_is_hidden_and_nothing_is_lateral():
    model = machine(4, 3)
    with fork(0):
        restricted = RBM(Event.of(4, "binary"), 3).double()
    between = (model.pairs[0] < 4) & (model.pairs[1] >= 4)
    with torch.no_grad():
        model.coupling.mul_(between)
        restricted.weight.copy_(model.matrix()[:4, 4:])
        restricted.visible_bias.copy_(model.bias[:4])
        restricted.hidden_bias.copy_(model.bias[4:])
    assert torch.allclose(model.energy(states(4)), restricted.energy(states(4)))
    assert model.log_partition().value == pytest.approx(restricted.log_partition().value, abs=1e-9)


@pytest.mark.parametrize("hidden", [0, 2])
def test_gradient_is_that_of_the_cross_entropy(hidden):
    model = machine(5, hidden)
    rounding = filled_chains(model)
    p = torch.softmax(torch.randn(32, generator=stream(1)).double(), 0)
    v, parameters = states(5), list(model.parameters())
    exact = torch.autograd.grad(p @ model.energy(v) + torch.logsumexp(-model.energy(v), 0), parameters)
    found = torch.autograd.grad((p * model.loss(v)).sum(), parameters)
    for a, b in zip(found, exact, strict=True):
        assert torch.allclose(a, b, atol=2 ** (5 + hidden) * rounding)
        assert float(b.abs().max()) > 0.02


def test_gradient_is_the_difference_of_correlations():
    model, x = machine(5), states(5)[7:20]
    model.loss(x).mean().backward()
    i, j = model.pairs
    chains = model.chain_states
    expected = (chains[:, i] * chains[:, j]).mean(0) - (x[:, i] * x[:, j]).mean(0)
    assert torch.allclose(model.coupling.grad, expected)
    assert torch.allclose(model.bias.grad, chains.mean(0) - x.mean(0))


@pytest.mark.parametrize("hidden", [0, 2])
def test_gradient_is_zero_at_the_truth(hidden):
    model = machine(4, hidden)
    rounding = filled_chains(model)
    law = joint_law(model).reshape(2**hidden, 16).sum(0)
    (law * model.loss(states(4))).sum().backward()
    assert all(float(p.grad.abs().max()) < 2 ** (4 + hidden) * rounding for p in model.parameters())


@pytest.mark.parametrize("order", ["sequential", "random"])
def test_sweep_follows_its_transition_matrix_which_leaves_the_law_alone(order):
    """From each state the sweep lands as the product of site kernels says; that product keeps p, and moves others."""
    n = 3
    model, s = machine(n, scale=1.5), states(n)
    law = joint_law(model)
    kernels = []
    for site in range(n):
        same = torch.stack([s[:, i] for i in range(n) if i != site], 1)
        block = (same[:, None] == same[None]).all(2).double()
        kernels.append(block * law / (block @ law)[:, None])
    orders = (
        [(0, 1, 2)] if order == "sequential" else [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    )
    matrix = torch.stack([kernels[a] @ kernels[b] @ kernels[c] for a, b, c in orders]).mean(0)
    assert torch.allclose(law @ matrix, law)
    if order == "random":  # detailed balance
        flow = law[:, None] * matrix
        assert torch.allclose(flow, flow.T)
    copies, generator = s.repeat_interleave(50, 0), stream(2)
    bias, coupling = model.bias.detach(), model.matrix().detach()
    counts, repeats = torch.zeros(8, 8).double(), 400
    for _ in range(repeats):
        moved = scan_gibbs(copies, bias, coupling, order=order, generator=generator)
        codes = (moved @ torch.tensor([1.0, 2, 4]).double()).long().reshape(8, 50)
        counts += torch.stack([torch.bincount(row, minlength=8) for row in codes])
    draws = 50 * repeats if order == "sequential" else repeats  # the rows of a sweep share its order
    error = (counts / (50 * repeats) - matrix).abs() / (matrix * (1 - matrix) / draws).sqrt()
    assert float(error.max()) < 4.5
    if order == "random":
        in_turn = kernels[0] @ kernels[1] @ kernels[2]
        assert float(((in_turn - matrix).abs() / (matrix * (1 - matrix) / draws).sqrt()).max()) > 4.5


def test_sweeps_leave_the_law_of_many_units_invariant():
    model = machine(6, 2, scale=1.0)
    filled_chains(model, 200_000)
    law = joint_law(model)
    moved = model.sweep(model.chain_states, 3, stream(3))
    counts = torch.bincount((moved @ (2.0 ** torch.arange(8)).double()).long(), minlength=256)
    n = counts.sum()
    chi2 = float(((counts - n * law).square() / (n * law)).sum())
    assert chi2 < 255 + 5 * math.sqrt(2 * 255)
    biased = scan_gibbs(model.chain_states, model.bias.detach() + 0.1, model.matrix().detach(), generator=stream(4))
    counts = torch.bincount((biased @ (2.0 ** torch.arange(8)).double()).long(), minlength=256)
    assert float(((counts - n * law).square() / (n * law)).sum()) > 1000


def test_interval_holds_the_enumerated_value(monkeypatch):
    model = machine(9, scale=0.6)
    model.prepare((torch.rand(50, 9, generator=stream(7)) < 0.4).double(), generator=stream(7))
    model.chain_states = model.sweep(model.chain_states, 50, stream(8))
    x, exact = states(9)[:40], model.log_partition().value
    monkeypatch.setattr("hexad.energy.boltzmann._ENUMERATED", 5)
    stated = model.log_likelihood(x, budget=60)
    log_p = -model.energy(x).detach() - exact
    assert (stated.kind, stated.confidence) == ("interval", 0.95)
    assert torch.all((stated.low < log_p) & (log_p < stated.high))
    assert float((stated.high - stated.low).max()) < 0.5


def test_beyond_summing_the_hidden_units_log_p_is_bounded_below(monkeypatch):
    model, v = machine(6, 4, scale=0.7), states(6)
    exact_energy, exact = model.energy(v).detach(), model.log_likelihood(v)
    monkeypatch.setattr("hexad.energy.boltzmann._SUMMED", 2)
    bounded = model.log_likelihood(v)
    assert bounded.kind == "lower_bound"
    assert "mean-field lower bound over the hidden units" in bounded.protocol
    gap = model.energy(v).detach() - exact_energy
    assert float(gap.min()) > -1e-12
    assert 1e-4 < float(gap.mean()) < 0.1
    assert torch.allclose(exact.value - bounded.value, gap)
    monkeypatch.setattr("hexad.energy.boltzmann._ENUMERATED", 5)
    model.chain_states = model.sweep(model.chain_states, 50, stream(8))
    annealed = model.log_likelihood(v, budget=40)
    assert annealed.kind == "lower_bound"
    assert "at the low end of the interval" in annealed.protocol
    (log_z,) = model._partitions.values()
    assert log_z.high > log_z.value
    assert torch.allclose(annealed.value, -model.energy(v).detach() - log_z.high)
    assert torch.all(annealed.value < exact.value)
    with torch.no_grad():
        found = model.validate(v)
    assert found.name.startswith("mean-field bound of log_prob, annealed")


def test_gradient_of_the_bound_is_that_of_autograd_at_fixed_means(monkeypatch):
    monkeypatch.setattr("hexad.energy.boltzmann._SUMMED", 2)
    model, v = machine(4, 3, scale=0.5, updates=200), states(4)
    model.energy(v).sum().backward()
    found = model.coupling.grad.clone()
    step = 1e-5
    for pair in range(len(found)):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                model.coupling[pair] += sign * step
                values.append(float(model.energy(v).sum()))
                model.coupling[pair] -= sign * step
        assert float(found[pair]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6)


def test_pseudo_likelihood_is_the_sum_of_the_conditionals():
    model, x = machine(4, objective="pseudo"), states(4)
    law = joint_law(model)
    conditionals = torch.zeros(16).double()
    for site in range(4):
        flipped = x.clone()
        flipped[:, site] = 1 - x[:, site]
        codes = (flipped @ torch.tensor([1.0, 2, 4, 8]).double()).long()
        conditionals += torch.log(law / (law + law[codes]))
    assert torch.allclose(model.log_pseudo_likelihood(x), conditionals)


def test_pseudo_likelihood_finds_the_couplings_that_made_the_data():
    """Besag's consistency: with every state weighted by the true law the maximum is the truth."""
    truth, model = machine(5, scale=0.8), machine(5, scale=0.0, objective="pseudo")
    law, x = joint_law(truth), states(5)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, tolerance_grad=1e-9, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        value = (law * model.loss(x)).sum()
        value.backward()
        return value

    optimizer.step(closure)
    assert torch.allclose(model.coupling, truth.coupling, atol=1e-5)
    assert torch.allclose(model.bias, truth.bias, atol=1e-5)
    assert model.negatives() is None


@pytest.mark.parametrize("hidden", [0, 2])
def test_training_reaches_the_data(hidden):
    with fork(8):
        model = BoltzmannMachine(Event.of(6, "binary"), hidden)
    generator = stream(8)  # three equal pairs of fair bits: 3 log 2 nats
    x = (torch.rand(512, 3, generator=generator) < 0.5).float().repeat(1, 2)
    model.prepare(x, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 0.03, fused=True)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 400)
        batch = x[torch.randint(512, (100,), generator=generator)]
        optimizer.zero_grad()
        model.loss(batch, generator=generator).mean().backward()
        optimizer.step()
        model.after_step(batch, generator=generator)
    with torch.no_grad():
        found = model.validate(x)
    assert found.name == "log_prob"
    assert -3 * math.log(2) - 0.5 < found.value < -3 * math.log(2) + 0.1
    pairs = model.sample(500, generator=generator)
    assert float((pairs[:, :3] == pairs[:, 3:]).float().mean()) > 0.85


def test_what_it_cannot_take_is_said():
    with pytest.raises(ValueError, match="takes binary columns"):
        BoltzmannMachine(Event.of(3, "real"))
    with pytest.raises(ValueError, match="likelihood or pseudo, got 'mple'"):
        BoltzmannMachine(Event.of(3, "binary"), objective="mple")
    with pytest.raises(ValueError, match="without hidden units, got hidden=2"):
        BoltzmannMachine(Event.of(3, "binary"), 2, objective="pseudo")
    assert "visible=3, hidden=2, objective=likelihood, k=1" in repr(BoltzmannMachine(Event.of(3, "binary"), 2))
