"""Energy-based models."""

from hexad.energy.annealed import EnergyBridge, annealed_partition, annealed_sampler_likelihood
from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.rbm import RBM
from hexad.energy.restricted import RestrictedMachine

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "RBM",
    "EnergyBridge",
    "EnergyModel",
    "MaxwellBoltzmann",
    "Partition",
    "RestrictedMachine",
    "annealed_partition",
    "annealed_sampler_likelihood",
    "decision_loss",
]
