"""A training step of every family beside a bare loop of the same network.

The bare loop is what a user would write by hand for the same model: for each player ``zero_grad``, the model's own
``loss``, ``backward``, the clipping of the gradient's norm (where the settings ask for it), torch's fused Adam, or SGD
where that is the optimizer; then ``after_step`` and the average of the weights (where the settings ask for it). Its
batches are slices of a tensor that was encoded once, beforehand. What Hexad's loop adds, and the ratio shows, is
everything else: records in a new random order each epoch, preprocessing (with fresh noise in the cells) step by step,
random streams that a resume can repeat, the guard against values that are not finite, the schedule of the rate, the log
line every 20 steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, task
from hexad.fitted.planning import plan
from hexad.train import Settings

__all__ = ["PLAIN", "WARM", "bare_loop", "binary_table", "encoded", "our_loop"]

PLAIN: dict[str, Any] = {"ema": 0.0, "clip": 0.0}  # beside peers that neither average weights nor clip gradients
WARM = 20  # steps before the clock: as many as lie between two log lines, whose times are what is read


def our_loop(model: str, data: hexad.Data, steps: int, **options: Any) -> Runner:
    """Return the runner of ``steps`` steps of ``hexad.fit``; preparation and the validation at the end do not count.

    ``steps`` is a multiple of 20: the seconds are those between two lines of the log.
    """

    def train() -> float:
        total = steps + WARM
        fitted = hexad.fit(model, data, steps=total, validate_every=2 * total, progress=False, **options)
        at = {line["step"]: line["seconds"] for line in fitted.log or [] if "loss" in line}
        return at[total] - at[WARM]

    return train


def bare_loop(model: str, data: hexad.Data, steps: int, **options: Any) -> Runner:
    """Return the runner of ``steps`` steps of the bare loop of the same model under the same settings."""
    run = plan(model, data, steps=1, options=options)
    net, settings = run.model.train(), run.settings
    with torch.no_grad():
        records = run.preprocessing.encode(data.tensor("train"), dtype=net.dtype)[0]
        net.prepare(records)
    names = dict.fromkeys(net.players)
    owned = {player: list(net.player_parameters(player)) for player in names}
    optimizers = {player: _optimizer(owned[player], settings) for player in names}
    live = [p.data for p in net.parameters()]
    average = [p.clone() for p in live]
    generator = torch.Generator()
    size = min(settings.batch_size, len(records))
    batches = records[: len(records) // size * size].split(size)

    def step(batch: Tensor) -> None:
        for player in net.players:
            if len(owned) > 1:
                for other, parameters in owned.items():
                    for parameter in parameters:
                        parameter.requires_grad_(other == player)
            optimizers[player].zero_grad()
            net.loss(batch, player=player, generator=generator).mean().backward()
            if settings.clip:
                torch.nn.utils.clip_grad_norm_(owned[player], settings.clip)
            optimizers[player].step()
        with torch.no_grad():
            net.after_step(batch, generator=generator)
            if settings.ema:
                torch._foreach_lerp_(average, live, 1 - settings.ema)

    def train() -> None:
        for k in range(steps):
            step(batches[k % len(batches)])

    return clock(train)


def _optimizer(parameters: list[torch.nn.Parameter], settings: Settings) -> torch.optim.Optimizer:
    """Return torch's own optimizer of the settings, fused."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=settings.lr, fused=True)
    return torch.optim.Adam(parameters, lr=settings.lr, betas=settings.betas, fused=True)


def encoded(model: str, data: hexad.Data) -> Tensor:
    """Return the training records as the model sees them."""
    run = plan(model, data, steps=1)
    return run.preprocessing.encode(data.tensor("train"), dtype=run.model.dtype)[0]


def binary_table(rows: int, columns: int) -> hexad.Data:
    """Return made-up bits: each row a noisy copy of one of ten patterns."""
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(10, columns, generator=generator) < 0.3

    def draw(n: int) -> Any:
        kind = torch.randint(10, (n,), generator=generator)
        flipped = torch.rand(n, columns, generator=generator) < 0.05
        return (patterns[kind] ^ flipped).to(torch.uint8).numpy()

    return hexad.load_data({"train": draw(rows), "valid": draw(100), "test": draw(100)})


def _register(name: str, model: str, source: str | Callable[[bool], hexad.Data], words: str, steps: int) -> None:
    @task(name)
    def _(small: bool) -> Contest:
        data = hexad.load_data(source) if isinstance(source, str) else source(small)
        count = 20 if small else steps
        return Contest(
            f"a training step of {model}, {words}; bare: the same loss, clip, fused Adam, after_step and average",
            our_loop(model, data, count),
            bare=bare_loop(model, data, count),
            count=count,
        )


def _toy(small: bool) -> hexad.Data:
    return binary_table(500, 50) if small else binary_table(5_000, 784)


_register("train-rbm", "rbm", _toy, "784 made-up bits, 256 hidden units", 100)
_register("train-rbm-small", "rbm", "tree", "10 bits, 32 hidden units", 400)
_register("train-ebm", "ebm", "digits", "digits", 60)
_register("train-vae", "vae", "digits", "digits", 100)
_register("train-gan", "gan", "digits", "digits, both players", 100)
_register("train-made", "made", "digits", "digits", 80)
_register("train-nade", "nade", _toy, "784 made-up bits, 200 hidden units", 20)
_register("train-realnvp", "realnvp", "digits", "digits", 40)
_register("train-ddpm", "ddpm", "digits", "digits", 80)
