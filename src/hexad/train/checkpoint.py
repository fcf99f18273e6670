"""Files of a run: tensors as safetensors, everything else as JSON, each replaced whole or not at all.

Nothing that is read here can execute: safetensors hold tensors, JSON holds values.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from hexad.checks import InputError, one_line

__all__ = [
    "checked_state",
    "checksum",
    "load_weights",
    "read_json",
    "read_log",
    "read_tensors",
    "replace_file",
    "write_json",
    "write_tensors",
]

MOST = 1e300  # larger numbers, whole ones too, are no times and no losses


def replace_file(path: Path, content: bytes) -> None:
    """Write a file by temporary file, fsync and rename, so that it is old or new and never in between.

    Raises:
        OSError: the disk refused; the temporary file is gone and the old one as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, form: Any) -> None:
    """Write one JSON value, replaced whole; a file that holds it already is left alone."""
    content = (json.dumps(form, indent=1, allow_nan=False) + "\n").encode()
    if not path.is_file() or path.read_bytes() != content:
        replace_file(path, content)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        InputError: there is none, or it does not parse.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a run's {path.name}; name the folder of a run") from None
    except OSError as error:
        raise InputError(_unreadable(path, error)) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: does not read as JSON ({one_line(error)}); the run must be trained again") from None


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror or one_line(error)}); mend that and try again"


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a ``metrics.jsonl``, none where there is no such file.

    A last line that a kill cut in half is left out.

    Raises:
        InputError: it cannot be read, or another line is not one that a run writes.
    """
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise InputError(_unreadable(path, error)) from None
    records = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            records.append(_entry(json.loads(line)))
        except (ValueError, RecursionError) as error:
            reason = one_line(error)[:80]
            raise InputError(
                f"{path}: line {number} is none of a run's ({reason}); remove the file or the line"
            ) from None
    return records


def _entry(line: Any) -> dict[str, Any]:
    """Return a line of the log if it is an event, or numbers by name at a step and a time.

    Raises:
        ValueError: it is neither.
    """
    if not isinstance(line, dict) or type(line.get("step")) is not int:
        raise ValueError("expected an object with a step")
    if isinstance(line.get("event"), str):
        return line
    named = [line.get(key, {}) for key in ("loss", "grad_norm", "valid", "vitals")]
    if not all(isinstance(values, dict) for values in named):
        raise ValueError("expected numbers by name")
    told = [value for values in named for value in values.values() if value is not None]  # None: it was not finite
    for value in (line.get("seconds"), *told):
        if type(value) not in (int, float) or abs(value) > MOST:
            raise ValueError(f"expected numbers, got {str(value)[:30]!r}")
    return line


def checked_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's state says beside its tensors, if it may be so.

    Raises:
        ValueError: a step, a time, a budget or a validation is none.
    """
    step, best = state["step"], state["best"]
    if type(step) is not int or not 0 <= step < 2**53:
        raise ValueError(f"step {str(step)[:30]!r}")
    for name in ("seconds", "budget"):
        if type(state[name]) not in (int, float) or not 0 <= state[name] < MOST:
            raise ValueError(f"{name} {str(state[name])[:30]!r}")
    weights = state.get("weights", [])
    if not isinstance(weights, list):
        raise ValueError(f"weights {str(weights)[:30]!r}")
    if best is not None:
        value, direction = best["value"], best["direction"]
        if type(value) not in (int, float) or not abs(value) < MOST or direction not in ("higher", "lower"):
            raise ValueError(f"best {str(best)[:60]}")
    return {**state, "weights": weights}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Write tensors as safetensors, and ``state``, where given, as one JSON string under one metadata key.

    A checksum of both goes into the state: what came to harm on a disk would train on, and diverge or look trained.
    """
    stored = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    metadata = None
    if state is not None:
        metadata = {"state": json.dumps({**state, "crc32": checksum(stored, state)})}
    replace_file(path, serialise_tensors(stored, metadata))


def checksum(tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> int:
    """Return the CRC-32 of the names and bytes of tensors, and of the state beside them."""
    check = zlib.crc32(json.dumps(state).encode())
    for name in sorted(tensors):
        values = tensors[name].detach().to("cpu").contiguous().reshape(-1)
        check = zlib.crc32(values.view(torch.uint8).numpy().data, zlib.crc32(name.encode(), check))
    return check


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file and its state (empty where it has none).

    Raises:
        InputError: there is no such file, or it is not one, or its state is not of its tensors.
    """
    try:
        content = path.read_bytes()
        tensors = parse_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        state = json.loads(header.get("__metadata__", {}).get("state", "{}"))
        if not isinstance(state, dict):
            raise ValueError("its state is no JSON object")
        if (check := state.pop("crc32", None)) is not None and check != checksum(tensors, state):
            raise ValueError("its checksum is not that of its content")
        return tensors, state
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the run was not trained to a first save, train it (again)") from None
    except OSError as error:
        raise InputError(_unreadable(path, error)) from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = one_line(error)
        raise InputError(f"{path}: not a safetensors file ({reason}); train the run again") from None


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors into a model whose names, shapes and types must be theirs.

    Raises:
        InputError: they are not; one line says which.
    """
    own = model.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        if name not in tensors or name not in own:
            what = "is missing" if name in own else "is not one of the model's"
            raise InputError(f"{path}: tensor {name!r} {what}; the file is not of this run's model, train it again")
        if own[name].dtype != tensors[name].dtype:
            got, expected = tensors[name].dtype, own[name].dtype
            raise InputError(f"{path}: tensor {name!r} is {got}, expected {expected}; train the run again")
    try:
        with torch.no_grad():
            model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise InputError(f"{path}: shapes are not the model's ({one_line(error)[:200]}); train the run again") from None
