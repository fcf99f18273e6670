"""Markov kernels, one file each, and annealing between two laws. Steps and temperatures are arguments, always."""

from hexad.mcmc.annealing import Bridge, LogMean, Sandwich, anneal, log_mean, sandwich
from hexad.mcmc.gibbs import bernoulli, block_gibbs
from hexad.mcmc.langevin import Point, independence, langevin, mala
from hexad.mcmc.scan import scan_gibbs

__all__ = [
    "Bridge",
    "LogMean",
    "Point",
    "Sandwich",
    "anneal",
    "bernoulli",
    "block_gibbs",
    "independence",
    "langevin",
    "log_mean",
    "mala",
    "sandwich",
    "scan_gibbs",
]
