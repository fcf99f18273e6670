"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.energy_discrepancy import EnergyDiscrepancy
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maximum_likelihood import MaximumLikelihood
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.noise_contrastive import NoiseContrastive
from hexad.energy.objectives import Objective
from hexad.energy.rbm import RBM
from hexad.energy.score_matching import DenoisingScoreMatching, ImplicitScoreMatching, SlicedScoreMatching

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "RBM",
    "DenoisingScoreMatching",
    "EnergyDiscrepancy",
    "EnergyModel",
    "ImplicitScoreMatching",
    "MaximumLikelihood",
    "MaxwellBoltzmann",
    "NoiseContrastive",
    "Objective",
    "Partition",
    "SlicedScoreMatching",
    "decision_loss",
]
