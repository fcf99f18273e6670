"""Normalizing flows."""

from hexad.flow.base import Flow
from hexad.flow.bases import Mixture, StandardNormal, Student
from hexad.flow.maf import MAF
from hexad.flow.nsf import NSF
from hexad.flow.planar import PlanarFlow
from hexad.flow.radial import RadialFlow
from hexad.flow.realnvp import RealNVP
from hexad.flow.sylvester import SylvesterFlow

__all__ = [
    "MAF",
    "NSF",
    "Flow",
    "Mixture",
    "PlanarFlow",
    "RadialFlow",
    "RealNVP",
    "StandardNormal",
    "Student",
    "SylvesterFlow",
]
