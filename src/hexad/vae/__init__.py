"""Variational autoencoders."""

from hexad.vae.base import Likelihood, Posterior, Prior
from hexad.vae.likelihoods import BernoulliLikelihood, LogisticLikelihood, NormalLikelihood, likelihood_for
from hexad.vae.vae import VAE, DiagonalPosterior, StandardPrior

__all__ = [
    "VAE",
    "BernoulliLikelihood",
    "DiagonalPosterior",
    "Likelihood",
    "LogisticLikelihood",
    "NormalLikelihood",
    "Posterior",
    "Prior",
    "StandardPrior",
    "likelihood_for",
]
