"""Energy-based models."""

from hexad.energy.algebra import Potential, Solvable, product
from hexad.energy.analytic import Banana, DoubleWell, Gaussian, gaussian_mixture
from hexad.energy.annealed import EnergyBridge, annealed_partition, annealed_sampler_likelihood
from hexad.energy.base import EnergyModel, Partition
from hexad.energy.boltzmann import BoltzmannMachine
from hexad.energy.bounded import BoundedEnergy
from hexad.energy.class_rbm import ClassRBM
from hexad.energy.dbm import DBM
from hexad.energy.decision import ConditionalEnergy
from hexad.energy.ebm import EBM
from hexad.energy.energy_discrepancy import EnergyDiscrepancy
from hexad.energy.function import potential
from hexad.energy.gaussian_rbm import GaussianRBM
from hexad.energy.ising import Ising, onsager
from hexad.energy.jem import JEM
from hexad.energy.losses import DECISION_LOSSES, decision_loss
from hexad.energy.maximum_likelihood import MaximumLikelihood
from hexad.energy.maxwell_boltzmann import MaxwellBoltzmann
from hexad.energy.mdsm import MultiscaleEnergy
from hexad.energy.mean_field import mean_field, mean_field_bound, tap, tap_log_z
from hexad.energy.mixing import mixture
from hexad.energy.noise_contrastive import NoiseContrastive
from hexad.energy.objectives import Objective
from hexad.energy.partition import log_partition
from hexad.energy.potts_rbm import PottsRBM
from hexad.energy.rbm import RBM
from hexad.energy.restricted import RestrictedMachine
from hexad.energy.score_matching import DenoisingScoreMatching, ImplicitScoreMatching, SlicedScoreMatching
from hexad.energy.searches import SEARCHES, Answers, gradient, search_answers
from hexad.energy.tilt import Tilt, exp

__all__ = [
    "DBM",
    "DECISION_LOSSES",
    "EBM",
    "JEM",
    "RBM",
    "SEARCHES",
    "Answers",
    "Banana",
    "BoltzmannMachine",
    "BoundedEnergy",
    "ClassRBM",
    "ConditionalEnergy",
    "DenoisingScoreMatching",
    "DoubleWell",
    "EnergyBridge",
    "EnergyDiscrepancy",
    "EnergyModel",
    "Gaussian",
    "GaussianRBM",
    "ImplicitScoreMatching",
    "Ising",
    "MaximumLikelihood",
    "MaxwellBoltzmann",
    "MultiscaleEnergy",
    "NoiseContrastive",
    "Objective",
    "Partition",
    "Potential",
    "PottsRBM",
    "RestrictedMachine",
    "SlicedScoreMatching",
    "Solvable",
    "Tilt",
    "annealed_partition",
    "annealed_sampler_likelihood",
    "decision_loss",
    "exp",
    "gaussian_mixture",
    "gradient",
    "log_partition",
    "mean_field",
    "mean_field_bound",
    "mixture",
    "onsager",
    "potential",
    "product",
    "search_answers",
    "tap",
    "tap_log_z",
]
