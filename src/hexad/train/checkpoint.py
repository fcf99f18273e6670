"""Files of a run: tensors as safetensors, everything else as JSON, each replaced whole or not at all.

Nothing that is read here can execute: safetensors hold tensors, JSON holds values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from torch import Tensor, nn

from hexad.checks import InputError, one_line

__all__ = ["load_weights", "read_json", "read_tensors", "replace_file", "write_json", "write_tensors"]


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
    """Write one JSON value, replaced whole."""
    replace_file(path, (json.dumps(form, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
        InputError: there is none, or it does not parse.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a run's {path.name}; name the folder of a run") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: does not read as JSON ({one_line(error)}); the run must be trained again") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any] | None = None) -> None:
    """Write tensors as safetensors, and ``state``, where given, as one JSON string under one metadata key."""
    stored = {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in tensors.items()}
    metadata = None if state is None else {"state": json.dumps(state)}
    replace_file(path, serialise_tensors(stored, metadata))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file and its state (empty where it has none).

    Raises:
        InputError: there is no such file, or it is not one.
    """
    try:
        content = path.read_bytes()
        tensors = parse_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return tensors, json.loads(header.get("__metadata__", {}).get("state", "{}"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the run was not trained to a first save, train it (again)") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
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
