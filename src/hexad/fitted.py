"""From data to a trained model and back from its folder: ``fit``, ``load``, and what they return."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

import hexad
from hexad.checks import InputError, hint, one_line
from hexad.data import Data, Format, load_data
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.metrics import KernelDistance
from hexad.model import GenerativeModel, Trajectory, Validation
from hexad.randomness import fork, stream
from hexad.recipes import RECIPES, Recipe, recipe_of
from hexad.train import Budget, Settings, Trainer, load_weights, read_json, read_tensors, threads_for, write_json
from hexad.transforms import Preprocessing

__all__ = ["Fitted", "Run", "RunConfig", "fit", "load", "load_for", "pick_device", "plan"]

FORMAT = 1
CHUNK = 256  # rows of one stream of samples; a part of the run's config, so that n never changes sample i
LIKELIHOOD_ROWS = 4096  # rows, draws included, that are scored at once
DEQUANTISATION_DRAWS = 16


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


@dataclass(eq=False)
class Fitted:
    """A trained model with everything between it and the user's own records.

    Attributes:
        model: the model, in eval mode, in model space.
        preprocessing: from the user's records to model space.
        format: the user's columns, order and types.
        config: the run's config.
        seconds: of the training loop.
        folder: the run's folder, or None.
        log: the lines of ``metrics.jsonl``.
    """

    model: GenerativeModel
    preprocessing: Preprocessing
    format: Format
    config: RunConfig
    seconds: float = 0.0
    folder: Path | None = None
    was_finished: bool = False
    log: list[dict[str, Any]] | None = None

    @property
    def event(self) -> Event:
        """What one record is, in the user's units."""
        return self.preprocessing.source

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.model.model

    @property
    def family(self) -> str:
        """The model's family; ``custom`` for a model of the user's own."""
        return RECIPES[self.name].family if self.name in RECIPES else "custom"

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None, context: Any = None) -> Any:
        """Return n samples in the user's own types and units.

        Sample i depends on the seed and on i alone: chunk k of the config's ``chunk`` rows has a stream of its own.

        Args:
            n: how many, at least 1; for a model of series, consecutive rows.
            seed: None for fresh entropy.
            context: for a conditional model, one entry a sample in the user's units, or one for all.

        Raises:
            InputError: n is not a positive whole number, or the context is missing or not wanted.
        """
        return self.format.decode(self.sample_tensor(n, seed, context))

    @torch.no_grad()
    def sample_tensor(self, n: int, seed: int | None = None, context: Any = None) -> Tensor:
        """Return n samples in the user's units as a tensor, (n, \\*event.shape) in float64."""
        return self.preprocessing.decode(self._generate(n, seed, context, self.model.sample).to("cpu"))

    @torch.no_grad()
    def path(self, n: int, seed: int | None = None, context: Any = None) -> Trajectory:
        """Return how n samples are made: states in the user's units, the last equal to ``sample(n, seed)``.

        The states before the last are not rounded to the data's grid.
        """
        found: list[Trajectory] = []

        def states(rows: int, **options: Any) -> Tensor:
            trajectory = self.model.path(rows, **options)
            found.append(trajectory)
            return trajectory.states.transpose(0, 1)

        z = self._generate(n, seed, context, states).transpose(0, 1).to("cpu")
        between = [self.preprocessing.map.inverse(state.double()) for state in z[:-1]]
        last = self.format.encode(self.format.decode(self.preprocessing.decode(z[-1]))).double()
        outside = [torch.from_numpy(self.format.arrangement.outside(state.numpy())) for state in [*between, last]]
        return Trajectory(torch.stack(outside), found[0].axis, found[0].labels)

    def _generate(self, n: int, seed: int | None, context: Any, make: Callable[..., Tensor]) -> Tensor:
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InputError(f"number of samples {n!r}: expected a whole number of at least 1")
        chunk = self.config.chunk
        rows = self._context(context, n)
        base = stream(seed).initial_seed() if seed is None else seed
        device = self.model.device
        if self.model.couples_batch:  # rows of a series follow each other: one stream, a whole number of chunks
            return make(math.ceil(n / chunk) * chunk, generator=stream(base, "sample", device=device))[:n]
        parts = []
        with threads_for(self.model, chunk):
            for k in range(math.ceil(n / chunk)):
                given = None
                if rows is not None:
                    given = rows[k * chunk : (k + 1) * chunk]
                    given = torch.cat([given, given[-1:].expand(chunk - len(given), -1)]).to(device)
                parts.append(make(chunk, context=given, generator=stream(base, "sample", k, device=device)))
        return torch.cat(parts)[:n]

    def _context(self, context: Any, n: int) -> Tensor | None:
        given = self.config.data.get("given")
        if given is None:
            if context is not None:
                raise InputError("this model is unconditional, it takes no context; train it with --data context=NAME")
            return None
        if context is None:
            raise InputError(f"this model is conditioned on {given!r}: give context, one value or one a sample")
        values = context if np.ndim(context) else [context] * n
        rows = self.format.encode_context(values)
        if len(rows) != n:
            raise InputError(f"context: expected {n} values of {given!r}, one a record, got {len(rows)}")
        return rows

    @torch.no_grad()
    def log_likelihood(self, x: Any, context: Any = None, seed: int = 0) -> LogLikelihood:
        """Return log p of each record as the user gave it, with its kind.

        Args:
            x: a split, a frame (columns by name), an array or a tensor, in the user's units.
            context: for a conditional model, one entry a record.
            seed: of the draws, where there are any: the same twice is the same answer.

        Raises:
            InputError: x is not like the training data, or the model has no likelihood (the reason is given).
        """
        result = self.try_log_likelihood(self.format.encode(x), context, seed)
        if result is None:
            raise InputError(f"{self.name} has no likelihood: {self.model.why_no_likelihood}")
        return result

    @torch.no_grad()
    def try_log_likelihood(self, x: Tensor, context: Any = None, seed: int = 0) -> LogLikelihood | None:
        """Return log p of records that are tensors, (n, \\*event.shape) in the user's units, or None where there is
        none.
        """
        rows = self._context(context, len(x))
        draws = DEQUANTISATION_DRAWS if self.preprocessing.dequantises else 1
        size = len(x) if self.model.couples_batch else max(1, LIKELIHOOD_ROWS // draws)
        parts = []
        for k, start in enumerate(range(0, len(x), size)):
            given = None if rows is None else rows[start : start + size]
            generator = stream(seed, "likelihood", k, device=self.model.device)
            with threads_for(self.model, size):
                part = self._score(x[start : start + size], given, draws, generator)
            if part is None:
                return None
            parts.append(part)
        return LogLikelihood.cat(parts)

    def _score(self, x: Tensor, context: Tensor | None, draws: int, generator: torch.Generator) -> LogLikelihood | None:
        repeated = x.to(self.model.device).repeat(draws, *[1] * (x.dim() - 1))
        z, log_det = self.preprocessing.encode(repeated, generator=generator, dtype=self.model.dtype)
        given = None if context is None else context.to(self.model.device, self.model.dtype).repeat(draws, 1)
        scored = self.model.log_likelihood(z, context=given, generator=generator)
        if scored is None:
            return None
        name = self.config.data.get("given")
        scored = scored.shifted(log_det).named(given=name)
        return self.preprocessing.state(scored.split(len(x)))

    @property
    def parameters(self) -> int:
        """Number of trained parameters, or of fitted numbers where the model is a closed form."""
        trained = sum(p.numel() for p in self.model.parameters())
        return trained or sum(b.numel() for b in self.model.buffers())

    def __repr__(self) -> str:
        size = f"{self.parameters:,} parameters"
        where = f"{self.name}, {self.family}, {self.config.data['name']}, {self.event}"
        return f"Fitted({where}, {size}, {self.seconds:.1f} s)"


def pick_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the accelerator where there is one.

    Raises:
        InputError: no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = one_line(error).split(".")[0][:120]
        raise InputError(f"device {name!r}: not usable here ({reason}); use auto or cpu") from None
    return device


def fit(
    model: str | GenerativeModel,
    data: Any,
    *,
    time: str | float | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> Fitted:
    """Train a model on data.

    Args:
        model: a name from ``hexad.models()``, or a :class:`~hexad.model.GenerativeModel` of your own, built for
            ``data.event``.
        data: what ``load_data`` takes, or what it returned.
        time, steps: the budget, one of them: ``"90s"``, ``"2m"``; neither is 60 s.
        out: folder of the run; None keeps nothing on disk.
        seed: of initialisation, data order and noise; never of the splits.
        device: ``auto``, ``cpu``, ``cuda``, ...
        resume: whether to continue the run in ``out``.
        progress: whether to show progress on standard error.
        options: the recipe's and the loop's, by keyword.

    Raises:
        InputError: anything of it is wrong; nothing has been written by then.
    """
    run = plan(model, data, time=time, steps=steps, out=out, seed=seed, device=device, resume=resume, options=options)
    return run.train(progress)


@dataclass
class Run:
    """A run that was checked whole and not begun."""

    data: Data
    model: GenerativeModel
    preprocessing: Preprocessing
    config: RunConfig
    budget: Budget
    settings: Settings
    folder: Path | None
    resume: bool

    def train(self, progress: bool = True, announce: Callable[[], None] = lambda: None) -> Fitted:
        """Train it, and return the result; ``announce`` is called when everything was found good and it begins."""
        device = torch.device(self.config.device)
        dtype = self.model.dtype
        sets = {split: self.data.tensor(split).to(device) for split in ("train", "valid")}
        contexts = {split: self.data.context_tensor(split) for split in ("train", "valid")}
        given = {split: None if c is None else c.to(device, dtype) for split, c in contexts.items()}

        def encode(x: Tensor, generator: torch.Generator) -> Tensor:
            return self.preprocessing.encode(x, generator=generator, dtype=dtype)[0]

        trainer = Trainer(
            self.model,
            sets["train"],
            sets["valid"],
            encode=encode,
            budget=self.budget,
            settings=self.settings,
            seed=self.config.seed,
            context=given["train"],
            context_valid=given["valid"],
            measure=_kernel_measure(sets["train"], sets["valid"], given["valid"], encode, self.config.seed),
            folder=self.folder,
            progress=progress,
            title=self.config.model.model,
        )

        def begin() -> None:
            announce()
            if self.folder:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_json(self.folder / "config.json", self.config.model_dump())

        outcome = trainer.run(self.resume, begin)
        return Fitted(
            model=self.model,
            preprocessing=self.preprocessing,
            format=self.data.format,
            config=self.config,
            seconds=outcome.seconds,
            folder=self.folder,
            was_finished=outcome.was_finished,
            log=trainer.log,
        )


def plan(
    model: str | GenerativeModel,
    data: Any,
    *,
    time: str | float | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    options: dict[str, Any] | None = None,
    default_time: str = "60s",
) -> Run:
    """Check everything that :func:`fit` was given and build the model; write nothing.

    Raises:
        InputError: anything of it is wrong.
    """
    options = dict(options or {})
    budget = Budget.of(steps, time, default_time)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise InputError(f"seed {seed!r}: expected a whole number from 0 to 2^63 - 1")
    place = pick_device(device)
    recipe = recipe_of(model) if isinstance(model, str) else None
    loaded = load_for(model, data) if isinstance(model, str) else load_data(data)
    own, loop = _sorted_options(recipe, options)
    settings = Settings.checked({**(recipe.settings if recipe else {}), **loop})
    folder = None if out is None else Path(out)
    if recipe is not None:
        recipe_of(recipe.name, loaded.event)
        own = recipe.check_options(own)
        if loaded.given is not None and not recipe.conditional:
            raise InputError(f"{recipe.name} cannot be conditioned; leave out context={loaded.given}")
        scheme = recipe.schemes[loaded.event.kind]
        preprocessing = Preprocessing.fit(loaded.event, scheme, loaded.tensor("train"))
        built = _build(recipe, preprocessing.event, own, loaded, seed, settings)
    else:
        assert isinstance(model, GenerativeModel)
        preprocessing = Preprocessing.fit(loaded.event, "identity", loaded.tensor("train"))
        built = model
        if model.event.shape != loaded.event.shape:
            raise InputError(f"the model's event has shape {model.event.shape}, the data's {loaded.event.shape}")
    config = RunConfig(
        format=1,
        model=ModelSpec(model=recipe.name if recipe else type(model).__name__, options=own),
        settings=settings.model_dump(),
        budget={"steps": budget.steps} if budget.steps is not None else {"time": budget.time or 0.0},
        data=_data_form(loaded),
        preprocessing=preprocessing.to_json(),
        seed=seed,
        chunk=CHUNK,
        device=str(place),
        threads=torch.get_num_threads(),
        versions={"hexad": hexad.__version__, "torch": torch.__version__, "python": platform.python_version()},
    )
    if folder is not None:
        _check_folder(folder, config, resume)
    elif resume:
        raise InputError("resume needs the folder of the run: give out")
    return Run(loaded, built.to(place), preprocessing, config, budget, settings, folder, resume)


def load_for(model: str, source: Any, **options: Any) -> Data:
    """Return ``load_data(source, **options)``; for a model of series a table without dates is read as a series.

    Raises:
        InputError: there is no such model, or the source cannot be read.
    """
    recipe = recipe_of(model)
    data = load_data(source, **options)
    if recipe.layouts == ("series",) and data.event.layout == "vector" and "layout" not in options:
        return load_data(source, layout="series", **options) if not isinstance(source, Data) else data
    return data


def _sorted_options(recipe: Recipe | None, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the recipe's options and the loop's."""
    known = set(recipe.options if recipe else {})
    for name in options:
        if name not in known and name not in Settings.model_fields:
            of = recipe.name if recipe else "the loop"
            raise InputError(f"unknown option {name!r} of {of}{hint(name, [*known, *Settings.model_fields])}")
    own = {name: value for name, value in options.items() if name in known}
    return own, {name: value for name, value in options.items() if name not in known}


def _build(
    recipe: Recipe, event: Event, options: dict[str, Any], data: Data, seed: int, settings: Settings
) -> GenerativeModel:
    context = data.context_tensor("train")
    width = {} if context is None else {"context": context.shape[1]}
    return _assemble(recipe, event, options, width, seed, settings.precision)


def _assemble(
    recipe: Recipe, event: Event, options: dict[str, Any], width: dict[str, int], seed: int, precision: str
) -> GenerativeModel:
    try:
        with fork(seed):
            model = recipe.build(event, **options, **width)
    except (ValueError, RuntimeError) as error:  # a size that the event cannot have, or that memory cannot hold
        raise InputError(f"{recipe.name}: {one_line(error)[:300]}; change its options") from None
    return model if recipe.closed_form else model.to(getattr(torch, precision))


def _data_form(data: Data) -> dict[str, Any]:
    context = data.context_tensor("train")
    return {
        "name": data.name,
        "source": data.source,
        "event": data.event.to_json(),
        "format": data.format.to_json(),
        "given": data.given,
        "context_features": 0 if context is None else context.shape[1],
        "sizes": {split: len(getattr(data, split)) for split in ("train", "valid", "test")},
    }


def _check_folder(folder: Path, config: RunConfig, resume: bool) -> None:
    """Check that a run may be written to ``folder``; a resumed one must be the same but for a larger budget."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file, expected a folder; choose another")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "config.json").exists():
        raise InputError(f"--out {folder}: holds other files, expected an empty folder or a run; choose another")
    if not resume:
        raise InputError(f"--out {folder}: holds another run; add --resume to continue it, or choose another folder")
    old = RunConfig.read(folder)
    for key in ("model", "settings", "data", "preprocessing", "seed", "chunk"):
        if getattr(old, key) != getattr(RunConfig.model_validate_json(config.model_dump_json()), key):
            raise InputError(f"--resume {folder}: {key} differs from the run's; a resume may only raise steps or time")
    for unit, value in config.budget.items():
        if unit not in old.budget:
            raise InputError(f"--resume {folder}: the run's budget is {old.budget}, expected the same unit, not {unit}")
        if value < old.budget[unit]:
            given = f"{unit} {value:g} is below the run's {old.budget[unit]:g}"
            raise InputError(f"--resume {folder}: {given}; raise it or keep it")


def _kernel_measure(
    train: Tensor, valid: Tensor, context: Tensor | None, encode: Callable[..., Tensor], seed: int
) -> Callable[[GenerativeModel, torch.Generator], Validation]:
    """Return what picks checkpoints where there is no likelihood: the distance of samples to validation records."""
    cache: list[tuple[KernelDistance, Tensor]] = []

    def measure(model: GenerativeModel, generator: torch.Generator) -> Validation:
        if not cache:
            noise = stream(seed, "measure", device=train.device)
            cache.append((KernelDistance(encode(train[:2000], noise)), encode(valid[:1000], noise)))
        distance, real = cache[0]
        given = None if context is None else context[: len(real)]
        return Validation("mmd2", distance(model.sample(len(real), context=given, generator=generator), real), "lower")

    return measure


def load(folder: str | Path, model: GenerativeModel | None = None, device: str = "auto") -> Fitted:
    """Return the trained model of a run's folder; nothing that lies in the folder can execute.

    Args:
        folder: of a run that ``fit`` or ``hexad train`` wrote.
        model: for a run of your own model, that model, freshly built.
        device: where to put it.

    Raises:
        InputError: a file is missing, truncated, changed, newer, or not of this model.
    """
    folder = Path(folder)
    config = RunConfig.read(folder)
    path = folder / "config.json"
    try:
        event = Event.from_json(config.data["event"])
        form = Format.from_json(config.data["format"])
        preprocessing = Preprocessing.from_json(event, config.preprocessing)
        settings = Settings.checked(config.settings)
        features = int(config.data["context_features"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path}: does not describe a run ({one_line(error)[:200]}); train the run again") from None
    if model is None:
        name = config.model.model
        if name not in RECIPES:
            raise InputError(f"{folder}: a run of {name!r}, no model of hexad; load it with hexad.load(dir, model=...)")
        recipe = recipe_of(name)
        options = recipe.check_options(config.model.options)
        width = {"context": features} if features else {}
        model = _assemble(recipe, preprocessing.event, options, width, config.seed, settings.precision)
    weights, _ = read_tensors(folder / "model.safetensors")
    load_weights(model, weights, folder / "model.safetensors")
    state = folder / "state.safetensors"
    seconds = float(read_tensors(state)[1].get("seconds", 0.0)) if state.exists() else 0.0
    log = read_log(folder / "metrics.jsonl")
    model = model.to(pick_device(device)).eval()
    return Fitted(model, preprocessing, form, config, seconds=seconds, folder=folder, log=log)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a ``metrics.jsonl``; a last line that a kill cut in half is left out."""
    records = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            records.append(json.loads(text))
        except ValueError:
            break
    return records
