"""A run that was stopped, however it was, continues to the bytes of one that was not."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import Duel, Fixed, Toy, built, trainer

from hexad.checks import InputError
from hexad.train import Interrupted, Trainer, read_tensors, write_tensors
from hexad.train import loop as loop_module


class Pulled(RuntimeError):  # noqa: N818
    """The plug."""


class Clock:
    """A clock that a step moves by three seconds, so that states are saved between steps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def _stopped(kind: type, at: int, how: str) -> type:
    """Return a toy that stops itself during step ``at`` (counted from 1), by a signal or as if the plug were pulled."""

    class Stopped(kind):  # type: ignore[misc]
        taken = 0

        def after_step(self, x: torch.Tensor, **options: Any) -> None:
            super().after_step(x, **options)
            type(self).taken += 1
            Clock.now += 3.0
            if type(self).taken == at:
                if how == "pulled":
                    raise Pulled
                os.kill(os.getpid(), getattr(signal, how))

    return Stopped


def _metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def _without_time(folder: Path) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in _metrics(folder) if "event" not in line]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock.now = 0.0
    monkeypatch.setattr(loop_module, "time", Clock())


@pytest.mark.parametrize(
    ("how", "at", "options"),
    [
        ("SIGTERM", 1, {}),
        ("SIGTERM", 23, {}),
        ("SIGINT", 11, {"precision": "float64", "ema": 0.0}),
        ("pulled", 14, {}),
        ("pulled", 14, {"optimizer": "sgd", "lr": 0.01}),
        ("pulled", 9, {"schedule": "linear", "clip": 0.0, "validate_every": 0}),
    ],
)
@pytest.mark.parametrize("kind", [Toy, Duel])
def test_resume_is_exact(kind, how, at, options, tmp_path, clock):
    def model(kind: type, seed: int) -> Any:
        return built(kind, seed).to(getattr(torch, options.get("precision", "float32")))

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer(model(kind, 0), whole, **options).run()
    random = torch.get_rng_state()
    with pytest.raises((Interrupted, Pulled)):
        trainer(model(_stopped(kind, at, how), 0), cut, **options).run()
    assert torch.equal(random, torch.get_rng_state())
    saved = read_tensors(cut / "state.safetensors")[1]["step"]
    assert saved == at if how != "pulled" else 0 < saved < at
    torch.manual_seed(99)  # neither the global state nor the new model's weights matter
    again = trainer(model(kind, 5), cut, **options)
    outcome = again.run(resume=True)
    assert (outcome.steps, outcome.was_finished) == (23, False)
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    a, b = (read_tensors(folder / "state.safetensors")[0] for folder in (whole, cut))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    told = _without_time(cut)
    assert [line for i, line in enumerate(told) if line not in told[:i]] == _without_time(whole)
    assert [line for line in _metrics(cut) if "event" in line] == [{"event": "resumed", "step": saved}]
    assert again.log == _metrics(cut)


def test_metrics_are_cut_back_to_the_state(tmp_path, clock):
    with pytest.raises(Pulled):
        trainer(built(_stopped(Toy, 15, "pulled")), tmp_path, log_every=1).run()
    saved = read_tensors(tmp_path / "state.safetensors")[1]["step"]
    assert max(line["step"] for line in _metrics(tmp_path)) > saved
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 15, "lo')  # cut in half
    trainer(built(Toy), tmp_path, log_every=1).run(resume=True)
    lines = _metrics(tmp_path)
    k = lines.index({"event": "resumed", "step": saved})
    assert max(line["step"] for line in lines[:k]) == saved
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 24))


@pytest.mark.parametrize("budget", [{"steps": 7}, {"time": 0.2}])
@pytest.mark.parametrize("kind", [Toy, Duel, Fixed])
def test_a_finished_run_does_nothing(kind, budget, tmp_path):
    trainer(built(kind), tmp_path, **budget).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = trainer(built(kind, 3), tmp_path, **budget)
    outcome = again.run(resume=True)
    assert outcome.was_finished
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    weights = read_tensors(tmp_path / "model.safetensors")[0]
    assert all(torch.equal(weights[name], tensor) for name, tensor in again.model.state_dict().items())


@pytest.mark.parametrize("kind", [Toy, Duel])
def test_raised_steps_go_on_from_the_raw_weights(kind, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    trainer(built(kind), once, 20, schedule="constant").run()
    trainer(built(kind), twice, 8, schedule="constant").run()
    assert trainer(built(kind), twice, 20, schedule="constant").run(resume=True).steps == 20
    assert (once / "model.safetensors").read_bytes() == (twice / "model.safetensors").read_bytes()


def test_time_used_is_part_of_the_state(tmp_path, clock):
    with pytest.raises(Interrupted):
        trainer(built(_stopped(Toy, 4, "SIGTERM")), tmp_path, time=30.0).run()
    assert read_tensors(tmp_path / "state.safetensors")[1]["seconds"] == 12.0
    outcome = trainer(built(_stopped(Toy, 99, "SIGTERM")), tmp_path, time=30.0).run(resume=True)
    assert (outcome.steps, outcome.seconds) == (10, 30.0)


def test_resume_without_a_state_starts_at_step_0(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    trainer(built(Toy), a, 5).run()
    trainer(built(Toy), b, 5).run(resume=True)
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def _drop(tensors: dict[str, torch.Tensor], name: str) -> None:
    del tensors[name]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t, s: _drop(t, "model.log_scale"), "'log_scale' is missing"),
        (lambda t, s: _drop(t, "best.chain"), "'chain' is missing"),
        (lambda t, s: t.update({"average.odd": torch.zeros(1)}), "'odd' is not one of the model's"),
        (lambda t, s: t.update({"model.chain": torch.zeros(4, 3, dtype=torch.float64)}), "expected torch.float32"),
        (lambda t, s: t.update({"model.chain": torch.zeros(5, 3)}), "shapes are not the model's"),
        (lambda t, s: t.update({"optimizer.model.0.exp_avg": torch.zeros(2)}), "not of its shape"),
        (lambda t, s: _drop(t, "optimizer.model.bad"), "not the state of this run"),
        (lambda t, s: t.update({"global_random": torch.zeros(3)}), "not the state of this run"),
        (lambda t, s: s.pop("step"), "not the state of this run"),
        (lambda t, s: s.update(best={"name": "x"}), "not the state of this run"),
    ],
)
def test_a_spoilt_state_is_told_in_one_line(spoil, words, tmp_path):
    trainer(built(Toy), tmp_path, 5).run()
    tensors, state = read_tensors(tmp_path / "state.safetensors")
    spoil(tensors, state)
    write_tensors(tmp_path / "state.safetensors", tensors, state)
    with pytest.raises(InputError, match=words) as caught:
        trainer(built(Toy), tmp_path, 9).run(resume=True)
    assert "\n" not in str(caught.value)


def test_handlers_of_signals_are_given_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as caught:
        trainer(built(_stopped(Toy, 2, "SIGTERM")), tmp_path).run()
    assert "interrupted at step 2" in str(caught.value)
    assert isinstance(caught.value, KeyboardInterrupt)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run: Trainer = trainer(built(Toy), None, 3)
    assert run.run().steps == 3
    assert list(tmp_path.iterdir()) == []
