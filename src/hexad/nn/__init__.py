"""Networks. They know nothing of probability."""

from hexad.nn.convolution import ConvNet
from hexad.nn.gated import GatedMLP
from hexad.nn.lipschitz import LipschitzMLP
from hexad.nn.masked import IncrementalPass, MaskedLinear, MaskedMLP
from hexad.nn.masks import Masks
from hexad.nn.mlp import MLP, ResidualMLP

__all__ = [
    "MLP",
    "ConvNet",
    "GatedMLP",
    "IncrementalPass",
    "LipschitzMLP",
    "MaskedLinear",
    "MaskedMLP",
    "Masks",
    "ResidualMLP",
]
