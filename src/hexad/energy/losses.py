r"""Losses for energy-based decisions (A tutorial on energy-based learning; LeCun et al., 2006).

A decision is the answer of least energy, :math:`Y^* = \operatorname{argmin}_Y E(Y, X)`. A loss has to make the right
answer's energy :math:`E` the least: lower than :math:`\bar E`, that of the *most offending wrong answer*, by a margin.
Not each of the ten does. The energy loss only pushes down and separates nothing; the perceptron's and LVQ2's are at
their minimum where all energies are equal, a collapse that an architecture must rule out; the other seven open a gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from hexad.checks import choose

__all__ = ["DECISION_LOSSES", "DecisionLoss", "decision_loss", "most_offending"]


@dataclass(frozen=True)
class DecisionLoss:
    """A row of the paper's table.

    Args:
        name: of the loss.
        formula: in E, the right answer's energy, and Ē, that of the most offending wrong one.
        margin: the gap between them that the loss asks for, in words: ``none``, ``0``, ``m``, ``positive``.
        function: ``f(right, wrong, energies, m, beta)``, a number a record.
    """

    name: str
    formula: str
    margin: str
    function: Callable[[Tensor, Tensor, Tensor, float, float], Tensor]

    @property
    def separates(self) -> bool:
        """Whether equal energies are no minimum, so that training opens a gap."""
        return self.margin in ("m", "positive")


_TABLE = (
    DecisionLoss("energy", "E", "none", lambda right, wrong, all_, m, beta: right),
    DecisionLoss("perceptron", "E - min E(Y)", "0", lambda right, wrong, all_, m, beta: right - all_.amin(1)),
    DecisionLoss("hinge", "max(0, m + E - Ē)", "m", lambda right, wrong, all_, m, beta: (m + right - wrong).relu()),
    DecisionLoss("log", "log(1 + exp(E - Ē))", "positive", lambda right, wrong, all_, m, beta: softplus(right - wrong)),
    DecisionLoss(
        "lvq2", "min(m, max(0, E - Ē))", "0", lambda right, wrong, all_, m, beta: (right - wrong).relu().clamp(max=m)
    ),
    DecisionLoss(
        "mce", "1 / (1 + exp(Ē - E))", "positive", lambda right, wrong, all_, m, beta: torch.sigmoid(right - wrong)
    ),
    DecisionLoss(
        "square-square",
        "E² + max(0, m - Ē)²",
        "m",
        lambda right, wrong, all_, m, beta: right.square() + (m - wrong).relu().square(),
    ),
    DecisionLoss(
        "square-exponential",
        "E² + β exp(-Ē)",
        "positive",
        lambda right, wrong, all_, m, beta: right.square() + beta * torch.exp(-wrong),
    ),
    DecisionLoss(
        "nll",
        "E + log(sum exp(-β E(Y))) / β",
        "positive",
        lambda right, wrong, all_, m, beta: right + torch.logsumexp(-beta * all_, 1) / beta,
    ),
    DecisionLoss(
        "mee",
        "1 - exp(-β E) / sum exp(-β E(Y))",
        "positive",
        lambda right, wrong, all_, m, beta: 1 - torch.exp(-beta * right - torch.logsumexp(-beta * all_, 1)),
    ),
)
DECISION_LOSSES: dict[str, DecisionLoss] = {loss.name: loss for loss in _TABLE}


def most_offending(energies: Tensor, answers: Tensor) -> Tensor:
    """Return the least energy of a wrong answer, (batch,).

    Args:
        energies: of every answer, (batch, answers), at least two of them.
        answers: the right ones, (batch,).
    """
    right = torch.zeros_like(energies, dtype=torch.bool).scatter(1, answers[:, None], True)
    return energies.masked_fill(right, torch.inf).amin(1)


def decision_loss(name: str, energies: Tensor, answers: Tensor, *, m: float = 1.0, beta: float = 1.0) -> Tensor:
    """Return a loss of each record, (batch,).

    Args:
        name: one of :data:`DECISION_LOSSES`.
        energies: E(Y, X) of every answer Y, (batch, answers), at least two of them.
        answers: the right ones, (batch,), in 0 to answers - 1.
        m: the margin; of LVQ2 where it saturates.
        beta: inverse temperature of ``nll`` and ``mee``, weight of the second term of ``square-exponential``.

    Raises:
        ValueError: no such loss (the nearest is named), or energies that are no table of at least two answers.
    """
    loss = DECISION_LOSSES[choose(name, DECISION_LOSSES, "loss")]
    if energies.dim() != 2 or energies.shape[1] < 2 or answers.shape != energies.shape[:1]:
        shapes = f"{tuple(energies.shape)} and {tuple(answers.shape)}"
        raise ValueError(f"energies: expected (batch, answers) with (batch,) right ones, at least 2, got {shapes}")
    right = energies.gather(1, answers[:, None])[:, 0]
    return loss.function(right, most_offending(energies, answers), energies, m, beta)
