"""Markov kernels, one file each, and annealing between two laws. Steps and temperatures are arguments, always."""

from hexad.mcmc.annealed_sampler import annealed_log_density
from hexad.mcmc.annealing import Bridge, LogMean, anneal, increments, log_mean
from hexad.mcmc.bridge_sampling import Sandwich, bennett, sandwich
from hexad.mcmc.gibbs import bernoulli, block_gibbs
from hexad.mcmc.langevin import Point, independence, langevin, mala
from hexad.mcmc.schedule import adapted_times, uniform_times

__all__ = [
    "Bridge",
    "LogMean",
    "Point",
    "Sandwich",
    "adapted_times",
    "anneal",
    "annealed_log_density",
    "bennett",
    "bernoulli",
    "block_gibbs",
    "increments",
    "independence",
    "langevin",
    "log_mean",
    "mala",
    "sandwich",
    "uniform_times",
]
