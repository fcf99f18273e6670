"""Energy-based models."""

from hexad.energy.algebra import Potential, Solvable, product
from hexad.energy.analytic import Banana, DoubleWell, Gaussian, gaussian_mixture
from hexad.energy.base import EnergyModel, Partition
from hexad.energy.ebm import EBM
from hexad.energy.function import potential
from hexad.energy.ising import Ising, onsager
from hexad.energy.jem import JEM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.mdsm import MultiscaleEnergy
from hexad.energy.mixing import mixture
from hexad.energy.partition import log_partition
from hexad.energy.rbm import RBM
from hexad.energy.tilt import Tilt, exp

__all__ = [
    "DECISION_LOSSES",
    "EBM",
    "JEM",
    "RBM",
    "Banana",
    "DoubleWell",
    "EnergyModel",
    "Gaussian",
    "Ising",
    "MaxwellBoltzmann",
    "MultiscaleEnergy",
    "Partition",
    "Potential",
    "Solvable",
    "Tilt",
    "decision_loss",
    "exp",
    "gaussian_mixture",
    "log_partition",
    "mixture",
    "onsager",
    "potential",
    "product",
]
