"""Autoregressive models: each column given those before it."""

from hexad.autoregressive.ar import AR
from hexad.autoregressive.base import Autoregressive, Forecaster
from hexad.autoregressive.ensemble import EnsembleMADE
from hexad.autoregressive.eonade import EoNADE
from hexad.autoregressive.made import MADE
from hexad.autoregressive.nade import NADE
from hexad.autoregressive.pixelcnn import PixelCNN
from hexad.autoregressive.rnade import RNADE
from hexad.autoregressive.transformer import Transformer
from hexad.autoregressive.var import VAR

__all__ = [
    "AR",
    "MADE",
    "NADE",
    "RNADE",
    "VAR",
    "Autoregressive",
    "EnsembleMADE",
    "EoNADE",
    "Forecaster",
    "PixelCNN",
    "Transformer",
]
