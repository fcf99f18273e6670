"""Normalizing flows."""

from hexad.flow.base import Flow
from hexad.flow.bases import Mixture, StandardNormal, Student
from hexad.flow.ffjord import FFJORD
from hexad.flow.maf import MAF
from hexad.flow.nsf import NSF
from hexad.flow.realnvp import RealNVP

__all__ = ["FFJORD", "MAF", "NSF", "Flow", "Mixture", "RealNVP", "StandardNormal", "Student"]
