"""Normalizing flows."""

from hexad.flow.base import Flow
from hexad.flow.bases import Mixture, StandardNormal, Student
from hexad.flow.gaussianization import GaussianizationFlow
from hexad.flow.iaf import IAF
from hexad.flow.maf import MAF
from hexad.flow.nice import NICE
from hexad.flow.nsf import NSF
from hexad.flow.realnvp import RealNVP

__all__ = [
    "IAF",
    "MAF",
    "NICE",
    "NSF",
    "Flow",
    "GaussianizationFlow",
    "Mixture",
    "RealNVP",
    "StandardNormal",
    "Student",
]
