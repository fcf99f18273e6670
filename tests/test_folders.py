"""Run folders that are missing, changed, newer, foreign or hostile: one line, exit 2, nothing executed or lost."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

TRAIN = ("train", "made", "tree", "--steps", "3", "--set", "hidden=[8]")


@pytest.fixture
def run(command, tmp_path):
    """Return the folder of a small run."""
    assert command(*TRAIN, "--out", tmp_path / "run")[0] == 0
    return tmp_path / "run"


def _change_config(run, **changes):
    config = json.loads((run / "config.json").read_text()) | changes
    (run / "config.json").write_text(json.dumps(config))


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


def test_a_damaged_state_does_not_resume(run, command):
    (run / "state.safetensors").write_bytes(pickle.dumps(_Bomb()))
    status, _, err = command(*TRAIN, "--out", run, "--resume")
    assert (status, err.count("\n")) == (2, 1)


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
