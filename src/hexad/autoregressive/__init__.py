"""Autoregressive models: each column given those before it."""

from hexad.autoregressive.ar import AR
from hexad.autoregressive.base import Autoregressive, Forecaster
from hexad.autoregressive.deepar import DeepAR
from hexad.autoregressive.ensemble import EnsembleMADE
from hexad.autoregressive.eonade import EoNADE
from hexad.autoregressive.made import MADE
from hexad.autoregressive.nade import NADE
from hexad.autoregressive.neural import CausalNetwork, NeuralForecaster
from hexad.autoregressive.pixelcnn import PixelCNN
from hexad.autoregressive.transformer import Transformer
from hexad.autoregressive.var import VAR
from hexad.autoregressive.wavenet import WaveNet

__all__ = [
    "AR",
    "MADE",
    "NADE",
    "VAR",
    "Autoregressive",
    "CausalNetwork",
    "DeepAR",
    "EnsembleMADE",
    "EoNADE",
    "Forecaster",
    "NeuralForecaster",
    "PixelCNN",
    "Transformer",
    "WaveNet",
]
