"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.rbm import RBM

__all__ = ["EBM", "RBM", "EnergyModel", "MaxwellBoltzmann", "Partition"]
