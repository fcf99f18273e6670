"""Normalizing flows."""

from hexad.flow.argmax import Argmax, Signs
from hexad.flow.base import Flow
from hexad.flow.bases import Circular, Mixture, StandardNormal, Student
from hexad.flow.dequantisation import Dequantisation
from hexad.flow.distribution import FlowDistribution
from hexad.flow.ffjord import FFJORD
from hexad.flow.gaussianization import GaussianizationFlow
from hexad.flow.glow import Glow
from hexad.flow.iaf import IAF
from hexad.flow.maf import MAF
from hexad.flow.multiscale import MultiscaleFlow
from hexad.flow.nice import NICE
from hexad.flow.nsf import NSF
from hexad.flow.planar import PlanarFlow
from hexad.flow.radial import RadialFlow
from hexad.flow.realnvp import MultiscaleRealNVP, RealNVP
from hexad.flow.residual import ResidualFlow
from hexad.flow.surjection import SurjectiveFlow
from hexad.flow.sylvester import SylvesterFlow
from hexad.flow.variational import EnergyFit, FlowBridge, annealed_log_z, fit_to_energy, importance_log_weights

__all__ = [
    "FFJORD",
    "IAF",
    "MAF",
    "NICE",
    "NSF",
    "Argmax",
    "Circular",
    "Dequantisation",
    "EnergyFit",
    "Flow",
    "FlowBridge",
    "FlowDistribution",
    "GaussianizationFlow",
    "Glow",
    "Mixture",
    "MultiscaleFlow",
    "MultiscaleRealNVP",
    "PlanarFlow",
    "RadialFlow",
    "RealNVP",
    "ResidualFlow",
    "Signs",
    "StandardNormal",
    "Student",
    "SurjectiveFlow",
    "SylvesterFlow",
    "annealed_log_z",
    "fit_to_energy",
    "importance_log_weights",
]
