"""Diffusion models."""

from hexad.diffusion.base import BoundTerms, Diffusion
from hexad.diffusion.ddpm import DDPM, Denoiser
from hexad.diffusion.samplers import DDIM, Ancestral, Sampler
from hexad.diffusion.schedules import Schedule, cosine, linear, log_snr_linear

__all__ = [
    "DDIM",
    "DDPM",
    "Ancestral",
    "BoundTerms",
    "Denoiser",
    "Diffusion",
    "Sampler",
    "Schedule",
    "cosine",
    "linear",
    "log_snr_linear",
]
