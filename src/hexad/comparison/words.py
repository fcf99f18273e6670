"""Numbers and names as the page writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["AXES", "FAMILY_WORDS", "KINDS", "budget_words", "duration", "megabytes", "significant", "with_error"]

KINDS = {
    "exact": (
        "=",
        "exact",
        "computed, not estimated: the log-probability that the model gives to the record as recorded",
    ),
    "lower_bound": (
        "≥",
        "lower bound",
        "the true log-likelihood is at least this (and the bits at most that); the bound understates the model",
    ),
    "interval": (
        "∈",
        "interval",
        "the true value lies between two ends at the stated confidence; models are ranked by the low end",
    ),
    "upper_bound": ("≤", "upper bound", "the true value is at most this; it flatters, so it is not ranked"),
    "estimate": ("≈", "estimate", "neither side is guaranteed, so it is not ranked"),
}
FAMILY_WORDS = {
    "energy": "Energy-based",
    "vae": "Variational autoencoder",
    "gan": "Adversarial",
    "autoregressive": "Autoregressive",
    "flow": "Normalizing flow",
    "diffusion": "Diffusion",
    "baseline": "Baseline",
}
AXES = {
    "noise level": "noise is taken away, level by level",
    "layer": "noise passes through the layers",
    "position": "columns are drawn one after another",
    "chain step": "a chain walks towards low energy",
    "time": "noise flows along the equation until it is data",
    "latent": "the code moves from its mean to a draw",
}


def significant(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits, in plain notation where that is short; a real minus sign.

    >>> significant(-101.234), significant(0.00123, 2), significant(None)
    ('−101.2', '0.0012', '–')
    """
    if value is None or not np.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = int(np.floor(np.log10(abs(value))))
    text = f"{value:.{max(0, digits - 1 - size)}f}" if -5 < size < 7 else f"{value:.{digits - 1}e}"
    return text.replace("-", "−")


def with_error(value: float, error: float) -> str:
    """Return a number with its standard error, both to the error's second digit.

    >>> with_error(5.92308, 0.3969), with_error(-3, 0)
    ('5.92 ± 0.40', '−3.00 ± 0')
    """
    places = 2 if not (np.isfinite(error) and error > 0) else max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{places}f} ± {error:.{places if error else 0}f}".replace("-", "−")


def duration(seconds: float | None) -> str:
    """Return seconds in words.

    >>> duration(0.0123), duration(20.04), duration(300)
    ('12 ms', '20 s', '5.0 min')
    """
    if not seconds:
        return "–" if seconds is None else "0 s"
    if seconds < 1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def megabytes(size: int) -> str:
    """Return bytes in words; 0 is not known."""
    return f"{size / 2**20:,.0f} MB" if size else "–"


def budget_words(budget: dict[str, Any]) -> str:
    """Return the budget of ``results.json`` in words."""
    return f"{budget['steps']:,} steps" if "steps" in budget else duration(budget["time"])
