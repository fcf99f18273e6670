"""Networks. They know nothing of probability."""

from hexad.nn.convolution import ConvNet
from hexad.nn.gated import GatedMLP
from hexad.nn.key_value_cache import KeyValueCache
from hexad.nn.lipschitz import LipschitzMLP
from hexad.nn.masked import IncrementalPass, MaskedLinear, MaskedMLP
from hexad.nn.masks import Masks
from hexad.nn.mlp import MLP, ResidualMLP
from hexad.nn.pixel import IncrementalPixelPass, PixelNet
from hexad.nn.raster import RasterPass
from hexad.nn.recurrent import CompactLSTM, Recurrent
from hexad.nn.row_lstm import RowLSTMNet
from hexad.nn.transformer import Transformer

__all__ = [
    "MLP",
    "CompactLSTM",
    "ConvNet",
    "GatedMLP",
    "IncrementalPass",
    "IncrementalPixelPass",
    "KeyValueCache",
    "LipschitzMLP",
    "MaskedLinear",
    "MaskedMLP",
    "Masks",
    "PixelNet",
    "RasterPass",
    "Recurrent",
    "ResidualMLP",
    "RowLSTMNet",
    "Transformer",
]
