"""Ancestral sampling of a diffusion beside the loop of diffusers with the same network."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from hexad.diffusion import DDPM
from hexad.event import Event

COLUMNS, WIDTH = 64, 256


@task("ddpm-sampling")
def _(small: bool) -> Contest:
    rows, levels = (16, 10) if small else (256, 250)
    model = DDPM(Event.of(COLUMNS, "real"), levels, (WIDTH,) * 3).eval()

    @torch.no_grad()
    def bare() -> None:
        keep, pull = (model.schedule.exact[name].tolist() for name in ("keep", "pull"))
        noise, z = model.variance.table().sqrt().float(), torch.randn(rows, COLUMNS)
        for t in range(levels, 1, -1):
            mean = keep[t] * z + pull[t] * model.denoiser(z, torch.full((rows,), t))
            z = mean + noise[t] * torch.randn(rows, COLUMNS)

    return Contest(
        f"{rows} samples of {COLUMNS} columns in {levels} levels, a residual network of width {WIDTH}, the same one "
        "for all sides; ours has a stream a level, so that a sample does not depend on how many are drawn",
        clock(torch.no_grad()(lambda: model.sample(rows))),
        _diffusers(model, rows, levels),
        clock(bare),
        named("diffusers", "DDPMScheduler"),
        work="call",
        repeats=7,
    )


def _diffusers(model: DDPM, rows: int, levels: int) -> Runner | None:
    if peer("diffusers") is None:
        return None
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(num_train_timesteps=levels, prediction_type="sample", clip_sample=False)

    @torch.no_grad()
    def sample() -> Tensor:
        scheduler.set_timesteps(levels)
        z = torch.randn(rows, COLUMNS)
        for t in scheduler.timesteps:
            # its levels begin at 0, ours at 1
            denoised = model.denoiser(z, (t + 1).expand(rows))
            z = scheduler.step(denoised, t, z).prev_sample
        return z

    return clock(sample)
