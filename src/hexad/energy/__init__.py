"""Energy-based models."""

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.jem import JEM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.mdsm import MultiscaleEnergy
from hexad.energy.rbm import RBM

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "JEM",
    "RBM",
    "EnergyModel",
    "MaxwellBoltzmann",
    "MultiscaleEnergy",
    "Partition",
    "decision_loss",
]
