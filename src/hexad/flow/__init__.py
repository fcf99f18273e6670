"""Normalizing flows."""

from hexad.flow.base import Flow
from hexad.flow.bases import Mixture, StandardNormal, Student
from hexad.flow.glow import Glow
from hexad.flow.maf import MAF
from hexad.flow.nsf import NSF
from hexad.flow.realnvp import RealNVP

__all__ = ["MAF", "NSF", "Flow", "Glow", "Mixture", "RealNVP", "StandardNormal", "Student"]
