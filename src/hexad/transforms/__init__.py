"""Invertible maps with log-determinants: the parts of preprocessing and of flows, one file each."""

from hexad.transforms.affine import ActNorm, Affine
from hexad.transforms.autoregressive import Autoregressive
from hexad.transforms.base import Compose, Transform
from hexad.transforms.continuous import Continuous
from hexad.transforms.coupling import AffineCoupling, Coupling, SplineCoupling, coupling_masks
from hexad.transforms.elementwise import AffineMap, Elementwise
from hexad.transforms.logit import Logit
from hexad.transforms.lu import LULinear
from hexad.transforms.permutation import Permutation
from hexad.transforms.preprocessing import Preprocessing, Scheme
from hexad.transforms.spline import Spline

__all__ = [
    "ActNorm",
    "Affine",
    "AffineCoupling",
    "AffineMap",
    "Autoregressive",
    "Compose",
    "Continuous",
    "Coupling",
    "Elementwise",
    "LULinear",
    "Logit",
    "Permutation",
    "Preprocessing",
    "Scheme",
    "Spline",
    "SplineCoupling",
    "Transform",
    "coupling_masks",
]
