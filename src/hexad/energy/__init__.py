"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.rbm import RBM

__all__ = ["EBM", "RBM", "EnergyModel", "Partition"]
