"""From data to a trained model: everything is checked first, then it is trained."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import hexad
from hexad.checks import InputError, check_writable, hint, warn
from hexad.data import Data, load_data
from hexad.data.raw import SPLITS
from hexad.event import Event
from hexad.fitted.base import Fitted
from hexad.fitted.config import CHUNK, ModelSpec, RunConfig, assemble, pick_device
from hexad.metrics import KernelDistance
from hexad.model import GenerativeModel, Validation
from hexad.randomness import stream
from hexad.recipes import Recipe, recipe_of
from hexad.train import Budget, Processes, Settings, Trainer, write_json
from hexad.transforms import Preprocessing

__all__ = ["Run", "fit", "load_for", "plan"]


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
            ``data.event``. That very object is trained, in its own type of floats, on the records as they are.
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
        processes = Processes.join(device)
        dtype = self.model.dtype
        sets = {split: self.data.tensor(split).to(device) for split in ("train", "valid")}
        raw = self.model.raw_context
        contexts = {split: self.data.context_tensor(split, dtype, raw) for split in SPLITS}
        del contexts["test"]  # looked at only because what cannot be encoded is told before training, not after
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
            measure=_kernel_measure(sets, given["valid"], encode, self.config.seed, self.data.event.one_unit),
            folder=self.folder,
            progress=progress and processes.first,
            title=self.config.model.model,
            processes=processes,
        )

        def begin() -> None:
            announce()
            for note in self.data.notes if progress and processes.first else ():
                warn(note)
            if self.folder:
                self.folder.mkdir(parents=True, exist_ok=True)
                write_json(self.folder / "config.json", self.config.model_dump())

        outcome = trainer.run(self.resume, begin)
        processes.wait()  # until the first has written what the others may want to read
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
    if isinstance(model, GenerativeModel):
        loop = _in_its_own_type(model, loop)
    picked = recipe.settings_for(loaded.event, len(loaded.train)) if recipe else {}
    settings = Settings.checked({**picked, **loop})
    folder = None if out is None else Path(out)
    if recipe is not None:
        recipe_of(recipe.name, loaded.event)
        own = recipe.check_options(own)
        if loaded.given is not None and not recipe.conditional:
            raise InputError(f"{recipe.name} cannot be conditioned on {loaded.given}; leave out context")
        _check_context(recipe, loaded)
        scheme = recipe.scheme(loaded.event, own)
        preprocessing = Preprocessing.fit(loaded.event, scheme, loaded.tensor("train"), recipe.alpha)
        built = _build(recipe, preprocessing.event, own, loaded, seed, settings)
    elif isinstance(model, GenerativeModel):
        preprocessing = Preprocessing.fit(loaded.event, "identity", loaded.tensor("train"))
        built = model
        if model.event.shape != loaded.event.shape:
            raise InputError(f"the model's event has shape {model.event.shape}, the data's {loaded.event.shape}")
    else:
        raise InputError(f"model {model!r}: expected a name from hexad.models() or a GenerativeModel that was built")
    if settings.compile and not built.compilable:
        why = "differentiates its loss twice, which does not compile"
        raise InputError(f"compile=true: {_named(model)} {why}; leave it out")
    config = RunConfig(
        format=1,
        model=ModelSpec(model=_named(model), options=own),
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


def _check_context(recipe: Recipe, data: Data) -> None:
    """Check that a model which is nothing without a context has one, of the kind that it takes."""
    context = data.format.context
    values = () if context is None else context.encoders[0].values
    if recipe.needs_label and (context is None or len(context.encoders) > 1 or len(values) < 2):
        got = "no context" if context is None else f"the context {data.given}"
        what = f"expected one column of a few values, at least two, text or whole numbers, got {got}"
        raise InputError(f"{recipe.name} models records with their labels: {what}; name it with --data context=LABEL")
    if recipe.needs_context and context is None:
        question = "models answers given a question, and no column is the question"
        raise InputError(f"{recipe.name} {question}; name its columns with --data context=a,b")


def _named(model: str | GenerativeModel) -> str:
    return model if isinstance(model, str) else type(model).__name__


def _sorted_options(recipe: Recipe | None, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the recipe's options and the loop's."""
    known = set(recipe.options if recipe else {})
    for name in options:
        if name not in known and name not in Settings.model_fields:
            of = recipe.name if recipe else "the loop"
            raise InputError(f"unknown option {name!r} of {of}{hint(name, [*known, *Settings.model_fields])}")
    own = {name: value for name, value in options.items() if name in known}
    return own, {name: value for name, value in options.items() if name not in known}


def _in_its_own_type(model: GenerativeModel, loop: dict[str, Any]) -> dict[str, Any]:
    """Return the loop's options with the precision that a model which was built already has."""
    own = str(model.dtype).removeprefix("torch.")
    if loop.get("precision", own) != own:
        todo = f"it is {own}; build it in the other type, as by model.double()"
        raise InputError(f"option precision={loop['precision']!r} of {_named(model)}: {todo}")
    return {**loop, "precision": own}


def _build(
    recipe: Recipe, event: Event, options: dict[str, Any], data: Data, seed: int, settings: Settings
) -> GenerativeModel:
    context = data.context_tensor("train")
    width = {} if context is None else {"context": context.shape[1]}
    return assemble(recipe, event, options, width, seed, settings.precision)


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
    check_writable(folder, ("config.json", "model.safetensors", "state.safetensors", "metrics.jsonl"))
    if not folder.exists() or not [path for path in folder.iterdir() if path.name != ".config.json.tmp"]:
        return  # it holds nothing, or what a run left that was killed at its very first file
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
    sets: dict[str, Tensor], context: Tensor | None, encode: Callable[..., Tensor], seed: int, one_unit: bool
) -> Callable[[GenerativeModel, torch.Generator], Validation]:
    """Return what picks checkpoints where there is no likelihood: the distance of samples to validation records."""
    cache: list[tuple[KernelDistance, Tensor]] = []

    def measure(model: GenerativeModel, generator: torch.Generator) -> Validation:
        if not cache:
            noise = stream(seed, "measure", device=sets["train"].device)
            reference = KernelDistance(encode(sets["train"][:2000], noise), shared=one_unit)
            cache.append((reference, encode(sets["valid"][:1000], noise)))
        distance, real = cache[0]
        given = None if context is None else context[: len(real)]
        return Validation("mmd2", distance(model.sample(len(real), context=given, generator=generator), real), "lower")

    return measure
