"""Ways from noise to data, one file each."""

from hexad.diffusion.samplers.ancestral import Ancestral
from hexad.diffusion.samplers.base import Sampler, Steps
from hexad.diffusion.samplers.ddim import DDIM

__all__ = ["DDIM", "Ancestral", "Sampler", "Steps"]
