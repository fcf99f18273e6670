"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.decision import ConditionalEnergy
from hexad.energy.ebm import EBM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.rbm import RBM
from hexad.energy.searches import SEARCHES, Answers, gradient, search_answers

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "RBM",
    "SEARCHES",
    "Answers",
    "ConditionalEnergy",
    "EnergyModel",
    "MaxwellBoltzmann",
    "Partition",
    "decision_loss",
    "gradient",
    "search_answers",
]
