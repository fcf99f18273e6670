"""Informed changes of discrete states: the exact matrix of transitions on small spaces, and the kernel's own."""

from __future__ import annotations

import itertools

import pytest
import torch

from hexad.mcmc import evaluator, gibbs_with_gradients
from hexad.mcmc.gibbs_with_gradients import changed, log_acceptance, log_proposal
from hexad.randomness import stream

TEMPERATURE = 0.8
ONE = torch.ones(1, dtype=torch.float64)


def interacting(columns, cubic):
    """Return an energy with couplings of all pairs, fields, and a cube, at which a first order is only a guess."""
    generator = stream(0, "couplings", columns)
    w = 0.8 * torch.randn(columns, columns, generator=generator, dtype=torch.float64).triu(1)
    b, c = torch.randn(2, columns, generator=generator, dtype=torch.float64)
    return lambda x: -((x @ w) * x).sum(1) - x @ b + cubic * (x @ c).pow(3)


def ising():
    """Four zeros and ones."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=torch.float64), None


def potts():
    """Three variables of three levels, one-hot."""
    levels = torch.tensor(list(itertools.product(range(3), repeat=3)))
    return torch.nn.functional.one_hot(levels, 3).flatten(1).double(), 3


def transitions(states, evaluate, levels):
    """Return the matrix of transitions, by running through every change of every state."""
    n, moves = states.shape
    rows, move = torch.arange(n).repeat_interleave(moves), torch.arange(moves).repeat(n)
    log_q = log_proposal(evaluate(states), ONE, levels, TEMPERATURE)
    real = log_q.flatten().isfinite()
    rows, move = rows[real], move[real]
    point, proposed = evaluate(states[rows]), evaluate(changed(states[rows], move, levels))
    accept = log_acceptance(point, proposed, move, ONE, levels, TEMPERATURE, log_q[rows]).exp().clamp(max=1)
    place = (proposed.x[:, None] == states).all(2).long().argmax(1)
    matrix = torch.zeros(n, n, dtype=torch.float64)
    matrix.index_put_((rows, place), log_q[rows, move].exp() * accept, accumulate=True)
    return matrix + torch.diag(1 - matrix.sum(1))


@pytest.mark.parametrize("cubic", [0.0, 0.3])
@pytest.mark.parametrize("space", [ising, potts])
def test_transitions_balance_in_detail(space, cubic):
    states, levels = space()
    evaluate = evaluator(interacting(states.shape[1], cubic))
    law = torch.softmax(-evaluate(states).energies[0] / TEMPERATURE, 0)
    matrix = transitions(states, evaluate, levels)
    flow = law[:, None] * matrix
    assert float((flow - flow.T).abs().max()) < 1e-14
    # it reaches every state, and one unit or variable changes at a time
    assert float(torch.linalg.matrix_power(matrix, 200).sub(law).abs().max()) < 0.05
    neighbours = ((states[:, None] != states).sum(2) <= (1 if levels is None else 2)).double()
    assert float((matrix * (1 - neighbours)).abs().max()) == 0.0


@pytest.mark.parametrize("space", [ising, potts])
def test_the_kernel_has_these_transitions(space):
    states, levels = space()
    evaluate, n = evaluator(interacting(states.shape[1], 0.3)), 4000
    matrix = transitions(states, evaluate, levels)
    point, accept = gibbs_with_gradients(
        evaluate(states.repeat_interleave(n, 0)),
        evaluate,
        ONE,
        levels=levels,
        temperature=TEMPERATURE,
        generator=stream(1),
    )
    place = (point.x @ (2.0 ** torch.arange(states.shape[1], dtype=torch.float64))).round()
    code = (states @ (2.0 ** torch.arange(states.shape[1], dtype=torch.float64))).round()
    found = (place.view(-1, n)[:, :, None] == code).double().mean(1)
    assert float(((found - matrix).abs() - 5 * (matrix * (1 - matrix) / n).sqrt()).max()) < 1e-3
    assert 0.3 < float(accept.mean()) < 0.99
    torch.testing.assert_close(evaluate(point.x).energies, point.energies)


def test_a_linear_energy_is_accepted_as_the_sums_of_both_proposals_say():
    b = torch.randn(6, generator=stream(3), dtype=torch.float64)
    evaluate = evaluator(lambda x: x @ b)
    start = (torch.rand(200, 6, generator=stream(4)) < 0.5).double()

    def total(x):
        return torch.exp(b * (2 * x - 1) / (2 * TEMPERATURE)).sum(1)

    log_q = log_proposal(evaluate(start), ONE, None, TEMPERATURE)
    move = torch.arange(200) % 6
    end = changed(start, move, None)
    log_ratio = log_acceptance(evaluate(start), evaluate(end), move, ONE, None, TEMPERATURE, log_q)
    torch.testing.assert_close(log_ratio, (total(start) / total(end)).log())


def test_changes_of_independent_units_are_informed():
    # one unit of two can gain: it is the one that is drawn
    evaluate = evaluator(lambda x: 40 * x[:, 0])
    point, _ = gibbs_with_gradients(evaluate(torch.ones(50, 2)), evaluate, torch.ones(1), generator=stream(2))
    assert torch.equal(point.x, torch.tensor([0.0, 1.0]).expand(50, 2))
