"""Chains on an energy, as a user runs them: :func:`run_chains`.

Whatever goes wrong is told in one line: an energy of the wrong shape or not finite where the chains start, and a step
size at which they diverge or stand still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hexad.checks import choose
from hexad.mcmc.adaptation import StepAdaptation
from hexad.mcmc.complaints import check_energy, check_moving, check_numbers, check_runaway
from hexad.mcmc.diagnostics import effective_sample_size, r_hat, thinned
from hexad.mcmc.gradient import EnergyFunction, evaluator, gradient
from hexad.mcmc.kernels import KERNELS, Kernel
from hexad.mcmc.point import Point
from hexad.mcmc.ula import langevin_path
from hexad.randomness import fresh

__all__ = ["Chains", "run_chains"]


@dataclass(frozen=True, repr=False)
class Chains:
    """What chains drew, and how far it can be trusted.

    Args:
        draws: (kept, chains, D).
        kernel: its name.
        acceptance: mean probability of acceptance of each chain after warm-up, (chains,); ULA's is 1.
        step: the step size after warm-up; NaN where the kernel has none.
        temperature: T of the law exp(-U / T).
    """

    draws: Tensor
    kernel: str
    acceptance: Tensor
    step: float
    temperature: float = 1.0

    @property
    def flat(self) -> Tensor:
        """All draws of all chains, (kept * chains, D)."""
        return self.draws.flatten(0, 1)

    @cached_property
    def effective_sample_size(self) -> Tensor:
        """Bulk effective sample size of each column, (D,); see :mod:`hexad.mcmc.diagnostics`."""
        return effective_sample_size(self.draws)

    @cached_property
    def r_hat(self) -> Tensor:
        """Rank-normalised split R-hat of each column, (D,); near 1 where chains agree, and doubtful above 1.01."""
        return r_hat(self.draws)

    def thinned(self, times: float = 2.0) -> Tensor:
        """Return draws ``times`` autocorrelation times apart, which count as independent, (m, D)."""
        return thinned(self.draws, times)

    def __repr__(self) -> str:
        kept, chains, columns = self.draws.shape
        step = "" if math.isnan(self.step) else f", step {self.step:.3g}"
        what = f"Chains({self.kernel}, {kept} draws of {chains} chains, {columns} columns{step}"
        if self.kernel != "ula":
            what += f", acceptance {float(self.acceptance.mean()):.2f}"
        if kept < 4:
            return what + ", too few draws to judge)"
        worst, least = float(self.r_hat.max()), float(self.effective_sample_size.min())
        doubt = "" if worst < 1.01 else " (above 1.01: run longer)"
        return what + f", R-hat at most {worst:.3f}{doubt}, effective sample size at least {least:.0f})"


@torch.no_grad()
def run_chains(
    energy: EnergyFunction,
    start: Tensor,
    *,
    kernel: str = "mala",
    steps: int = 1000,
    warmup: int = 500,
    thin: int = 1,
    step: float | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Chains:
    """Return what chains draw from the law proportional to exp(-energy / temperature).

    >>> from hexad.randomness import stream
    >>> run_chains(lambda x: x.square().sum(1) / 2, torch.zeros(4, 2), steps=2000, generator=stream(0))
    Chains(mala, 2000 draws of 4 chains, 2 columns, step ..., acceptance 0.5..., R-hat at most 1.00...)

    Args:
        energy: U, from states (batch, D) to (batch,), differentiable; one with ``value_and_gradient`` is asked for its
            gradient in closed form.
        start: where the chains start, (chains, D).
        kernel: ``mala``, ``hmc``, ``ula`` (biased), or ``gibbs-with-gradients`` of zeros and ones.
        steps: of each chain after warm-up.
        warmup: steps before that, which are not kept.
        thin: steps from one state that is kept to the next.
        step: the kernel's step size (epsilon of ULA and MALA, h of HMC); None: found in warm-up, to the acceptance that
            suits the kernel. ULA has no acceptance, and is given one.
        temperature: T, above 0.
        generator: where randomness comes from.

    Raises:
        InputError: an argument or an energy as above; a step size at which chains diverge or stand still.
    """
    choose(kernel, ("ula", *KERNELS), "kernel")
    check_numbers(kernel, steps, warmup, thin, step, temperature)
    point = check_energy(energy, start, kernel)
    generator = fresh(generator, start.device)
    if step is not None and kernel == "ula":
        return _unadjusted(energy, point, steps, warmup, thin, step, temperature, generator)
    return _metropolis(energy, point, kernel, steps, warmup, thin, step, temperature, generator)


def _unadjusted(
    energy: EnergyFunction,
    point: Point,
    steps: int,
    warmup: int,
    thin: int,
    step: float,
    temperature: float,
    generator: torch.Generator,
) -> Chains:
    """Run ULA, and look after warm-up and at the end whether it ran away."""
    slope = gradient(energy)

    def run(x: Tensor, count: int, apart: int) -> Tensor:
        draws = langevin_path(
            slope, x, steps=count, step=step, thin=apart, temperature=temperature, generator=generator
        )
        check_runaway(point, evaluator(energy)(draws[-1]), step, temperature)
        return draws

    x = run(point.x, warmup, warmup)[-1] if warmup else point.x
    return Chains(run(x, steps, thin), "ula", torch.ones(len(x)), step, temperature)


def _metropolis(
    energy: EnergyFunction,
    point: Point,
    name: str,
    steps: int,
    warmup: int,
    thin: int,
    step: float | None,
    temperature: float,
    generator: torch.Generator,
) -> Chains:
    """Warm up, adapting the step where none is given, then run at the step that was found."""
    kernel, evaluate, one = KERNELS[name], evaluator(energy), point.x.new_ones(1)
    adaptation, size = _first_step(kernel, point, step)
    for _ in range(warmup):
        now = size if adaptation is None else adaptation.step
        point, accept = kernel.move(point, evaluate, one, step=now, temperature=temperature, generator=generator)
        if adaptation is not None:
            adaptation = adaptation.update(accept.mean())
    if adaptation is not None:
        size = adaptation.averaged
    draws, total = point.x.new_empty(steps // thin, *point.x.shape), torch.zeros_like(point.energies[0])
    for i in range(1, steps + 1):
        point, accept = kernel.move(point, evaluate, one, step=size, temperature=temperature, generator=generator)
        total += accept
        if i % thin == 0:
            draws[i // thin - 1] = point.x
    used = math.nan if kernel.acceptance is None else float(size)
    check_moving(total / steps, used)
    return Chains(draws, name, total / steps, used, temperature)


def _first_step(kernel: Kernel, point: Point, step: float | None) -> tuple[StepAdaptation | None, Tensor]:
    """Return the adaptation, where there is one, and the first step."""
    size = point.x.new_tensor(point.x.shape[1] ** (-1 / 3) if step is None else step)
    if step is not None or kernel.acceptance is None:
        return None, size
    return StepAdaptation.begin(size, kernel.acceptance), size
