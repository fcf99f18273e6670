"""Files of a run: whole or not at all, never code, and told in one line where they are not the run's."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from toys import Toy, built

from hexad.checks import InputError
from hexad.train import load_weights, read_json, read_tensors, replace_file, write_json, write_tensors


@contextmanager
def _full_disk(room: int) -> Iterator[None]:
    """Let no file grow beyond ``room`` bytes."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize("room", [0, 10, 5000])
def test_a_full_disk_leaves_the_old_file(room, tmp_path):
    path = tmp_path / "state.safetensors"
    write_tensors(path, {"a": torch.ones(3)}, {"step": 1})
    before = path.read_bytes()
    with _full_disk(room), pytest.raises(OSError):
        write_tensors(path, {"a": torch.ones(10_000)}, {"step": 2})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_reader_sees_the_old_file_or_the_new_and_never_both(tmp_path):
    path = tmp_path / "x"
    replace_file(path, b"old old old")
    with open(path, "rb") as reader:
        replace_file(path, b"new")
        assert reader.read() == b"old old old"
    assert path.read_bytes() == b"new"


def test_an_error_or_an_interrupt_in_between_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    replace_file(path, b"old")

    def interrupted(number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    with pytest.raises(ValueError):
        write_json(path, {"loss": float("nan")})
    assert path.read_bytes() == b"old"


def test_tensors_go_there_and_back_and_equal_ones_are_equal_bytes(tmp_path):
    tensors = {
        "b": torch.randn(3, 2).T,
        "a": torch.tensor(4),
        "c": torch.ones(2, dtype=torch.bool),
        "d": torch.randn(2, dtype=torch.float64),
        "e": torch.ones(1).expand(3),
    }
    write_tensors(tmp_path / "x", tensors, {"step": 3, "best": None})
    write_tensors(tmp_path / "y", dict(reversed(tensors.items())), {"step": 3, "best": None})
    read, state = read_tensors(tmp_path / "x")
    assert state == {"step": 3, "best": None}
    assert all(torch.equal(read[name], t) and read[name].dtype == t.dtype for name, t in tensors.items())
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    write_tensors(tmp_path / "z", tensors)
    assert read_tensors(tmp_path / "z")[1] == {}


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def _spoiled(path: Path, how: str) -> None:
    write_tensors(path, {"a": torch.ones(100)})
    content = path.read_bytes()
    bomb = path.with_name("executed")
    if how == "pickle":
        path.write_bytes(pickle.dumps(Bomb(bomb)))
    elif how == "torch":
        torch.save({"a": Bomb(bomb)}, path)
    elif how == "folder":
        path.unlink()
        path.mkdir()
    else:
        cut = {"empty": b"", "truncated": content[:-50], "header": content[:20], "long": content + b"x"}
        cut |= {"huge": b"\xff" * 8 + content[8:], "state": b"\x02" + b"\0" * 7 + b"[]"}
        path.write_bytes(cut[how])


@pytest.mark.parametrize("how", ["pickle", "torch", "folder", "empty", "truncated", "header", "long", "huge", "state"])
def test_what_is_no_safetensors_is_told_and_nothing_executes(how, tmp_path):
    path = tmp_path / "model.safetensors"
    _spoiled(path, how)
    with pytest.raises(InputError, match="cannot be read" if how == "folder" else "not a safetensors file") as caught:
        read_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a": 1} x'])
def test_what_is_no_json(content, tmp_path):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"no such file" if content is None else "does not read as JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_json_goes_there_and_back(tmp_path):
    form = {"a": [1, 0.1, None, True], "b": {"c": "ä\n"}}
    write_json(tmp_path / "x.json", form)
    assert read_json(tmp_path / "x.json") == form


def test_missing_tensors_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_tensors(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("log_scale", None, "tensor 'log_scale' is missing"),
        ("zzz", torch.zeros(1), "tensor 'zzz' is not one of the model's"),
        ("log_scale", torch.zeros(3, dtype=torch.float64), "is torch.float64, expected torch.float32"),
        ("moves", torch.zeros(()), "is torch.float32, expected torch.int64"),
        ("chain", torch.zeros(5, 3), "shapes are not the model's"),
    ],
)
def test_weights_of_another_model(name, tensor, words, tmp_path):
    model = built(Toy)
    tensors = {**model.state_dict(), name: tensor}
    if tensor is None:
        del tensors[name]
    with pytest.raises(InputError, match=words) as caught:
        load_weights(model, tensors, tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)


def test_weights_of_this_model(tmp_path):
    model, other = built(Toy), built(Toy, 1)
    load_weights(model, other.state_dict(), tmp_path)
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in model.state_dict().items())
