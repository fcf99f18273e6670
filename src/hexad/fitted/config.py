"""``config.json``, what rebuilds a run, and the other files of a run's folder that are not weights."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hexad.checks import InputError, one_line
from hexad.event import Event
from hexad.model import GenerativeModel
from hexad.randomness import fork
from hexad.recipes import Recipe
from hexad.train import launched, read_json

__all__ = ["CHUNK", "FORMAT", "ModelSpec", "RunConfig", "assemble", "pick_device"]

FORMAT = 1
CHUNK = 256  # rows of one stream of samples; a part of the run's config, so that n never changes sample i


class ModelSpec(BaseModel):
    """A recipe's name and the options that it is called with."""

    model_config = ConfigDict(extra="forbid")
    model: str
    options: dict[str, Any]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _Support(_Form):
    kind: Literal["binary", "ordinal", "real"]
    levels: int = Field(ge=0)
    step: float = Field(ge=0)
    low: float | None = None
    high: float | None = None


class _Event(_Form):
    shape: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)
    layout: Literal["vector", "image", "series", "sequence"]
    supports: list[_Support] = Field(min_length=1)
    names: list[str]


class _Context(_Form):
    name: str
    values: list[int | str]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class _Format(_Form):
    event: _Event
    container: Literal["frame", "array", "text"]
    columns: list[str | int]
    dtypes: list[str]
    record: list[Annotated[int, Field(ge=1)]]
    channels_last: bool
    offsets: list[float]
    ignored: list[str]
    context: _Context | Annotated[list[_Context], Field(min_length=2)] | None
    alphabet: str = ""


class _Dates(_Form):
    name: str
    pattern: str


class _Source(_Form):
    kind: Literal["builtin", "file", "memory"]
    path: str | None
    options: dict[str, Any]
    fingerprint: str
    splits: str
    dates: _Dates | None = None


class _Data(_Form):
    name: str
    source: _Source
    event: _Event
    format: _Format
    given: str | None
    context_features: int = Field(ge=0)
    sizes: dict[str, int]


class _Preprocessing(_Form):
    scheme: Literal["identity", "standard", "columns", "dequantise", "logit", "unit"]
    shift: list[float] = Field(default=[0.0], min_length=1)
    scale: list[Annotated[float, Field(gt=0)]] = Field(default=[1.0], min_length=1)
    unit: list[Annotated[float, Field(gt=0)]] = Field(default=[1.0], min_length=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)


class RunConfig(BaseModel):
    """``config.json``: all that rebuilds a run, but for its weights.

    What other rooms wrote and read (``data``, ``preprocessing``) stays as the JSON values that it was; :meth:`read`
    checks that it may be these.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    format: Literal[1]
    model: ModelSpec
    settings: dict[str, Any]
    budget: dict[Literal["steps", "time"], Annotated[int | float, Field(gt=0)]] = Field(min_length=1, max_length=1)
    data: dict[str, Any]
    preprocessing: dict[str, Any]
    seed: int = Field(ge=0, lt=2**63)
    chunk: int = Field(ge=1, le=1 << 20)
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
            _Whole.model_validate(form)
            return cls.model_validate(form)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            reason = first["msg"].lower()
            raise InputError(f"{path}: {where}: {reason}; the file was changed, train the run again") from None


class _Whole(RunConfig):
    data: _Data  # type: ignore[assignment]
    preprocessing: _Preprocessing  # type: ignore[assignment]


def assemble(
    recipe: Recipe, event: Event, options: dict[str, Any], width: dict[str, int], seed: int, precision: str
) -> GenerativeModel:
    try:
        with fork(seed):
            model = recipe.build(event, **options, **width)
    except (
        ValueError,
        RuntimeError,
        TypeError,
        ArithmeticError,
        MemoryError,
    ) as error:  # a size that the event cannot have, or that memory cannot hold
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
