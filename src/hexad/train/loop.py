r"""The one training loop of all families.

A step: for each player in turn, the mean of its loss over a batch is differentiated with respect to its own
parameters, the gradient's norm is clipped, and Adam moves them; then the model's ``after_step``, then the moving
average of the weights.

Everything that a step draws comes from streams named by the seed and the step's number, and the batches are a
function of the same; so what a resume needs is weights, optimizers, averages, buffers and the step, and a run that
was killed continues to the same bytes.
"""

from __future__ import annotations

import copy
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hexad.checks import Diverged, InputError
from hexad.model import GenerativeModel, Validation
from hexad.randomness import derive, fork, stream
from hexad.train.batches import Batches
from hexad.train.checkpoint import (
    checked_state,
    checksum,
    load_weights,
    read_log,
    read_tensors,
    replace_file,
    write_tensors,
)
from hexad.train.divergence import NOWHERE, first_bad_layer
from hexad.train.interruption import Interrupted, stop_on_signals
from hexad.train.optimizer import GuardedAdam
from hexad.train.progress import ProgressLine
from hexad.train.settings import Budget, Settings
from hexad.train.threads import threads_for

__all__ = ["Outcome", "Trainer"]

Encode = Callable[[Tensor, torch.Generator], Tensor]
Measure = Callable[[GenerativeModel, torch.Generator], Validation]
VALIDATION_ROWS, VALIDATION_CHUNK = 4096, 1024


@dataclass(frozen=True)
class Outcome:
    """What a run came to: steps, seconds of the loop, the best validation, whether there was nothing left to do."""

    steps: int
    seconds: float
    best: Validation | None
    was_finished: bool = False


class Trainer:
    """Trains one model within a budget, saving as it goes.

    Args:
        model: as built, on its device; its global random numbers come from ``seed``.
        train, valid: records in the user's units, (n, \\*shape).
        encode: ``f(records, generator)`` gives them in model space.
        budget, settings: how long and how.
        seed: of data order, noise and dropout.
        context, context_valid: what the records are conditioned on, (n, features), or None.
        measure: what picks checkpoints of a model whose ``validate`` gives None: ``f(model, generator)``.
        folder: where state and metrics go; None keeps nothing.
        progress: whether to show progress.
    """

    def __init__(
        self,
        model: GenerativeModel,
        train: Tensor,
        valid: Tensor,
        *,
        encode: Encode,
        budget: Budget,
        settings: Settings,
        seed: int = 0,
        context: Tensor | None = None,
        context_valid: Tensor | None = None,
        measure: Measure | None = None,
        folder: Path | None = None,
        progress: bool = True,
        title: str = "training",
    ) -> None:
        self.model, self.encode, self.budget, self.settings = model, encode, budget, settings
        self.seed, self.measure, self.folder, self.progress, self.title = seed, measure, folder, progress, title
        self.train = train
        self.batches = Batches(train, context, settings.batch_size, seed)
        self.valid, self.context_valid = valid, context_valid
        self.players = model.players
        self.generator = torch.Generator(device=model.device)
        self.optimizers: dict[str, GuardedAdam] = {}
        self.step = 0
        self.seconds = 0.0
        self.best: Validation | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.log: list[dict[str, Any]] = []
        self.finished = False
        self.on_disk: list[int] = []  # checksums of the weights that model.safetensors may hold

    # -- the run ---------------------------------------------------------------------------------------------------

    def run(self, resume: bool = False, begin: Callable[[], None] = lambda: None) -> Outcome:
        """Train to the end of the budget; leave the model with the weights to use.

        Args:
            resume: whether to go on from the folder's state, where it has one.
            begin: called once, before anything is written, when the model took the data or the state was found good.

        Raises:
            Interrupted: a signal came; the state is saved.
            Diverged: a value was not finite.
            InputError: ``resume``, and the state is not of this run.
        """
        with fork(self.seed), threads_for(self.model, self.settings.batch_size):
            if resume and self.folder and (self.folder / "state.safetensors").exists():
                self._restore()
                begin()
                self._cut_metrics()
            else:
                self._prepare()
                begin()
                if self.folder:
                    (self.folder / "metrics.jsonl").write_text("")
            was_finished = self.finished
            if not self.finished and self.players:
                with stop_on_signals() as stop, ProgressLine(self.title, self.progress) as line:
                    try:
                        self._loop(stop, line)
                    finally:  # however it ends, the parameters are left as they came
                        self._release()
            self._finish()
        return Outcome(self.step, self.seconds, self.best, was_finished)

    def _prepare(self) -> None:
        began = time.monotonic()
        with torch.no_grad():
            x = self._encoded(self.train, "prepare")
            self.model.prepare(x, generator=stream(self.seed, "prepare", "model", device=self.model.device))
        if not self.players:  # a closed form's whole training: no part of a budget, but of what it cost
            self.seconds = time.monotonic() - began
        self._build()

    def _build(self) -> None:
        for player in dict.fromkeys(self.players):
            parameters = [p for p in self.model.player_parameters(player) if p.requires_grad]
            self.optimizers[player] = GuardedAdam(parameters, self.settings)
        self.average = copy.deepcopy(self.model) if self.settings.ema and self.players else self.model
        self.live = list(self.model.parameters())
        self.averaged = [p.data for p in self.average.parameters()]
        self.move = torch.compile(self.model.loss) if self.settings.compile else self.model.loss

    def _encoded(self, x: Tensor, name: str) -> Tensor:
        return self.encode(x, stream(self.seed, name, device=x.device))

    def _loop(self, stop: threading.Event, line: ProgressLine) -> None:
        start = time.monotonic() - self.seconds
        saved, next_validation, cost = time.monotonic() - 4.0, 0.0, 0.0
        while not self._done(cost):
            self._take_step()
            self.seconds = time.monotonic() - start
            if self.step == 1 or self.step % self.settings.log_every == 0:
                self._log_losses(line)
            if self._validation_is_due(next_validation):
                began = time.monotonic()
                self._validate()
                cost = time.monotonic() - began
                self.seconds = time.monotonic() - start
                next_validation = self.seconds + max((self.budget.time or 0) / 20, 9 * cost)
            if stop.is_set():
                self._save()
                kept = "the state is saved, --resume continues it" if self.folder else "nothing was kept"
                raise Interrupted(f"interrupted at step {self.step}; {kept}")
            if time.monotonic() - saved >= 5.0:
                self._save()
                saved = time.monotonic()
        self._check_finite()
        if not self.log or self.log[-1].get("step") != self.step or "valid" not in self.log[-1]:
            self._validate()
        self.seconds = time.monotonic() - start

    def _done(self, reserve: float) -> bool:
        if self.budget.steps is not None:
            return self.step >= self.budget.steps
        assert self.budget.time is not None
        # the last validation is part of the budget
        return self.step > 0 and self.seconds + reserve >= self.budget.time

    def _fraction(self) -> float:
        if self.budget.steps is not None:
            return self.step / self.budget.steps
        assert self.budget.time is not None
        return min(1.0, self.seconds / self.budget.time)

    def _validation_is_due(self, next_at: float) -> bool:
        every = self.settings.validate_every
        if self.budget.steps is not None:
            return self.step % (every or max(1, self.budget.steps // 20)) == 0
        return self.step % every == 0 if every else self.seconds >= next_at and self._fraction() > 0.05

    # -- one step --------------------------------------------------------------------------------------------------

    def _take_step(self) -> None:
        self.model.train()
        self.generator.manual_seed(derive(self.seed, "step", self.step))
        fraction = self._fraction()
        repeats = max(self.players.count(p) for p in self.optimizers)
        taken = dict.fromkeys(self.optimizers, 0)
        for player in self.players:
            x, context = self.batches[self.step * repeats + taken[player]]
            taken[player] += 1
            self._move(player, self.encode(x, self.generator), context, fraction)
        with torch.no_grad():
            self.model.after_step(self._last, generator=self.generator)
            if self.average is not self.model:
                # the average starts short, so that it forgets the initial weights
                weight = 1 - min(self.settings.ema, (1 + self.step) / (10 + self.step))
                torch._foreach_lerp_(self.averaged, [p.data for p in self.live], weight)
        self.step += 1

    def _move(self, player: str, z: Tensor, context: Tensor | None, fraction: float) -> None:
        self._last = z
        optimizer = self.optimizers[player]
        self._only(player)
        optimizer.zero()
        loss = self.move(z, player=player, context=context, generator=self.generator).mean()
        loss.backward()
        optimizer.step(fraction, loss, self.step)

    def _only(self, player: str) -> None:
        if len(self.optimizers) > 1:
            for name, optimizer in self.optimizers.items():
                for parameter in optimizer.parameters:
                    parameter.requires_grad_(name == player)

    def _release(self) -> None:
        for optimizer in self.optimizers.values():
            for parameter in optimizer.parameters:
                parameter.requires_grad_(True)

    # -- what is measured ------------------------------------------------------------------------------------------

    def _log_losses(self, line: ProgressLine) -> None:
        self._check_finite()
        losses = {name: float(optimizer.loss) for name, optimizer in self.optimizers.items()}
        norms = {name: float(optimizer.norm) for name, optimizer in self.optimizers.items()}
        rate = next(iter(self.optimizers.values())).rate
        self._write({"step": self.step, "seconds": self.seconds, "loss": losses, "grad_norm": norms, "lr": rate})
        note = ", ".join(f"{name} loss {value:.4g}" for name, value in losses.items())
        best = f", best {self.best.name} {self.best.value:.4g}" if self.best else ""
        line.update(self._fraction(), f"step {self.step}, {note}{best}")

    def _check_finite(self) -> None:
        for player, optimizer in self.optimizers.items():
            bad = int(optimizer.bad)
            if bad >= 0:
                where = self._replay(player, bad)
                reason = f"step {bad + 1}: values that are not finite begin in {where}, player {player!r}"
                self._write({"event": "diverged", "step": bad + 1, "reason": reason})
                raise Diverged(f"{reason}; try a smaller lr (now {self.settings.lr:g}), more clipping, or float64")

    def _replay(self, player: str, step: int) -> str:
        self.generator.manual_seed(derive(self.seed, "step", step))
        repeats = max(self.players.count(p) for p in self.optimizers)
        taken, where = dict.fromkeys(self.optimizers, 0), ""
        for other in self.players[: len(self.players) - self.players[::-1].index(player)]:
            x, context = self.batches[step * repeats + taken[other]]
            taken[other] += 1
            self._only(other)
            z = self.encode(x, self.generator)
            play = partial(self.model.loss, z, player=other, context=context, generator=self.generator)
            if other != player:
                play()  # those before it drew from the same stream
            elif (where := first_bad_layer(self.model, play)) != NOWHERE:
                break
        return where

    @torch.no_grad()
    def _validate(self) -> None:
        if self.average is not self.model:
            for mine, theirs in zip(self.average.buffers(), self.model.buffers(), strict=True):
                mine.resize_(theirs.shape).copy_(theirs) if mine.shape != theirs.shape else mine.copy_(theirs)
        self.average.eval()
        result = self._measured()
        self.average.train()
        told = result.value if math.isfinite(result.value) else None  # NaN is no JSON
        self._write({"step": self.step, "seconds": self.seconds, "valid": {result.name: told}})
        if result.better_than(self.best):
            self.best = result
            self.best_weights = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}

    def _measured(self) -> Validation:
        rows = len(self.valid) if self.model.couples_batch else min(len(self.valid), VALIDATION_ROWS)
        size = rows if self.model.couples_batch else VALIDATION_CHUNK
        generator = stream(self.seed, "validation", device=self.model.device)  # common random numbers
        total, count, first = 0.0, 0, None
        for start in range(0, rows, size):
            x = self.encode(self.valid[start : min(start + size, rows)], generator)
            context = None if self.context_valid is None else self.context_valid[start : start + len(x)]
            part = self.average.validate(x, context=context, generator=generator)
            if part is None:
                assert self.measure is not None, "a model that does not validate itself needs a measure"
                return self.measure(self.average, generator)
            first, total, count = first or part, total + part.value * len(x), count + len(x)
        assert first is not None
        return Validation(first.name, total / count, first.direction)

    def _write(self, record: dict[str, Any]) -> None:
        self.log.append(record)
        if self.folder:
            with open(self.folder / "metrics.jsonl", "a") as file:
                file.write(json.dumps(record) + "\n")

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if not self.finished:
            self.finished = True
            self._save()  # the raw weights with the rest: a larger budget goes on from them
        elif self.folder:  # lost or damaged they are mended, else they are the same bytes
            write_tensors(self.folder / "model.safetensors", self._weights_to_use())
        self.model.load_state_dict(self._weights_to_use())
        self.model.eval()

    def _weights_to_use(self) -> dict[str, Tensor]:
        return self.best_weights or self.average.state_dict()

    def _save(self) -> None:
        if not self.folder:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average is not self.model:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self.best_weights.items()}
        for name, optimizer in self.optimizers.items():
            tensors |= {f"optimizer.{name}.{k}": v for k, v in optimizer.tensors().items()}
        tensors["global_random"] = torch.get_rng_state()
        if self.model.device.type == "cuda":
            tensors["device_random"] = torch.cuda.get_rng_state(self.model.device)
        best = None if self.best is None else vars(self.best)
        state = {"step": self.step, "seconds": self.seconds, "best": best, "finished": self.finished, "seed": self.seed}
        state["budget"] = self.budget.steps or self.budget.time
        weights = self._weights_to_use()
        # the state first: whenever a kill comes, it names the weights that stand beside it
        self.on_disk = [checksum(weights), *self.on_disk]
        write_tensors(self.folder / "state.safetensors", tensors, state | {"weights": self.on_disk})
        write_tensors(self.folder / "model.safetensors", weights)
        self.on_disk = self.on_disk[:1]

    def _restore(self) -> None:
        assert self.folder is not None
        path = self.folder / "state.safetensors"
        tensors, state = read_tensors(path)
        log = read_log(self.folder / "metrics.jsonl")
        self._build()
        self.best_weights = _under(tensors, "best")
        for name, module in {"best": self.model, "model": self.model, "average": self.average}.items():
            stored = _under(tensors, name)
            if name == "model" or (name == "best" and stored) or (name == "average" and self.average is not self.model):
                load_weights(module, stored, path)
        try:
            state = checked_state(state)
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.log = [line for line in log if line["step"] <= self.step]
            self.on_disk = state["weights"]
            if self.on_disk and self.on_disk[0] != checksum(self._weights_to_use()):
                raise ValueError("the weights are not those that it names")
            self.best = None if state["best"] is None else Validation(**state["best"])
            # not the time used: a run ends early by what its last validation would take
            larger = (self.budget.steps or self.budget.time or 0) > float(state["budget"])
            self.finished = bool(state["finished"]) and not (larger and self.players)
            for name, optimizer in self.optimizers.items():
                optimizer.load(_under(tensors, f"optimizer.{name}"))
            torch.set_rng_state(tensors["global_random"])
            if self.model.device.type == "cuda":
                torch.cuda.set_rng_state(tensors["device_random"], self.model.device)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: not the state of this run ({reason}); train it again elsewhere") from None

    def _cut_metrics(self) -> None:
        assert self.folder is not None
        text = "".join(json.dumps(record) + "\n" for record in self.log)
        replace_file(self.folder / "metrics.jsonl", text.encode())
        if not self.finished:
            self._write({"event": "resumed", "step": self.step})


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}
