"""Networks. They know nothing of probability."""

from hexad.nn.gated import GatedMLP
from hexad.nn.masked import IncrementalPass, MaskedLinear, MaskedMLP
from hexad.nn.mlp import MLP, ResidualMLP

__all__ = ["MLP", "GatedMLP", "IncrementalPass", "MaskedLinear", "MaskedMLP", "ResidualMLP"]
