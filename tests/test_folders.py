"""Run folders that are missing, changed, newer, foreign or hostile: one line, exit 2, nothing executed or lost."""

from __future__ import annotations

import functools
import json
import operator
import os
import pickle
import resource
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

from hexad.train import read_tensors

TRAIN = ("train", "made", "tree", "--steps", "3", "--set", "hidden=[8]")


@pytest.fixture
def run(command, tmp_path):
    """Return the folder of a small run."""
    assert command(*TRAIN, "--out", tmp_path / "run")[0] == 0
    return tmp_path / "run"


def _change_config(run, **changes):
    config = json.loads((run / "config.json").read_text()) | changes
    (run / "config.json").write_text(json.dumps(config))


def _set(run, place, value):
    """Set a value deep in the config, by the names on the way."""
    *way, last = place.split(".")
    config = json.loads((run / "config.json").read_text())
    functools.reduce(operator.getitem, way, config)[last] = value
    (run / "config.json").write_text(json.dumps(config))


def _change_state(run, change):
    """Change the state beside the tensors; without its checksum, as if nothing had come to harm."""
    tensors, state = read_tensors(run / "state.safetensors")
    text = json.dumps(change(state))
    save_file(tensors, run / "state.safetensors", {"state": text})


def _flip(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 64
    path.write_bytes(bytes(content))


def _change_weights(run, change):
    tensors = load_file(run / "model.safetensors")
    save_file(change(tensors), run / "model.safetensors")


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch bomb-went-off",)


DAMAGES = {
    "no folder": lambda run: shutil.rmtree(run),
    "no config": lambda run: (run / "config.json").unlink(),
    "no weights": lambda run: (run / "model.safetensors").unlink(),
    "config truncated": lambda run: (run / "config.json").write_text((run / "config.json").read_text()[:100]),
    "config is a list": lambda run: (run / "config.json").write_text("[1, 2]"),
    "config deep": lambda run: (run / "config.json").write_text("[" * 100_000),
    "config not text": lambda run: (run / "config.json").write_bytes(b"\xff\xfe\x00"),
    "newer": lambda run: _change_config(run, format=99),
    "unknown key": lambda run: _change_config(run, code="os.system"),
    "unknown model": lambda run: _change_config(run, model={"model": "os.system", "options": {}}),
    "bad options": lambda run: _change_config(run, model={"model": "made", "options": {"hidden": [9]}}),
    "weights truncated": lambda run: (run / "model.safetensors").write_bytes(
        (run / "model.safetensors").read_bytes()[:-7]
    ),
    "weights empty": lambda run: (run / "model.safetensors").write_bytes(b""),
    "pickle as weights": lambda run: (run / "model.safetensors").write_bytes(pickle.dumps(_Bomb())),
    "missing tensor": lambda run: _change_weights(run, lambda t: dict(list(t.items())[1:])),
    "extra tensor": lambda run: _change_weights(run, lambda t: t | {"extra": torch.zeros(1)}),
    "wrong type": lambda run: _change_weights(run, lambda t: {k: v.double() for k, v in t.items()}),
    "one bit of the weights": lambda run: _flip(run / "model.safetensors", -3),
    "records larger than the model": lambda run: _set(run, "data.event.shape", [10**12]),
    "a format of other records": lambda run: _set(run, "data.format.record", [2, 2]),
    "a type of no numbers": lambda run: _set(run, "data.format.dtypes", ["O"]),
    "a context of nothing": lambda run: _set(run, "data.given", "label"),
    "levels as text": lambda run: _set(run, "data.event.supports", [{"kind": "binary", "levels": "2", "step": 0.0}]),
    "an option of the data's reader": lambda run: _set(run, "data.source.options", ["a"]),
    "a scale of nothing": lambda run: _set(
        run, "preprocessing", {"scheme": "standard", "shift": [0.0], "scale": [0.0]}
    ),
    "two scales": lambda run: _set(run, "preprocessing", {"scheme": "standard", "scale": [1.0, 1.0]}),
    "no chunk": lambda run: _change_config(run, chunk=0),
    "an endless chunk": lambda run: _change_config(run, chunk=10**12),
    "a budget that is no number": lambda run: _change_config(run, budget={"steps": float("nan")}),
    "settings as text": lambda run: _change_config(run, settings={"lr": "fast"}),
    "a log that is no text": lambda run: (run / "metrics.jsonl").write_bytes(b"\x80\n{}\n"),
    "a log of other things": lambda run: (run / "metrics.jsonl").write_text('[1]\n{"step": 1}\n'),
    "a log of words": lambda run: (run / "metrics.jsonl").write_text('{"step": 1, "seconds": 0.1, "loss": "low"}\n'),
    "a folder as log": lambda run: ((run / "metrics.jsonl").unlink(), (run / "metrics.jsonl").mkdir()),
    "one bit of the state": lambda run: _flip(run / "state.safetensors", -3),
    "a state before the first step": lambda run: _change_state(run, lambda state: state | {"step": -(10**9)}),
    "an endless time": lambda run: _change_state(run, lambda state: state | {"seconds": float("inf")}),
    "a state as list": lambda run: _change_state(run, list),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_run_is_one_line(damage, run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    damage(run)
    out = tmp_path / "samples.csv"
    out.write_text("kept")
    for argv in (("sample", run, "-n", "3", "--out", out), ("evaluate", run)):
        status, printed, err = command(*argv)
        assert (status, printed, err.count("\n")) == (2, "", 1), err
        assert str(run) in err
    assert out.read_text() == "kept"
    assert not (tmp_path / "bomb-went-off").exists()


DAMAGED_STATES = {
    "pickle": lambda run: (run / "state.safetensors").write_bytes(pickle.dumps(_Bomb())),
    "one bit": lambda run: _flip(run / "state.safetensors", -3),
    "a step before the first": lambda run: _change_state(run, lambda state: state | {"step": -(10**9)}),
    "a step of words": lambda run: _change_state(run, lambda state: state | {"step": "3"}),
    "no time": lambda run: _change_state(run, lambda state: {k: v for k, v in state.items() if k != "seconds"}),
    "no best": lambda run: _change_state(run, lambda state: state | {"best": {"name": "x", "value": "y"}}),
    "other weights": lambda run: _change_state(run, lambda state: state | {"weights": [1]}),
    "a log that is no text": lambda run: (run / "metrics.jsonl").write_bytes(b"\x80\n"),
    "a folder as weights": lambda run: ((run / "model.safetensors").unlink(), (run / "model.safetensors").mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGED_STATES.values(), ids=DAMAGED_STATES.keys())
def test_a_damaged_state_does_not_resume(damage, run, command):
    damage(run)
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    more = [part if part != "3" else "5" for part in TRAIN]
    status, printed, err = command(*more, "--out", run, "--resume")
    assert (status, printed, err.count("\n")) == (2, "", 1), err
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: _flip(path, -3)], ids=["lost", "one bit"])
def test_a_finished_run_mends_its_weights(damage, run, command):
    weights = (run / "model.safetensors").read_bytes()
    damage(run / "model.safetensors")
    assert command("evaluate", run)[0] == 2
    assert command(*TRAIN, "--out", run, "--resume")[0] == 0
    assert (run / "model.safetensors").read_bytes() == weights


def test_a_run_that_was_killed_at_its_first_file_goes_on(command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".config.json.tmp").write_text("{")
    assert command(*TRAIN, "--out", tmp_path / "run", "--resume")[0] == 0
    assert not list((tmp_path / "run").glob(".*"))


def test_folders_of_others_are_left_alone(run, command, tmp_path):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    status, _, err = command(*TRAIN, "--out", run)
    assert (status, err.count("\n")) == (2, 1)
    assert "--resume" in err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.txt").write_text("one")
    assert command(*TRAIN, "--out", foreign)[0] == 2
    assert command(*TRAIN, "--out", foreign / "chapter.txt")[0] == 2
    assert (foreign / "chapter.txt").read_text() == "one"


def test_a_full_disk_is_exit_1_and_nothing_half_written(run, command, tmp_path):
    out = tmp_path / "samples.csv"
    out.write_text("kept")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, old[1]))
        sampled = command("sample", run, "-n", "5000", "--out", out)
        trained = command(*TRAIN, "--set", "batch_size=7", "--out", tmp_path / "other")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert sampled[0] == 1
    assert sampled[2].count("\n") == 1
    assert out.read_text() == "kept"
    assert trained[0] == 1
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "other" / "model.safetensors").exists()
