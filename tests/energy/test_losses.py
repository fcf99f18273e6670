"""The ten losses: their values and slopes where all energies are equal, and which of them open a gap from there."""

from __future__ import annotations

import math

import pytest
import torch

from hexad.energy.losses import DECISION_LOSSES, decision_loss, most_offending

K, C = 4, 0.3  # answers, their common energy
FLAT = {  # loss at equal energies with m = 1 and beta = 1
    "energy": C,
    "perceptron": 0.0,
    "hinge": 1.0,
    "log": math.log(2),
    "lvq2": 0.0,
    "mce": 0.5,
    "square-square": C**2 + (1 - C) ** 2,
    "square-exponential": C**2 + math.exp(-C),
    "nll": math.log(K),
    "mee": 1 - 1 / K,
}
SLOPE = {  # of the right answer's energy there, and the sum over the wrong ones, among which a tie is shared
    "energy": (1.0, 0.0),
    "perceptron": (1 - 1 / K, -(K - 1) / K),
    "hinge": (1.0, -1.0),
    "log": (0.5, -0.5),
    "lvq2": (0.0, 0.0),
    "mce": (0.25, -0.25),
    "square-square": (2 * C, -2 * (1 - C)),
    "square-exponential": (2 * C, -math.exp(-C)),
    "nll": (1 - 1 / K, -(K - 1) / K),
    "mee": ((1 - 1 / K) / K, -(K - 1) / K**2),
}


@pytest.mark.parametrize("name", DECISION_LOSSES)
def test_values_and_slopes_where_all_energies_are_equal(name: str) -> None:
    energies = torch.full((2, K), C, dtype=torch.float64, requires_grad=True)
    loss = decision_loss(name, energies, torch.tensor([1, 3]))
    assert loss.tolist() == pytest.approx([FLAT[name]] * 2)
    (slope,) = torch.autograd.grad(loss[0], energies)
    right, wrong = SLOPE[name]
    assert float(slope[0, 1]) == pytest.approx(right)
    assert float(slope[0].sum() - slope[0, 1]) == pytest.approx(wrong)
    assert slope[1].abs().sum() == 0


@pytest.mark.parametrize("name", DECISION_LOSSES)
def test_descent_from_equal_energies_opens_a_gap_where_the_table_says_so(name: str) -> None:
    energies, answers = torch.full((1, K), C, dtype=torch.float64, requires_grad=True), torch.tensor([2])
    for _ in range(2000):
        (slope,) = torch.autograd.grad(decision_loss(name, energies, answers).sum(), energies)
        with torch.no_grad():
            energies -= 0.05 * slope
    gap = float((most_offending(energies, answers) - energies[0, 2]).detach())
    loss = DECISION_LOSSES[name]
    if loss.margin == "m":
        assert gap == pytest.approx(1.0, abs=0.06)
    elif loss.separates:
        assert gap > 1
    elif name == "lvq2":
        assert gap == 0
    elif name == "perceptron":  # a subgradient among ties moves it to another minimum of the same loss
        assert float(decision_loss(name, energies, answers).detach()) == 0
    else:  # the energy loss falls for ever and learns nothing of the wrong answers
        assert float(energies[0, 0].detach()) == C


def test_the_most_offending_answer_is_a_wrong_one() -> None:
    energies = torch.tensor([[0.0, 5.0, 2.0], [3.0, 1.0, 4.0]])
    assert most_offending(energies, torch.tensor([0, 0])).tolist() == [2.0, 1.0]


def test_margins_are_those_of_the_table() -> None:
    margins = {name: loss.margin for name, loss in DECISION_LOSSES.items()}
    assert margins == {
        "energy": "none",
        "perceptron": "0",
        "hinge": "m",
        "log": "positive",
        "lvq2": "0",
        "mce": "positive",
        "square-square": "m",
        "square-exponential": "positive",
        "nll": "positive",
        "mee": "positive",
    }
    assert sum(loss.separates for loss in DECISION_LOSSES.values()) == 7


@pytest.mark.parametrize(
    ("name", "energies", "answers", "words"),
    [
        ("hinges", torch.zeros(1, 2), torch.zeros(1).long(), "unknown loss 'hinges'; did you mean 'hinge'"),
        ("hinge", torch.zeros(1, 1), torch.zeros(1).long(), "at least 2"),
        ("hinge", torch.zeros(3), torch.zeros(3).long(), r"expected \(batch, answers\)"),
        ("hinge", torch.zeros(2, 3), torch.zeros(3).long(), r"got \(2, 3\) and \(3,\)"),
    ],
)
def test_wrong_arguments_are_told(name: str, energies: torch.Tensor, answers: torch.Tensor, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decision_loss(name, energies, answers)
