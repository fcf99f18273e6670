r"""Mean-field approximations of binary units that are coupled in pairs.

.. math:: p(s) = e^{b^\top s + s^\top J s / 2} / Z,\qquad s \in \{0, 1\}^n

A product law with means m bounds the normaliser from below, whatever the means are (Peterson and Anderson, 1987):

.. math:: \log Z \ge b^\top m + \tfrac12 m^\top J m + \sum_i H(m_i),\qquad m_i = \sigma\Big(b_i + \sum_j J_{ij} m_j\Big)

at a stationary point. The correction of Thouless, Anderson and Palmer (1977; on 0 and 1: Gabrie, Tramel and Krzakala,
2015) is right to the second order in J, and no bound.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.special import entr

__all__ = ["entropy", "mean_field", "mean_field_bound", "tap", "tap_log_z"]


def entropy(m: Tensor) -> Tensor:
    """Return the entropy of independent units of means ``m`` (..., n), summed over the last axis, in nats."""
    return (entr(m) + entr(1 - m)).sum(-1)


def mean_field(bias: Tensor, coupling: Tensor, *, steps: int = 50, damping: float = 0.5) -> Tensor:
    r"""Return means m after damped parallel updates from :math:`\sigma(b)`.

    Args:
        bias: b, (..., n).
        coupling: J, (n, n).
        steps: number of updates.
        damping: how much of the old means each update keeps.
    """
    m = torch.sigmoid(bias)
    for _ in range(steps):
        m = torch.lerp(torch.sigmoid(bias + m @ coupling), m, damping)
    return m


def mean_field_bound(bias: Tensor, coupling: Tensor, m: Tensor) -> Tensor:
    """Return the lower bound of log Z that the product law of means ``m`` (..., n) gives, (...,)."""
    return (bias * m).sum(-1) + 0.5 * (m @ coupling * m).sum(-1) + entropy(m)


def tap(bias: Tensor, coupling: Tensor, *, steps: int = 50, damping: float = 0.5) -> Tensor:
    r"""Return means that solve, after damped updates,
    :math:`m_i = \sigma(b_i + \sum_j J_{ij} m_j - (m_i - \tfrac12) \sum_j J_{ij}^2 (m_j - m_j^2))`.

    Arguments as :func:`mean_field`.
    """
    squared, m = coupling.square(), torch.sigmoid(bias)
    for _ in range(steps):
        reaction = (m - 0.5) * ((m - m.square()) @ squared)
        m = torch.lerp(torch.sigmoid(bias + m @ coupling - reaction), m, damping)
    return m


def tap_log_z(bias: Tensor, coupling: Tensor, m: Tensor) -> Tensor:
    r"""Return the estimate of log Z at the means ``m`` (..., n) of :func:`tap`, (...,): the mean-field value plus
    :math:`\tfrac14 \sum_{ij} J_{ij}^2 (m_i - m_i^2)(m_j - m_j^2)`.
    """
    variance = m - m.square()
    return mean_field_bound(bias, coupling, m) + 0.25 * (variance @ coupling.square() * variance).sum(-1)
