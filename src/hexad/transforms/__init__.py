"""Invertible maps with log-determinants: the parts of preprocessing and of flows, one file each."""

from hexad.transforms.affine import ActNorm, Affine
from hexad.transforms.autoregressive import Autoregressive
from hexad.transforms.base import Compose, Transform
from hexad.transforms.bounded import Bounded
from hexad.transforms.checkerboard import CheckerboardCoupling
from hexad.transforms.circular import CircularSpline
from hexad.transforms.continuous import Continuous
from hexad.transforms.convolution import InvertibleConv
from hexad.transforms.coupling import AffineCoupling, Coupling, SplineCoupling, coupling_masks
from hexad.transforms.elementwise import AdditiveMap, AffineMap, Elementwise
from hexad.transforms.gaussianization import Gaussianization
from hexad.transforms.householder import Householder
from hexad.transforms.integral import Integral
from hexad.transforms.inverse import Inverse
from hexad.transforms.logit import Logit
from hexad.transforms.lu import LULinear
from hexad.transforms.part import Part
from hexad.transforms.permutation import Permutation
from hexad.transforms.planar import Planar
from hexad.transforms.preprocessing import Preprocessing, Scheme
from hexad.transforms.radial import Radial
from hexad.transforms.reshape import Flatten, Squeeze, Unflatten
from hexad.transforms.residual import Residual
from hexad.transforms.sigmoidal import Sigmoidal
from hexad.transforms.softplus import Softplus
from hexad.transforms.spline import Spline
from hexad.transforms.sylvester import Sylvester

__all__ = [
    "ActNorm",
    "AdditiveMap",
    "Affine",
    "AffineCoupling",
    "AffineMap",
    "Autoregressive",
    "Bounded",
    "CheckerboardCoupling",
    "CircularSpline",
    "Compose",
    "Continuous",
    "Coupling",
    "Elementwise",
    "Flatten",
    "Gaussianization",
    "Householder",
    "Integral",
    "Inverse",
    "InvertibleConv",
    "LULinear",
    "Logit",
    "Part",
    "Permutation",
    "Planar",
    "Preprocessing",
    "Radial",
    "Residual",
    "Scheme",
    "Sigmoidal",
    "Softplus",
    "Spline",
    "SplineCoupling",
    "Squeeze",
    "Sylvester",
    "Transform",
    "Unflatten",
    "coupling_masks",
]
