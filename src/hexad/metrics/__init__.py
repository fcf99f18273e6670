"""Measures of samples beside real records: offline, on any data, each between its floor and its baseline."""

from hexad.metrics.base import Measure, SampleMetric, Score
from hexad.metrics.classifier import ClassifierTest
from hexad.metrics.copies import Copies
from hexad.metrics.coverage import Coverage
from hexad.metrics.crps import gaussian_crps, sample_crps
from hexad.metrics.mmd import KernelDistance
from hexad.metrics.roc import AUROC, auroc
from hexad.metrics.yardstick import METRICS, Yardstick

__all__ = [
    "AUROC",
    "METRICS",
    "ClassifierTest",
    "Copies",
    "Coverage",
    "KernelDistance",
    "Measure",
    "SampleMetric",
    "Score",
    "Yardstick",
    "auroc",
    "gaussian_crps",
    "sample_crps",
]
