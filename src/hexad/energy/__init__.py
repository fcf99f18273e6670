"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.boltzmann import BoltzmannMachine
from hexad.energy.bounded import BoundedEnergy
from hexad.energy.class_rbm import ClassRBM
from hexad.energy.dbm import DBM
from hexad.energy.ebm import EBM
from hexad.energy.gaussian_rbm import GaussianRBM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.mean_field import mean_field, mean_field_bound, tap, tap_log_z
from hexad.energy.potts_rbm import PottsRBM
from hexad.energy.rbm import RBM
from hexad.energy.restricted import RestrictedMachine

__all__ = [
    "DBM",
    "DECISION_LOSSES",
    "EBM",
    "RBM",
    "BoltzmannMachine",
    "BoundedEnergy",
    "ClassRBM",
    "EnergyModel",
    "GaussianRBM",
    "MaxwellBoltzmann",
    "Partition",
    "PottsRBM",
    "RestrictedMachine",
    "decision_loss",
    "mean_field",
    "mean_field_bound",
    "tap",
    "tap_log_z",
]
