"""Invertible maps with log-determinants: the parts of preprocessing and of flows, one file each."""

from hexad.transforms.affine import ActNorm, Affine
from hexad.transforms.base import Compose, Transform
from hexad.transforms.coupling import AffineCoupling
from hexad.transforms.logit import Logit
from hexad.transforms.permutation import Permutation
from hexad.transforms.preprocessing import Preprocessing, Scheme

__all__ = [
    "ActNorm",
    "Affine",
    "AffineCoupling",
    "Compose",
    "Logit",
    "Permutation",
    "Preprocessing",
    "Scheme",
    "Transform",
]
