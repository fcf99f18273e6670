"""Invertible maps with log-determinants: the parts of preprocessing and of flows, one file each."""

from hexad.transforms.affine import ActNorm, Affine
from hexad.transforms.autoregressive import Autoregressive
from hexad.transforms.base import Compose, Transform
from hexad.transforms.circular import CircularSpline
from hexad.transforms.coupling import AffineCoupling, Coupling, SplineCoupling, coupling_masks
from hexad.transforms.elementwise import AdditiveMap, AffineMap, Elementwise
from hexad.transforms.gaussianization import Gaussianization
from hexad.transforms.householder import Householder
from hexad.transforms.inverse import Inverse
from hexad.transforms.logit import Logit
from hexad.transforms.lu import LULinear
from hexad.transforms.permutation import Permutation
from hexad.transforms.preprocessing import Preprocessing, Scheme
from hexad.transforms.sigmoidal import Sigmoidal
from hexad.transforms.spline import Spline

__all__ = [
    "ActNorm",
    "AdditiveMap",
    "Affine",
    "AffineCoupling",
    "AffineMap",
    "Autoregressive",
    "CircularSpline",
    "Compose",
    "Coupling",
    "Elementwise",
    "Gaussianization",
    "Householder",
    "Inverse",
    "LULinear",
    "Logit",
    "Permutation",
    "Preprocessing",
    "Scheme",
    "Sigmoidal",
    "Spline",
    "SplineCoupling",
    "Transform",
    "coupling_masks",
]
