"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.gaussian_rbm import GaussianRBM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.potts_rbm import PottsRBM
from hexad.energy.rbm import RBM
from hexad.energy.restricted import RestrictedMachine

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "RBM",
    "EnergyModel",
    "GaussianRBM",
    "MaxwellBoltzmann",
    "Partition",
    "PottsRBM",
    "RestrictedMachine",
    "decision_loss",
]
