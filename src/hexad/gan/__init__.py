"""Generative adversarial networks."""

from hexad.gan.base import LOSSES, AdversarialLoss, gradient_penalty
from hexad.gan.gan import GAN

__all__ = ["GAN", "LOSSES", "AdversarialLoss", "gradient_penalty"]
