r"""Missing columns of an autoregressive model, in any places: importance resampling, one column after another.

Particles of a record run through the columns in the model's order. What is missing is drawn from its conditional, what
is there multiplies the particle's weight by its probability,

.. math:: w_k = w_{k-1}\, p(x_k \mid x_{<k}) \quad\text{where } x_k \text{ is observed},

and where the effective number :math:`(\sum w)^2 / \sum w^2` falls below half of the particles while columns are still
to be drawn, they are resampled (Gordon, Salmond and Smith, 1993; Doucet and Johansen, 2009). The draws have the law of
the missing columns given the observed ones in the limit of many particles; where everything missing comes behind what
is observed, the weights are equal and the draws exact.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from hexad.autoregressive.heads import Head
from hexad.model import Imputation

__all__ = ["Walk", "resampled", "shares"]


class Walk(Protocol):
    """The conditionals of n rows, one column after another, with what was computed before kept."""

    def outputs(self) -> Tensor:
        """Return what sets the law of the next column, (n, outputs)."""

    def push(self, x: Tensor) -> None:
        """Set the next column, (n, inputs), as the head shows it to the network."""

    def reorder(self, rows: Tensor) -> None:
        """Go on with these rows, (n,), in place of those that were."""


@torch.no_grad()
def resampled(
    head: Head, order: Tensor, walk: Walk, x: Tensor, draws: int, particles: int, generator: torch.Generator
) -> tuple[Imputation, Tensor]:
    """Return draws of what is NaN in the records, and an estimate of log p of what is there, (batch,).

    Args:
        head: the law of one column.
        order: the columns in the model's order, (D,).
        walk: of ``batch * particles`` rows, the particles of a record one behind the other.
        x: records, (batch, D).
        draws: number of draws a record, with replacement.
        particles: number of particles a record.
        generator: where randomness comes from.
    """
    rows = len(x)
    missing = x.isnan()
    known = x.nan_to_num()
    filled = known.repeat_interleave(particles, 0)
    log_w = torch.zeros(rows, particles, dtype=torch.float64, device=x.device)
    log_p_there = log_w[:, 0]
    effective = torch.full((rows,), float(particles), dtype=torch.float64, device=x.device)
    ahead = _missing_ahead(missing, order)
    for step, k in enumerate(order.tolist()):
        column = slice(k, k + 1)
        outputs, absent = walk.outputs()[:, None], missing[:, k]
        value = known[:, column].repeat_interleave(particles, 0)
        if bool(absent.any()):
            shape = (len(filled), 1, head.draws)
            uniform = torch.rand(shape, generator=generator, device=x.device, dtype=torch.float64)
            drawn = head.draw(outputs, head.noise(uniform, outputs.dtype), column)
            value = torch.where(absent.repeat_interleave(particles)[:, None], drawn, value)
        if not bool(absent.all()):
            log_p = head.log_prob(outputs, value, column).double().view(rows, particles)
            log_w = log_w + torch.where(absent[:, None], 0.0, log_p)
        filled[:, column] = value
        walk.push(head.embed(value, column))
        size = _effective(log_w)
        effective = torch.minimum(effective, size)
        poor = (size < particles / 2) & ahead[step]
        if bool(poor.any()):
            pick = _systematic(log_w, poor, generator)
            walk.reorder(pick)
            filled = filled[pick]
            log_p_there = log_p_there + torch.where(poor, _log_mean(log_w), 0.0)
            log_w = torch.where(poor[:, None], 0.0, log_w)
    found = Imputation(_picked(filled, log_w, draws, generator), effective, particles)
    return found, log_p_there + _log_mean(log_w)


def _missing_ahead(missing: Tensor, order: Tensor) -> Tensor:
    """Return whether a record misses a column behind each step of the order, (D, batch)."""
    ordered = missing[:, order].T.long()
    return ordered.flip(0).cumsum(0).flip(0) - ordered > 0


def _effective(log_w: Tensor) -> Tensor:
    """Return the effective number of weights a row, (rows,); 0 where all of them vanish."""
    return torch.exp(2 * torch.logsumexp(log_w, 1) - torch.logsumexp(2 * log_w, 1)).nan_to_num(0.0)


def _log_mean(log_w: Tensor) -> Tensor:
    """Return the log of the mean weight a row, (rows,)."""
    return torch.logsumexp(log_w, 1) - math.log(log_w.shape[1])


def shares(log_w: Tensor) -> Tensor:
    """Return the weights as shares a row; equal ones where all vanish."""
    return torch.softmax(log_w, 1).nan_to_num(1 / log_w.shape[1])


def _systematic(log_w: Tensor, poor: Tensor, generator: torch.Generator) -> Tensor:
    """Return the rows that go on, (rows * particles,): each record's particles by their weights where it is poor."""
    rows, particles = log_w.shape
    offset = torch.rand(rows, 1, generator=generator, device=log_w.device, dtype=torch.float64)
    places = (torch.arange(particles, device=log_w.device) + offset) / particles
    ends = shares(log_w).cumsum(1)
    pick = torch.searchsorted(ends / ends[:, -1:], places).clamp(max=particles - 1)
    pick = torch.where(poor[:, None], pick, torch.arange(particles, device=log_w.device))
    return (pick + particles * torch.arange(rows, device=log_w.device)[:, None]).flatten()


def _picked(filled: Tensor, log_w: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Return particles by their weights, (draws, rows, D)."""
    rows, particles = log_w.shape
    pick = torch.multinomial(shares(log_w), draws, replacement=True, generator=generator)
    return filled.view(rows, particles, -1)[torch.arange(rows, device=filled.device)[:, None], pick].transpose(0, 1)
