r"""Parallel tempering: replicas of a chain at several laws exchange their states (Geyer, 1991).

Replica r has the law proportional to :math:`\exp(-w_r\cdot U(x))`, with weights :math:`w_{rj}` of J energy terms: of
temperatures, J = 1 and :math:`w_r = 1/T_r`; of a bridge from a base to a target, :math:`w_r = (1 - t_r, t_r)`. Each
moves by a kernel of its own; then neighbours swap their states with the probability

.. math:: \min\big(1,\ e^{(w_r - w_{r+1})\cdot(U(x_r) - U(x_{r+1}))}\big).

Pairs (0, 1), (2, 3), ... and (1, 2), (3, 4), ... take turns: states then travel along the ladder instead of diffusing
(Okabe et al., 2001; Syed et al., 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hexad.checks import choose
from hexad.mcmc.adaptation import StepAdaptation
from hexad.mcmc.kernels import KERNELS, Kernel
from hexad.mcmc.point import Evaluate, Point, weigh
from hexad.randomness import fresh

__all__ = ["Tempered", "bridge_weights", "inverse_temperatures", "parallel_tempering", "swap"]


@dataclass(frozen=True)
class Tempered:
    """What replicas drew.

    Args:
        draws: of the last replica, whose law is wanted, (kept, chains, D).
        acceptance: of each replica's kernel after warm-up, (R,).
        swaps: mean probability of a swap between neighbours, when it is their turn, (R - 1,); a value near 0 is a gap
            in the ladder.
        step: each replica's step size after warm-up, (R,).
    """

    draws: Tensor
    acceptance: Tensor
    swaps: Tensor
    step: Tensor


def inverse_temperatures(temperatures: Sequence[float]) -> Tensor:
    """Return the weights of one energy at temperatures, the hottest first, (R, 1) in float64.

    Raises:
        ValueError: fewer than two, or one that is not above 0.
    """
    if len(temperatures) < 2 or not min(temperatures) > 0:
        raise ValueError(f"temperatures: expected at least two above 0, got {list(temperatures)}")
    return 1 / torch.tensor(temperatures, dtype=torch.float64)[:, None]


def bridge_weights(times: Sequence[float]) -> Tensor:
    """Return the weights (1 - t, t) of a base and a target energy at bridge times, (R, 2) in float64.

    Raises:
        ValueError: fewer than two, or one that is not between 0 and 1.
    """
    if len(times) < 2 or not all(0 <= t <= 1 for t in times):
        raise ValueError(f"times: expected at least two from 0 to 1, got {list(times)}")
    t = torch.tensor(times, dtype=torch.float64)
    return torch.stack([1 - t, t], 1)


@torch.no_grad()
def parallel_tempering(
    start: Tensor,
    evaluate: Evaluate,
    weights: Tensor,
    *,
    kernel: str | Kernel = "mala",
    steps: int,
    warmup: int,
    thin: int = 1,
    step: float | None = None,
    generator: torch.Generator | None = None,
) -> Tempered:
    """Return what replicas draw, all evaluated as one batch.

    Args:
        start: of every replica, (chains, D).
        evaluate: from states (batch, D) to the point there, of J terms; :func:`hexad.mcmc.evaluator` makes one.
        weights: of the terms in each replica's law, (R, J), neighbours in a row; the last law is the one wanted.
        kernel: a name of :data:`hexad.mcmc.KERNELS`, or another kernel.
        steps: of each replica after warm-up; a swap follows each.
        warmup: steps before that, which are not kept.
        thin: steps from one state that is kept to the next.
        step: step size of all replicas; None: one for each, found in warm-up.
        generator: where randomness comes from.

    Raises:
        ValueError: weights of another shape, or fewer than two replicas; numbers of steps that keep nothing.
        InputError: an unknown kernel.
    """
    inner = KERNELS[choose(kernel, KERNELS, "kernel")] if isinstance(kernel, str) else kernel
    if weights.dim() != 2 or len(weights) < 2:
        raise ValueError(f"weights: expected (replicas, terms) of at least two replicas, got {tuple(weights.shape)}")
    if not 1 <= thin <= steps or warmup < 0:
        raise ValueError(f"expected 1 <= thin <= steps and warmup >= 0, got {thin}, {steps} and {warmup}")
    generator, replicas, chains = fresh(generator, start.device), len(weights), len(start)
    weights = weights.to(start)
    rows = weights.T.repeat_interleave(chains, 1)
    point = evaluate(start.detach().repeat(replicas, 1))
    size = start.new_full((replicas,), start.shape[1] ** (-1 / 3) if step is None else step)
    adaptation = StepAdaptation.begin(size, inner.acceptance) if step is None and inner.acceptance else None
    draws = start.new_empty(steps // thin, *start.shape)
    accepted, swapped = torch.zeros_like(size), size.new_zeros(replicas - 1)
    for i in range(1 - warmup, steps + 1):
        if adaptation is not None:
            size = adaptation.step if i < 1 else adaptation.averaged
        point, accept = inner.move(point, evaluate, rows, step=size.repeat_interleave(chains), generator=generator)
        share = accept.unflatten(0, (replicas, chains)).mean(1)
        if adaptation is not None and i < 1:
            adaptation = adaptation.update(share)
        point, probability = swap(point, weights, first=i % 2, generator=generator)
        if i >= 1:
            accepted += share
            swapped += probability.mean(1)
            if i % thin == 0:
                draws[i // thin - 1] = point.x[-chains:]
    turns = torch.tensor([(steps + (r % 2)) // 2 for r in range(replicas - 1)]).to(size)
    return Tempered(draws, accepted / steps, swapped / turns, size)


def swap(point: Point, weights: Tensor, *, first: int, generator: torch.Generator | None) -> tuple[Point, Tensor]:
    """Return the point after neighbours were offered a swap, and its probabilities, (R - 1, chains).

    Args:
        point: states of all replicas, those of the first one first, (R * chains, D).
        weights: of the terms in each replica's law, (R, J).
        first: 0: pairs (0, 1), (2, 3), ...; 1: pairs (1, 2), (3, 4), .... The others' probabilities are 0.
        generator: where randomness comes from.
    """
    replicas, device = len(weights), point.x.device
    energies = point.energies.unflatten(1, (replicas, -1))
    fall = energies[:, :-1] - energies[:, 1:]  # (J, R - 1, chains)
    accept = weigh_pairs(weights[:-1] - weights[1:], fall).exp().clamp(max=1).nan_to_num(0.0)
    turn = (torch.arange(replicas - 1, device=device) % 2 == first)[:, None]
    accept = torch.where(turn, accept, 0.0)
    uniform = torch.rand(accept.shape, generator=generator, device=device, dtype=accept.dtype)
    up = torch.nn.functional.pad(uniform < accept, (0, 0, 0, 1))  # those that go to the next replica
    down = up.roll(1, 0)
    place = torch.arange(point.x.shape[0], device=device).view(replicas, -1)
    chains = place.shape[1]
    return point.take((place + chains * up.long() - chains * down.long()).flatten()), accept


def weigh_pairs(weights: Tensor, terms: Tensor) -> Tensor:
    """Return the sum over terms (J, pairs, chains) with weights (pairs, J), (pairs, chains)."""
    return weigh(weights.T[:, :, None].expand_as(terms).flatten(1), terms.flatten(1)).view(terms.shape[1:])
