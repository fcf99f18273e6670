"""Closed-form baselines: what every trained model has to beat."""

from hexad.baselines.chow_liu import ChowLiu
from hexad.baselines.dequantised import Dequantised
from hexad.baselines.gaussian import Gaussian
from hexad.baselines.gmm import GaussianMixture
from hexad.baselines.independent import Independent
from hexad.baselines.resample import Resample

__all__ = ["ChowLiu", "Dequantised", "Gaussian", "GaussianMixture", "Independent", "Resample"]
