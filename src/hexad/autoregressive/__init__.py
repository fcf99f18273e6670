"""Autoregressive models: each column given those before it."""

from hexad.autoregressive.ar import AR
from hexad.autoregressive.base import Autoregressive, Forecaster
from hexad.autoregressive.committee import Committee
from hexad.autoregressive.decoding import Decoding
from hexad.autoregressive.deepar import DeepAR
from hexad.autoregressive.ensemble import EnsembleMADE
from hexad.autoregressive.eonade import EoNADE
from hexad.autoregressive.lstm import LSTM
from hexad.autoregressive.made import MADE
from hexad.autoregressive.nade import NADE
from hexad.autoregressive.neural import CausalNetwork, NeuralForecaster
from hexad.autoregressive.ngram import NGram
from hexad.autoregressive.pixelcnn import PixelCNN
from hexad.autoregressive.pixelcnn_pp import PixelCNNPP
from hexad.autoregressive.rnade import RNADE
from hexad.autoregressive.row_lstm import RowLSTM
from hexad.autoregressive.transformer import Transformer
from hexad.autoregressive.var import VAR
from hexad.autoregressive.wavenet import WaveNet

__all__ = [
    "AR",
    "LSTM",
    "MADE",
    "NADE",
    "RNADE",
    "VAR",
    "Autoregressive",
    "CausalNetwork",
    "Committee",
    "Decoding",
    "DeepAR",
    "EnsembleMADE",
    "EoNADE",
    "Forecaster",
    "NGram",
    "NeuralForecaster",
    "PixelCNN",
    "PixelCNNPP",
    "RowLSTM",
    "Transformer",
    "WaveNet",
]
