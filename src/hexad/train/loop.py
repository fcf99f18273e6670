r"""The one training loop of all families.

A step: for each player in turn, the mean of its loss over a batch is differentiated with respect to its own
parameters, the gradient's norm is clipped, and the optimizer moves them; then the model's ``after_step``, then the
moving average of the weights.

Everything that a step draws comes from streams named by the seed and the step's number, and the batches are a
function of the same; so what a resume needs is weights, optimizers, averages, buffers and the step, and a run that
was killed continues to the same bytes.

At every check that finds it well the loop remembers its state. Where a value is not finite, or a sign is lost that the
model watches (:meth:`~GenerativeModel.vitals`), it goes back there and on at half the rate, with the batches that come
next, up to three times.
"""

from __future__ import annotations

import copy
import itertools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hexad.checks import Diverged, InputError
from hexad.model import GenerativeModel, Validation, Vital
from hexad.randomness import derive, fork, stream
from hexad.train.batches import Batches
from hexad.train.checkpoint import (
    checked_state,
    checksum,
    load_weights,
    read_log,
    read_tensors,
    write_tensors,
)
from hexad.train.divergence import NOWHERE, first_bad_layer
from hexad.train.guard import ROLLBACKS, Guard
from hexad.train.interruption import Interrupted, stop_on_signals
from hexad.train.journal import Journal
from hexad.train.moving import Moving, under
from hexad.train.optimizer import GuardedOptimizer, optimizer_of
from hexad.train.processes import Processes
from hexad.train.progress import ProgressLine
from hexad.train.settings import Budget, Settings
from hexad.train.threads import evaluating, threads_for
from hexad.train.validation import Encode, Measure, Validator

__all__ = ["Outcome", "Trainer"]

CHECK_EVERY = 5  # lines of metrics from one check of the vital signs to the next
FEWEST_STEPS = 20  # from one validation to the next, where the user says nothing: one may cost more than these


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
        processes: that train together, each on its share of every batch.
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
        processes: Processes | None = None,
    ) -> None:
        self.model, self.encode, self.budget, self.settings = model, encode, budget, settings
        self.seed, self.folder, self.progress, self.title = seed, folder, progress, title
        self.train = train
        self.batches = Batches(train, context, settings.batch_size, seed, model.window)
        self.validator = Validator(valid, context_valid, encode, measure, seed, time=len(train))
        self.players = model.players
        self.generator = torch.Generator(device=model.device)
        self.optimizers: dict[str, GuardedOptimizer] = {}
        self.step = 0
        self.seconds = 0.0
        self.best: Validation | None = None
        self.best_weights: dict[str, Tensor] = {}
        self.finished = False
        self.processes = processes or Processes()
        self.writes = folder is not None and self.processes.first
        self.journal = Journal(folder / "metrics.jsonl" if folder is not None and self.writes else None)
        self.guard = Guard()
        self.good: dict[str, Tensor] = {}
        self.good_step = 0
        self.on_disk: list[int] = []  # checksums of the weights that model.safetensors may hold
        if settings.batch_size < self.processes.size:
            few = f"batch_size={settings.batch_size} is less than {self.processes.size} processes"
            raise InputError(f"{few}; expected at least a record for each, raise it or start fewer")

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
        rank = self.processes.rank
        with fork(derive(self.seed, "rank", rank) if rank else self.seed), self._threads():
            if resume and self.folder and (self.folder / "state.safetensors").exists():
                lines = self._restore()
                self._begin(begin)
                self.journal.begin(lines)
                if not self.finished:
                    self.journal.write({"event": "resumed", "step": self.step})
            else:
                self._prepare()
                self._begin(begin)
                self.journal.begin()
            was_finished = self.finished
            if not self.finished and self.players:
                with stop_on_signals() as stop, ProgressLine(self.title, self.progress) as line:
                    try:
                        self._loop(stop, line)
                    finally:  # however it ends, the parameters are left as they came
                        self._release()
            self._finish()
        return Outcome(self.step, self.seconds, self.best, was_finished)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        return self.journal.lines

    def _threads(self) -> AbstractContextManager[int]:
        return threads_for(self.model, self.settings.batch_size)

    def _begin(self, begin: Callable[[], None]) -> None:
        self.processes.wait()  # all have looked at the folder before one writes to it
        if self.processes.first:
            begin()

    def _prepare(self) -> None:
        began = time.monotonic()
        with torch.no_grad():
            x = self._encoded(self.train, "prepare")
            given: dict[str, Any] = {"context": self.batches.context} if self.model.raw_context else {}
            self.model.prepare(x, generator=stream(self.seed, "prepare", "model", device=self.model.device), **given)
        if not self.players:  # a closed form's whole training: no part of a budget, but of what it cost
            self.seconds = time.monotonic() - began
        self._build()
        if self.players:  # what is well from the start can be lost before the first check
            self.guard.judge(self._vitals())
        self._remember()

    def _build(self) -> None:
        for player in dict.fromkeys(self.players):
            parameters = [p for p in self.model.player_parameters(player) if p.requires_grad]
            self.optimizers[player] = optimizer_of(parameters, self.settings)
        self.average = copy.deepcopy(self.model) if self.settings.ema and self.players else self.model
        self.moving = Moving(self.model, self.average, self.optimizers)
        self.model.train()
        self.live = [p.data for p in self.model.parameters()]
        self.averaged = [p.data for p in self.average.parameters()]
        # isolated: other models of its class that were compiled in this process are no recompilations of this one
        self.move = self.model.loss
        if self.settings.compile:
            self.move = torch.compile(self.model.loss, isolate_recompiles=True)  # type: ignore

    def _encoded(self, x: Tensor, name: str) -> Tensor:
        return self.encode(x, stream(self.seed, name, device=x.device))

    def _loop(self, stop: threading.Event, line: ProgressLine) -> None:
        start = time.monotonic() - self.seconds
        saved, next_validation, cost = time.monotonic() - 4.0, 0.0, 0.0
        while True:
            if self._done(cost):
                if self._values_are_finite():
                    break
                continue
            self._take_step()
            now = time.monotonic()
            # all processes go by the slowest clock
            self.seconds, stopped, late = self.processes.largest(now - start, stop.is_set(), now - saved >= 5.0)
            if (self.step == 1 or self.step % self.settings.log_every == 0) and not self._look(line):
                continue
            if self._validation_is_due(next_validation):
                before = self.seconds
                self._validate()
                (self.seconds,) = self.processes.largest(time.monotonic() - start)
                cost = self.seconds - before
                next_validation = self.seconds + max((self.budget.time or 0) / 20, 9 * cost)
            if stopped:
                self._save()
                kept = "the state is saved, --resume continues it" if self.folder else "nothing was kept"
                raise Interrupted(f"interrupted at step {self.step}; {kept}")
            if late:
                self._save()
                saved = time.monotonic()
        if not self.log or self.log[-1].get("step") != self.step or "valid" not in self.log[-1]:
            self._validate()
        (self.seconds,) = self.processes.largest(time.monotonic() - start)

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
            return self.step % (every or max(FEWEST_STEPS, self.budget.steps // 20)) == 0
        return self.step % every == 0 if every else self.seconds >= next_at and self._fraction() > 0.05

    # -- one step --------------------------------------------------------------------------------------------------

    def _take_step(self) -> None:
        place = self.step + self.guard.passed_over
        self._stream(place)
        fraction = self._fraction()
        for player, z, context, share in self._turns(place):
            self._move(player, z, context, share, fraction)
        with torch.no_grad():
            self.model.after_step(self._last, generator=self.generator)
            if self.average is not self.model:
                # the average starts short, so that it forgets the initial weights
                weight = 1 - min(self.settings.ema, (1 + self.step) / (10 + self.step))
                torch._foreach_lerp_(self.averaged, self.live, weight)
        self.step += 1

    def _stream(self, place: int) -> None:
        """Put the generator at the start of a step's numbers; its place counts the steps that were taken back, too."""
        rank = self.processes.rank
        self.generator.manual_seed(derive(self.seed, "step", place, *(("rank", rank) if rank else ())))

    def _turns(self, place: int) -> Iterator[tuple[str, Tensor, Tensor | None, float]]:
        """Yield each player's turn in a step: its records in model space, their context, their share of the batch.

        Players that follow each other on one batch share its encoding.
        """
        repeats = max(self.players.count(p) for p in self.optimizers)
        taken, held = dict.fromkeys(self.optimizers, 0), -1
        for player in self.players:
            number = place * repeats + taken[player]
            taken[player] += 1
            if number != held:
                x, context, share = self._batch(number)
                z, held = self._encoded_batch(x), number
            yield player, z, context, share

    def _encoded_batch(self, x: Tensor) -> Tensor:
        """Return records, or windows of rows, in model space."""
        if not self.model.window:
            return self.encode(x, self.generator)
        return self.encode(x.flatten(0, 1), self.generator).unflatten(0, x.shape[:2])

    def _batch(self, number: int) -> tuple[Tensor, Tensor | None, float]:
        """Return this process's records and context of a batch, and what share of the batch they are."""
        x, context = self.batches[number]
        if self.processes.size == 1:
            return x, context, 1.0
        rows = self.processes.share(len(x))
        return x[rows], None if context is None else context[rows], len(x[rows]) / len(x)

    def _move(self, player: str, z: Tensor, context: Tensor | None, share: float, fraction: float) -> None:
        self._last = z
        optimizer = self.optimizers[player]
        self._only(player)
        optimizer.zero()
        loss = self.move(z, player=player, context=context, generator=self.generator).mean()
        if self.processes.size > 1:
            loss = share * loss
        loss.backward()
        value = loss.detach()
        if self.processes.size > 1:
            self.processes.add([*(p.grad for p in optimizer.parameters if p.grad is not None), value])
        optimizer.step(fraction, value, self.step, self.guard.factor)

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

    def _look(self, line: ProgressLine) -> bool:
        """Read what the device has, write it down, and return whether all is well; else the run went back."""
        if not self._values_are_finite():
            return False
        losses = {name: float(optimizer.loss) for name, optimizer in self.optimizers.items()}
        norms = {name: float(optimizer.norm) for name, optimizer in self.optimizers.items()}
        rate = next(iter(self.optimizers.values())).rate
        self.journal.write({"step": self.step, "seconds": self.seconds, "loss": losses, "grad_norm": norms, "lr": rate})
        note = ", ".join(f"{name} loss {value:.4g}" for name, value in losses.items())
        best = f", best {self.best.name} {self.best.value:.4g}" if self.best else ""
        line.update(self._fraction(), f"step {self.step}, {note}{best}")
        return self.step % (CHECK_EVERY * self.settings.log_every) != 0 or self._is_well()

    def _values_are_finite(self) -> bool:
        """Return whether every gradient so far was finite; else name the layer, and go back.

        Raises:
            Diverged: the run went back as often as it may.
        """
        for player, optimizer in self.optimizers.items():
            bad = int(optimizer.bad)
            if bad >= 0:
                found = self.processes.gather(self._replay(player, bad))
                where = next((words for words in found if words != NOWHERE), NOWHERE)
                reason = f"step {bad + 1}: values that are not finite begin in {where}, player {player!r}"
                if self.guard.exhausted:
                    self.journal.write({"event": "diverged", "step": bad + 1, "reason": reason})
                    again = f"after {ROLLBACKS} rollbacks, each at half the rate"
                    last = self.settings.lr * self.guard.factor
                    raise Diverged(f"{reason}; {again}; try lr below {last:g}, more clipping, or float64")
                self._go_back(reason)
                return False
        return True

    @torch.no_grad()
    def _vitals(self) -> tuple[Vital, ...]:
        self.model.eval()
        found = self.validator.vitals(self.model, self.processes)
        self.model.train()
        return found

    def _is_well(self) -> bool:
        """Check the signs that the model watches; remember the state where all is well, go back where one is lost."""
        found = self._vitals()
        if found:
            told = {vital.name: _or_none(vital.value) for vital in found}
            self.journal.write({"step": self.step, "seconds": self.seconds, "vitals": told})
        wrong = self.guard.judge(found)
        if wrong is None:
            if self.guard.healthy:
                self._remember()
            return True
        reason = f"step {self.step}: {wrong}"
        if not self.guard.exhausted:
            self._go_back(reason)
            return False
        self.guard.give_up()
        did = f"nothing more, after {ROLLBACKS} rollbacks; the weights that validate best are kept"
        self._warn({"event": "warning", "step": self.step, "reason": reason, "did": did})
        return True

    def _go_back(self, reason: str) -> None:
        """Take up the last good state, and go on from there at half the rate."""
        left, self.step = self.step, self.good_step
        for optimizer in self.optimizers.values():
            optimizer.forget()
        self.moving.take_up(self.good)
        self.guard.went_back(left - self.step)
        did = f"went back to step {self.step}, halved the rate to {self.settings.lr * self.guard.factor:g}"
        self._warn({"event": "rollback", "step": left, "to": self.step, "reason": reason, "did": did})

    def _warn(self, event: dict[str, Any]) -> None:
        self.journal.write(event)
        if self.progress:
            print(f"{self.title}: {event['reason']}; {event['did']}", file=sys.stderr, flush=True)

    def _replay(self, player: str, step: int) -> str:
        place = step + self.guard.passed_over
        self._stream(place)
        where, turns = "", len(self.players) - self.players[::-1].index(player)
        for other, z, context, _ in itertools.islice(self._turns(place), turns):
            self._only(other)
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
        result = None
        if self.processes.first:
            self.average.eval()
            with evaluating(self.average, self.settings.batch_size):  # as exact as what is stated of it afterwards
                result = self.validator(self.average)
            self.average.train()
        if self.processes.size > 1:
            told = None if result is None else [result.name, _or_none(result.value), result.direction]
            name, value, direction = self.processes.gather(told)[0]
            result = Validation(name, math.nan if value is None else value, direction)
        assert result is not None
        told_value = {result.name: _or_none(result.value)}
        self.journal.write({"step": self.step, "seconds": self.seconds, "valid": told_value})
        if result.better_than(self.best):
            self.best = result
            self.best_weights = {name: tensor.clone() for name, tensor in self.average.state_dict().items()}

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if not self.finished:
            self.finished = True
            self._save()  # the raw weights with the rest: a larger budget goes on from them
        elif self.writes and self.folder:  # lost or damaged they are mended, else they are the same bytes
            write_tensors(self.folder / "model.safetensors", self._weights_to_use())
        self.model.load_state_dict(self._weights_to_use())
        self.model.eval()

    def _weights_to_use(self) -> dict[str, Tensor]:
        return self.best_weights or self.average.state_dict()

    def _remember(self) -> None:
        """Keep the present state as the one to go back to."""
        self.good_step = self.step
        self.good = self.moving.copies() if self.players else {}

    def _save(self) -> None:
        if not self.folder:
            return
        tensors = self.moving.tensors() | self.moving.random()
        if self.good_step < self.step and not self.finished:  # a run that has ended well does not go back
            tensors |= {f"good.{k}": v for k, v in self.good.items()}
        tensors |= self.moving.of_others(tensors, self.processes)
        if not self.writes:
            return
        tensors |= {f"best.{k}": v for k, v in self.best_weights.items()}
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "best": None if self.best is None else vars(self.best),
            "finished": self.finished,
            "seed": self.seed,
            "budget": self.budget.steps or self.budget.time,
            "processes": self.processes.size,
            "lines": len(self.log),
            "good_step": self.good_step,
            "guard": self.guard.to_json(),
        }
        weights = self._weights_to_use()
        # the state first: whenever a kill comes, it names the weights that stand beside it
        self.on_disk = [checksum(weights), *self.on_disk]
        write_tensors(self.folder / "state.safetensors", tensors, state | {"weights": self.on_disk})
        write_tensors(self.folder / "model.safetensors", weights)
        self.on_disk = self.on_disk[:1]

    def _restore(self) -> list[dict[str, Any]]:
        """Take up the folder's state, and return the lines of metrics that belong to it.

        Raises:
            InputError: it is not a state of this run.
        """
        assert self.folder is not None
        path = self.folder / "state.safetensors"
        tensors, state = read_tensors(path)
        size = state.get("processes", 1)
        if size != self.processes.size:
            now = f"{self.processes.size} {'process' if self.processes.size == 1 else 'processes'}"
            raise InputError(f"--resume {self.folder}: the run had {size}, expected as many, now {now}; start {size}")
        tensors |= under(tensors, f"rank{self.processes.rank}")
        lines = read_log(self.folder / "metrics.jsonl")
        self._build()
        self.best_weights = under(tensors, "best")
        for name, module in {"best": self.model, "model": self.model, "average": self.average}.items():
            stored = under(tensors, name)
            if name == "model" or (name == "best" and stored) or (name == "average" and self.average is not self.model):
                load_weights(module, stored, path)
        try:
            state = checked_state(state)
            self.step, self.seconds = int(state["step"]), float(state["seconds"])
            self.on_disk = state["weights"]
            if self.on_disk and self.on_disk[0] != checksum(self._weights_to_use()):
                raise ValueError("the weights are not those that it names")
            self.best = None if state["best"] is None else Validation(**state["best"])
            # not the time used: a run ends early by what its last validation would take
            larger = (self.budget.steps or self.budget.time or 0) > float(state["budget"])
            self.finished = bool(state["finished"]) and not (larger and self.players)
            self.moving.take_up(tensors)
            self._remember()
            if good := under(tensors, "good"):
                self.good, self.good_step = good, int(state["good_step"])
            self.guard = Guard.from_json(state["guard"])
            self.moving.take_up_random(tensors)
            return lines[: int(state["lines"])]
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: not the state of this run ({reason}); train it again elsewhere") from None


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # NaN is no JSON
