"""Distances between samples."""

from hexad.metrics.mmd import KernelDistance

__all__ = ["KernelDistance"]
