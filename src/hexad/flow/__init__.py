"""Normalizing flows."""

from hexad.flow.argmax import Argmax, Signs
from hexad.flow.base import Flow
from hexad.flow.bases import Mixture, StandardNormal, Student
from hexad.flow.dequantisation import Dequantisation
from hexad.flow.maf import MAF
from hexad.flow.nsf import NSF
from hexad.flow.realnvp import RealNVP
from hexad.flow.surjection import SurjectiveFlow

__all__ = [
    "MAF",
    "NSF",
    "Argmax",
    "Dequantisation",
    "Flow",
    "Mixture",
    "RealNVP",
    "Signs",
    "StandardNormal",
    "Student",
    "SurjectiveFlow",
]
