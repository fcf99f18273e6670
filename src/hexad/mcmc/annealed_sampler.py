r"""A lower bound of the likelihood of an *annealed sampler* (RAISE; Burda, Grosse and Salakhutdinov, 2015).

To sample by annealing is to draw :math:`x_0` from the base and to move it through all temperatures; the law of the last
state is the sampler's, which is not the target's. Its density at x is the sum over all ways there. The reverse anneal
that starts at x draws such a way, and

.. math:: \hat p(x) = \frac{f_1(x)}{Z_0\, w(x)},\qquad E[\hat p(x)] = p_\text{annealed}(x)

with w the weight of that run. So :math:`E[\log \hat p(x)] \le \log p_\text{annealed}(x)`, and the mean over several
runs before the logarithm is tighter. It needs no Z of the target and says nothing about it: as the schedule grows the
sampler's law becomes the target's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from hexad.mcmc.annealing import Bridge, State, anneal

__all__ = ["annealed_log_density"]


def annealed_log_density(
    bridge: Bridge[State],
    state: State,
    log_f: Tensor,
    log_z_base: float,
    times: Sequence[float],
    *,
    runs: int = 1,
    generator: torch.Generator | None,
) -> Tensor:
    """Return a stochastic lower bound of the log density of the annealed sampler, (records,) in float64.

    Args:
        bridge: the path, with *reversible* moves.
        state: the records as states, each ``runs`` times in a row, (records * runs, ...).
        log_f: log of the unnormalised target at the records, (records,).
        log_z_base: log of the normaliser at ``times[0]``.
        times: the sampler's temperatures, increasing.
        runs: reverse anneals a record.
        generator: where randomness comes from.
    """
    log_w, _ = anneal(bridge, state, times, reverse=True, generator=generator)
    mean = torch.logsumexp(-log_w.reshape(-1, runs), 1) - math.log(runs)
    return log_f.double() - log_z_base + mean
