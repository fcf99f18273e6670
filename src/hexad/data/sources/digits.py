"""scikit-learn's handwritten digits: 1797 pictures of 8x8 pixels with 17 levels, and their labels."""

from __future__ import annotations

import numpy as np

from hexad.data.raw import Raw
from hexad.data.sources.base import Source

__all__ = ["digits"]


def digits() -> Source:
    """Return the digits, uint8 (1797, 8, 8), with the context ``label``."""
    from sklearn.datasets import load_digits

    found = load_digits()
    context = {"label": {"all": found.target.astype(np.int64)}}
    return Source(
        Raw({"all": found.images.astype(np.uint8)}, "pictures", context, where="digits"), options={"levels": 17}
    )
