"""Normalizing flows."""

from hexad.flow.base import Flow
from hexad.flow.realnvp import RealNVP

__all__ = ["Flow", "RealNVP"]
