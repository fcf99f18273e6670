"""Markov kernels, one file each, chains and what they are worth, and annealing between two laws.

Steps and temperatures are arguments, always.
"""

from hexad.mcmc.adaptation import StepAdaptation
from hexad.mcmc.annealed_sampler import annealed_log_density
from hexad.mcmc.annealing import Bridge, LogMean, anneal, increments, log_mean
from hexad.mcmc.bridge_sampling import Sandwich, bennett, sandwich
from hexad.mcmc.chains import Chains, run_chains
from hexad.mcmc.diagnostics import autocorrelation_time, effective_sample_size, r_hat, thinned
from hexad.mcmc.gibbs import bernoulli, block_gibbs
from hexad.mcmc.gibbs_with_gradients import gibbs_with_gradients
from hexad.mcmc.gradient import ClosedForm, EnergyFunction, evaluator, value_and_gradient
from hexad.mcmc.hmc import hmc, leapfrog
from hexad.mcmc.independence import independence
from hexad.mcmc.kernels import KERNELS, Kernel
from hexad.mcmc.mala import mala
from hexad.mcmc.point import Evaluate, Point
from hexad.mcmc.scan import scan_gibbs
from hexad.mcmc.schedule import adapted_times, uniform_times
from hexad.mcmc.site_gibbs import site_gibbs
from hexad.mcmc.tempering import Tempered, bridge_weights, inverse_temperatures, parallel_tempering, swap
from hexad.mcmc.ula import langevin, langevin_path

__all__ = [
    "KERNELS",
    "Bridge",
    "Chains",
    "ClosedForm",
    "EnergyFunction",
    "Evaluate",
    "Kernel",
    "LogMean",
    "Point",
    "Sandwich",
    "StepAdaptation",
    "Tempered",
    "adapted_times",
    "anneal",
    "annealed_log_density",
    "autocorrelation_time",
    "bennett",
    "bernoulli",
    "block_gibbs",
    "bridge_weights",
    "effective_sample_size",
    "evaluator",
    "gibbs_with_gradients",
    "hmc",
    "increments",
    "independence",
    "inverse_temperatures",
    "langevin",
    "langevin_path",
    "leapfrog",
    "log_mean",
    "mala",
    "parallel_tempering",
    "r_hat",
    "run_chains",
    "sandwich",
    "scan_gibbs",
    "site_gibbs",
    "swap",
    "thinned",
    "uniform_times",
    "value_and_gradient",
]
