"""What chains check before they start and after they have run; each complaint is one line."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.mcmc.gradient import ClosedForm, EnergyFunction, value_and_gradient
from hexad.mcmc.kernels import KERNELS
from hexad.mcmc.point import Point

__all__ = ["check_energy", "check_moving", "check_numbers", "check_runaway"]

_RUNAWAY = 10.0  # pull over noise: on a Gaussian 1 + this is how many times too large ULA's variance is
_STILL = 1e-3  # acceptance below which chains count as standing still


def check_numbers(kernel: str, steps: int, warmup: int, thin: int, step: float | None, temperature: float) -> None:
    """Check the numbers that say how chains run."""
    for name, value, least in (("steps", steps, 1), ("warmup", warmup, 0), ("thin", thin, 1)):
        if value < least:
            raise InputError(f"{name}: expected at least {least}, got {value}")
    if thin > steps:
        raise InputError(f"thin: expected at most steps={steps}, got {thin}: nothing would be kept")
    for name, number in (("step", step), ("temperature", temperature)):
        if number is not None and not (number > 0 and math.isfinite(number)):
            raise InputError(f"{name}: expected a number above 0, got {number!r}")
    if step is None and kernel == "ula":
        raise InputError("step: ula has no acceptance to adapt to; give step=..., or take kernel='mala'")
    if step is None and warmup == 0 and KERNELS[kernel].acceptance is not None:
        raise InputError("step: it is found in warm-up, and warmup is 0; give step=..., or a warm-up")


def check_energy(energy: EnergyFunction, start: Tensor, kernel: str) -> Point:
    """Return the point at which chains start, where all is well there."""
    if not isinstance(start, Tensor):
        raise InputError(f"start: expected a tensor of shape (chains, columns), got {type(start).__name__}")
    if start.dim() != 2 or not len(start) or not start.is_floating_point():
        got = f"{str(start.dtype).removeprefix('torch.')} of shape {tuple(start.shape)}"
        raise InputError(f"start: expected floats of shape (chains, columns), got {got}")
    if kernel in KERNELS and KERNELS[kernel].binary and not bool(((start == 0) | (start == 1)).all()):
        raise InputError(f"start: {kernel} takes zeros and ones, got other numbers; take kernel='mala' for reals")
    if callable(getattr(energy, "energy", None)) and not isinstance(energy, ClosedForm):
        raise InputError("energy: expected a function of states, got a model; give its method, model.energy")
    if not (callable(energy) or isinstance(energy, ClosedForm)):
        raise InputError(f"energy: expected a function of states, got {type(energy).__name__}")
    start, n = start.detach(), len(start)
    try:
        value, slope = value_and_gradient(_checked(energy, n))(start)
    except RuntimeError as error:
        if "does not require grad" in str(error) or "appears to not have been used" in str(error):
            raise InputError("energy: its value has no gradient in the states; compute it from them in torch") from None
        raise
    if value.shape != (n,) or slope.shape != start.shape:
        got = f"{tuple(value.shape)} and {tuple(slope.shape)}"
        raise InputError(f"value_and_gradient: expected shapes ({n},) and {tuple(start.shape)}, got {got}")
    bad = n - int((value.isfinite() & slope.isfinite().all(1)).sum())
    if bad:
        raise InputError(
            f"energy: NaN or infinite, or its gradient is, where {bad} of {n} chains start; start elsewhere"
        )
    return Point(start, value[None], slope[None])


def _checked(energy: EnergyFunction, n: int) -> EnergyFunction:
    """Return a function's energies if they are one number a state; one in closed form is looked at by the caller."""
    if isinstance(energy, ClosedForm):
        return energy

    def function(x: Tensor) -> Tensor:
        value = energy(x)
        if not isinstance(value, Tensor) or value.shape != (n,):
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"energy: expected one number a state, shape ({n},), got {got}")
        return value

    return function


def check_runaway(start: Point, end: Point, step: float, temperature: float) -> None:
    """Check that unadjusted chains are finite, and not where the energy has risen and pulls harder than noise pushes.

    On a Gaussian eps |grad U|^2 / 4TD is, in the mean, how much too large ULA's variance is, as a share.
    """
    finite = end.x.isfinite().all(1) & end.energies[0].isfinite()
    pull = step * end.gradients[0].square().mean(1) / (4 * temperature)
    away = ~finite | ((pull > _RUNAWAY) & (end.energies[0] > start.energies[0]))
    if bool((~finite).any()) or float(torch.where(away, pull, 0.0).mean()) > _RUNAWAY:
        n = len(pull)
        what = f"at {step:g} ula ran away in {int(away.sum())} of {n} chains"
        raise InputError(f"step: {what}; give a smaller step (try {step / 4:.2g}), or take kernel='mala'")


def check_moving(acceptance: Tensor, step: float) -> None:
    """Check that Metropolis chains move."""
    mean = float(acceptance.mean())
    if mean < _STILL:
        at = "" if math.isnan(step) else f"step: at {step:g} "
        what = f"{at}{100 * mean:.2g} % of the proposals are accepted, and chains stand still"
        raise InputError(f"{what}; give a smaller step, or none and a longer warm-up")
