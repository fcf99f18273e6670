"""``config.json``, what rebuilds a run, and the other files of a run's folder that are not weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from hexad.checks import InputError, one_line
from hexad.event import Event
from hexad.model import GenerativeModel
from hexad.randomness import fork
from hexad.recipes import Recipe
from hexad.train import launched, read_json

__all__ = ["CHUNK", "FORMAT", "ModelSpec", "RunConfig", "assemble", "pick_device", "read_log"]

FORMAT = 1
CHUNK = 256  # rows of one stream of samples; a part of the run's config, so that n never changes sample i


class ModelSpec(BaseModel):
    """A recipe's name and the options that it is called with."""

    model_config = ConfigDict(extra="forbid")
    model: str
    options: dict[str, Any]


class RunConfig(BaseModel):
    """``config.json``: all that rebuilds a run, but for its weights."""

    model_config = ConfigDict(extra="forbid")
    format: Literal[1]
    model: ModelSpec
    settings: dict[str, Any]
    budget: dict[str, float | int]
    data: dict[str, Any]
    preprocessing: dict[str, Any]
    seed: int
    chunk: int
    device: str
    threads: int
    versions: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> RunConfig:
        """Read a run's config.

        Raises:
            InputError: it is missing, does not parse, is of a newer format, or holds what it should not.
        """
        path = folder / "config.json"
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder, expected the folder of a run; train one with hexad train")
        form = read_json(path)
        number = form.get("format") if isinstance(form, dict) else None
        if isinstance(number, int) and number > FORMAT:
            raise InputError(f"{path}: format {number} is newer than this hexad's {FORMAT}; upgrade hexad to read it")
        try:
            return cls.model_validate(form)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            reason = first["msg"].lower()
            raise InputError(f"{path}: {where}: {reason}; the file was changed, train the run again") from None


def assemble(
    recipe: Recipe, event: Event, options: dict[str, Any], width: dict[str, int], seed: int, precision: str
) -> GenerativeModel:
    try:
        with fork(seed):
            model = recipe.build(event, **options, **width)
    except (ValueError, RuntimeError) as error:  # a size that the event cannot have, or that memory cannot hold
        raise InputError(f"{recipe.name}: {one_line(error)[:300]}; change its options") from None
    return model if recipe.closed_form else model.to(getattr(torch, precision))


def pick_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the accelerator where there is one, of several processes each its own.

    Raises:
        InputError: no such device on this machine.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if launched() else torch.device("cuda")
    try:
        device = torch.device(name)
        if device.type not in ("cpu", "cuda"):  # the guard lives in the fused optimizer, which these two have
            raise InputError(f"device {name!r}: hexad runs on cpu and cuda; use auto, cpu or cuda")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = one_line(error).split(".")[0][:120]
        raise InputError(f"device {name!r}: not usable here ({reason}); use auto or cpu") from None
    return device


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a ``metrics.jsonl``; a last line that a kill cut in half is left out."""
    records = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(text))
        except ValueError:
            break
    return records
