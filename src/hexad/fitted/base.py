"""``Fitted``: a trained model with everything between it and the user's own records, and how it is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from hexad.checks import InputError, one_line
from hexad.data import Data, Format
from hexad.event import Event
from hexad.fitted.config import RunConfig, assemble, pick_device
from hexad.fitted.decision import decide
from hexad.fitted.decoding import decoding_of, extend, sampler
from hexad.fitted.imputation import Imputed, impute
from hexad.fitted.outliers import score_outliers
from hexad.fitted.prediction import predict
from hexad.fitted.summary import summary
from hexad.likelihood import LogLikelihood
from hexad.model import GenerativeModel, Timed, Trajectory, at_time
from hexad.randomness import stream
from hexad.recipes import find_recipe, problems, recipe_of
from hexad.train import Settings, checked_state, checksum, evaluating, load_weights, read_log, read_tensors
from hexad.transforms import Preprocessing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Fitted", "load"]

LIKELIHOOD_ROWS = 4096  # rows, draws included, that are scored at once
DEQUANTISATION_DRAWS = 16
SHARED = 65_536  # columns of a record, the most of a text: models of sequences use their numbers at every place
MOST_VALUES = 10**9  # of samples that are drawn at once: 8 GB


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

    def __post_init__(self) -> None:
        if self.config.settings.get("compile") is True:
            self.model.compile_for_use()

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
        recipe = find_recipe(self.name)
        return "custom" if recipe is None else recipe.family

    @torch.no_grad()
    def sample(
        self,
        n: int,
        seed: int | None = None,
        context: Any = None,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        prompt: Any = None,
        length: int | None = None,
        time: int | None = None,
    ) -> Any:
        """Return n samples in the user's own types and units.

        Sample i depends on the seed and on i alone: chunk k of the config's ``chunk`` rows has a stream of its own.

        With a temperature, ``top_k`` or ``top_p``, see :class:`~hexad.autoregressive.Decoding`, samples do not follow
        the model's law: they are for looking at, and no likelihood and no metric is theirs.

        Args:
            n: how many, at least 1; for a model of series, consecutive rows.
            seed: None for fresh entropy.
            context: for a conditional model, one record a sample in the user's units, or one for all: a frame or a
                mapping (its columns by name), or an array (by position); plain values where it is one column.
            temperature: of binary and ordinal columns that are drawn one after another; below 1 sharper.
            top_k: of each such column only the k likeliest levels.
            top_p: of each such column only the fewest levels that together have this probability.
            prompt: of texts and sequences of levels, what each sample begins with: a string, or levels (k,).
            length: of texts and sequences of levels, how long a sample is, the prompt included; None: as in training.
                Beyond that the model sees the end of what stands there alone, see
                :meth:`~hexad.autoregressive.Autoregressive.extend`.
            time: of the first row, for a model of series with a trend or seasons; 0, as None, is the first training
                row's.

        Raises:
            InputError: n is not a positive whole number, the context is missing or not wanted, or an option is out of
                its range or not for this model.
        """
        decoding, model = decoding_of(self, temperature, top_k, top_p), self._at(time)
        if prompt is not None or length is not None:
            return extend(self, n, seed, context, decoding, prompt, length)
        drawn = self.generate(n, seed, context, sampler(model, decoding))
        return self.format.decode(self.preprocessing.decode(drawn.to("cpu")))

    @torch.no_grad()
    def sample_tensor(self, n: int, seed: int | None = None, context: Any = None, time: int | None = None) -> Tensor:
        """Return n samples in the user's units as a tensor, (n, \\*event.shape) in float64."""
        return self.preprocessing.decode(self.generate(n, seed, context, self._at(time).sample).to("cpu"))

    def _at(self, time: int | None) -> GenerativeModel:
        """Return the model whose rows begin at ``time``, refused where rows have no time."""
        if time is not None and self.event.layout != "series":
            what = f"rows of a series have one, {self.name} is of {self.event.layout} data"
            raise InputError(f"time {time}: {what}; leave it out")
        return at_time(self.model, time or 0)

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

        z = self.generate(n, seed, context, states).transpose(0, 1).to("cpu")
        between = [self.preprocessing.map.inverse(state.double()) for state in z[:-1]]
        last = self.format.encode(self.format.decode(self.preprocessing.decode(z[-1]))).double()
        outside = [torch.from_numpy(self.format.arrangement.outside(state.numpy())) for state in [*between, last]]
        return Trajectory(torch.stack(outside), found[0].axis, found[0].labels)

    def generate(
        self,
        n: int,
        seed: int | None,
        context: Any,
        make: Callable[..., Tensor],
        dims: int | None = None,
        chunk: int | None = None,
    ) -> Tensor:
        """Return n rows of what ``make`` gives, chunk by chunk, each from its stream.

        Args:
            n: how many, at least 1.
            seed: None for fresh entropy.
            context: as for :meth:`sample`.
            make: called as the model's ``sample`` is.
            dims: values a row; None: as many as a record has columns.
            chunk: rows a chunk; None: the config's.

        Raises:
            InputError: one of them is out of its range.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise InputError(f"number of samples {n!r}: expected a whole number of at least 1")
        dims = dims or self.event.dims
        if n * dims > MOST_VALUES:
            most = f"at most {MOST_VALUES // dims:,} records of {dims} columns at once"
            raise InputError(f"number of samples {n:,}: expected {most}; draw the rest with other seeds")
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise InputError(f"seed {seed!r}: expected a whole number of at least 0")
        chunk = chunk or self.config.chunk
        rows = self.given(context, n)
        base = stream(seed).initial_seed() if seed is None else seed
        device = self.model.device
        if self.model.couples_batch:  # rows of a series follow each other: one stream, a whole number of chunks
            whole = math.ceil(n / chunk) * chunk
            given = None if rows is None else torch.cat([rows, rows[-1:].expand(whole - n, -1)]).to(device)
            return make(whole, context=given, generator=stream(base, "sample", device=device))[:n]
        parts = []
        with evaluating(self.model, chunk):
            for k in range(math.ceil(n / chunk)):
                given = None
                if rows is not None:
                    given = rows[k * chunk : (k + 1) * chunk]
                    given = torch.cat([given, given[-1:].expand(chunk - len(given), -1)]).to(device)
                parts.append(make(chunk, context=given, generator=stream(base, "sample", k, device=device)))
        return torch.cat(parts)[:n]

    def given(self, context: Any, n: int) -> Tensor | None:
        """Return the context of n records in the user's units as the model takes it, (n, features); None without one.

        Raises:
            InputError: it is missing, not wanted, or not like the training data's.
        """
        given = self.config.data.get("given")
        if given is None:
            if context is not None:
                raise InputError("this model is unconditional, it takes no context; train it with --data context=NAME")
            return None
        if context is None:
            raise InputError(f"this model is conditioned on {given!r}: give context, one record or one a sample")
        return self.format.encode_context(context, n, self.model.dtype, self.model.raw_context)

    def predict(
        self, context: Any, level: float = 0.9, n: int = 1000, seed: int = 0, *, progress: bool = False
    ) -> pd.DataFrame:
        """Return what a conditional model says of its variables: of each the mean and a central interval.

        Draw i of row j depends on the seed, on i and on j alone; the same call twice is the same answer.

        Args:
            context: one record a row, as for :meth:`sample`.
            level: probability of each interval.
            n: draws a row.
            seed: of the draws.
            progress: whether to show progress on standard error.

        Returns:
            A frame with a row a record of context and the columns ``mean``, ``lower``, ``upper``, or ``NAME_mean``, ...
            where there are several variables, in the user's units and in full precision.

        Raises:
            InputError: the model is unconditional, the context does not fit, or another argument is out of its range.
        """
        return predict(self, context, level, n, seed, progress)

    def impute(
        self,
        x: Any,
        draws: int = 1,
        fill: Literal["draw", "center"] = "draw",
        context: Any = None,
        seed: int = 0,
        *,
        progress: bool = False,
    ) -> Imputed:
        """Return records with their gaps filled by what the model says of them given the rest of the record.

        Args:
            x: a frame (empty cells are missing; other columns may stand beside), or an array (NaN is missing).
            draws: number of completed copies: what is not known differs between them (multiple imputation; Rubin,
                1987).
            fill: ``draw``; or ``center``: of 100 draws the mean of a real column, the most frequent of codes. A table
                so filled has less spread than the data.
            context: for a conditional model, one record of context a record.
            seed: of the draws: the same twice is the same answer.
            progress: whether to show progress on standard error.

        Returns:
            ``data``, as x with the gaps filled (a list of such for several draws), and how well they are known.

        Raises:
            InputError: the model does not impute, x is not like the training data, or an argument is out of its range.
        """
        return impute(self, x, draws, fill, context, seed, progress)

    def summary(self) -> pd.DataFrame:
        """Return what least squares on the training rows say, of a run of ``ar`` with ``method=cls``.

        Returns:
            A row a term (``const``, ``trend``, ``s(2,4)``, ``sales.L1``, ...) and the columns ``coef``, ``std err``,
            ``z``, ``P>|z|``, ``[0.025`` and ``0.975]``, in the user's units; of several columns the index is column
            and term. ``print(fitted.model.summary())`` shows the log-likelihood and the criteria too.

        Raises:
            InputError: the model has no such table, or no standard errors.
        """
        return summary(self)

    def score_outliers(
        self,
        x: Any,
        kind: Literal["likelihood", "typicality"] = "likelihood",
        *,
        context: Any = None,
        reference: Data | None = None,
        seed: int = 0,
        time: int | None = None,
    ) -> np.ndarray:
        r"""Return how strange records are to the model, (n,) in float64: higher is stranger.

        ``likelihood``: :math:`-\log p(x)` in nats; of a bound or an interval its value; of a model of energies the
        energy, which is that up to log Z, common to all records. ``typicality``: :math:`|\log p(x) + H|` in standard
        deviations of log p, where :math:`-H` is its mean over at most 1,000 validation records: records that are too
        likely are strange too.

        A likelihood may well be *higher* on strange records than on those of training (Nalisnick et al., 2019).

        Args:
            x: records as for :meth:`log_likelihood`.
            kind: of score.
            context: for a conditional model, one record of context a record, as for :meth:`sample`.
            reference: for ``typicality``, the data whose validation records are used; None: the run's own, read again.
            seed: of the draws, where there are any.
            time: as for :meth:`log_likelihood`.

        Raises:
            InputError: x is not like the training data; the model has no likelihood (the reason is given); or the
                run's own data are gone.
        """
        return score_outliers(self, x, kind, context, reference, seed, time)

    def decide(self, x: Any, search: str | None = None, seed: int = 0, *, progress: bool = False) -> pd.DataFrame:
        """Return the answer of least energy to each question, of a model that is a :class:`~hexad.model.Decider`.

        Args:
            x: questions in the user's units: the context, as for :meth:`sample`, of a model of answers given a
                question; records, as for :meth:`log_likelihood`, of a model of records given their class.
            search: how it is looked for, one of the model's ``searches``; None: the first of them.
            seed: of searches that draw. What is drawn for row j depends on the seed and on j alone.
            progress: whether to show progress on standard error.

        Returns:
            A frame with a row a question: the answer's columns in the user's own names and types, ``energy``, the next
            best answer that the search met as ``runner_up``, or ``NAME_runner_up`` where an answer has several
            columns, and ``runner_up_energy``. What was not met is missing, at an infinite energy. Where a column of
            the answer has one of these names, the added one has an underscore behind it.

        Raises:
            InputError: the model decides nothing, the search is unknown (the nearest is named) or cannot go through so
                many answers, or the questions do not fit.
        """
        return decide(self, x, search, seed, progress)

    @torch.no_grad()
    def log_likelihood(self, x: Any, context: Any = None, seed: int = 0, time: int | None = None) -> LogLikelihood:
        """Return log p of each record as the user gave it, with its kind.

        Args:
            x: a split, a frame (columns by name), an array or a tensor, in the user's units.
            context: for a conditional model, one record of context a record, as for :meth:`sample`.
            seed: of the draws, where there are any: the same twice is the same answer.
            time: of the first row of x, for a model of series with a trend or seasons, which has to be told: 0 is the
                first training row's, and the splits follow each other.

        Raises:
            InputError: x is not like the training data, the model has no likelihood (the reason is given), or its law
                depends on the time and none was given.
        """
        result = self.try_log_likelihood(self.format.encode(x), context, seed, time)
        if result is None:
            raise InputError(f"{self.name} has no likelihood: {self.model.why_no_likelihood}")
        return result

    @torch.no_grad()
    def try_log_likelihood(
        self, x: Tensor, context: Any = None, seed: int = 0, time: int | None = None
    ) -> LogLikelihood | None:
        """Return log p of records that are tensors, (n, \\*event.shape) in the user's units, or None where there is
        none.
        """
        if time is None and isinstance(self.model, Timed) and self.model.timed:
            sizes = self.config.data["sizes"]
            ends = f"{sizes['train']} of the validation and {sizes['train'] + sizes['valid']} of the test split"
            what = f"{self.name}: with a trend or seasons log p depends on the time, and these rows do not say theirs"
            raise InputError(f"{what}; give their time (time=, --time): 0 for the first training row's, {ends}")
        return self.stated(x, context, seed, self._at(time).log_likelihood)

    @torch.no_grad()
    def stated(
        self, x: Tensor, context: Any, seed: int, state: Callable[..., LogLikelihood | None]
    ) -> LogLikelihood | None:
        """Return what ``state`` says of records, batch by batch, brought back to the user's units.

        Args:
            x: records that are tensors, (n, \\*event.shape) in the user's units.
            context: one record of context a record, or None.
            seed: of the draws.
            state: called as the model's ``log_likelihood`` is, with records in model space.
        """
        if len(x) == 0:
            raise InputError("log-likelihood: no records, expected at least one")
        rows = self.given(context, len(x))
        draws = DEQUANTISATION_DRAWS if self.preprocessing.dequantises else 1
        size = len(x) if self.model.couples_batch else max(1, LIKELIHOOD_ROWS // draws)
        parts = []
        for k, start in enumerate(range(0, len(x), size)):
            given = None if rows is None else rows[start : start + size]
            generator = stream(seed, "likelihood", k, device=self.model.device)
            with evaluating(self.model, size):
                part = self._score(x[start : start + size], given, draws, generator, state)
            if part is None:
                return None
            parts.append(part)
        return LogLikelihood.cat(parts)

    def _score(
        self,
        x: Tensor,
        context: Tensor | None,
        draws: int,
        generator: torch.Generator,
        state: Callable[..., LogLikelihood | None],
    ) -> LogLikelihood | None:
        repeated = x.to(self.model.device).repeat(draws, *[1] * (x.dim() - 1))
        z, log_det = self.preprocessing.encode(repeated, generator=generator, dtype=self.model.dtype)
        given = None if context is None else context.to(self.model.device, self.model.dtype).repeat(draws, 1)
        scored = state(z, context=given, generator=generator)
        if scored is None:
            return None
        name = self.config.data.get("given")
        scored = scored.shifted(log_det).named(given=name)
        return self.preprocessing.state(scored.split(len(x)))

    @property
    def parameters(self) -> int:
        """Number of trained parameters, or of fitted numbers where the model is a closed form."""
        return self.model.numbers

    def __repr__(self) -> str:
        size = f"{self.parameters:,} parameters"
        where = f"{self.name}, {self.family}, {self.config.data['name']}, {self.event}"
        return f"Fitted({where}, {size}, {self.seconds:.1f} s)"


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
    name, path = config.model.model, folder / "config.json"
    if model is None and find_recipe(name) is None:
        what = f"{folder}: a run of {name!r}, no model of hexad or of an installed package"
        todo = "install its package, or load it with hexad.load(dir, model=...)"
        raise InputError("; ".join([what, *problems(), todo]))
    weights, _ = read_tensors(folder / "model.safetensors")
    try:
        numbers = sum(tensor.numel() for tensor in weights.values())
        most = max(SHARED, numbers) if model is None else model.event.dims
        preprocessing, form = _outside(config, most)
        own = _rebuilt(config, preprocessing.event) if model is None else model
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise InputError(f"{path}: does not describe a run ({one_line(error)[:200]}); train the run again") from None
    load_weights(own, weights, folder / "model.safetensors")
    seconds = _seconds(folder, weights)
    log = read_log(folder / "metrics.jsonl")
    own = own.to(pick_device(device)).eval()
    return Fitted(own, preprocessing, form, config, seconds=seconds, folder=folder, log=log)


def _outside(config: RunConfig, most: int) -> tuple[Preprocessing, Format]:
    """Return what lies between the user's records and the model.

    Args:
        config: of the run.
        most: columns that a record can have: where they are many, a model has at least as many numbers.

    Raises:
        ValueError: the parts do not fit each other.
    """
    if math.prod(config.data["event"]["shape"]) > most:
        raise ValueError(f"records of shape {config.data['event']['shape']} and a model of at most {most} columns")
    event, form = Event.from_json(config.data["event"]), Format.from_json(config.data["format"])
    given, features = config.data["given"], config.data["context_features"]
    if form.event != event:
        raise ValueError(f"the format's event is {form.event}, the data's {event}")
    if (None if form.context is None else (form.context.name, form.context.size)) != (given and (given, features)):
        raise ValueError(f"{features} features of the context {given!r} do not fit the format's")
    return Preprocessing.from_json(event, config.preprocessing), form


def _rebuilt(config: RunConfig, event: Event) -> GenerativeModel:
    recipe = recipe_of(config.model.model)
    features = config.data["context_features"]
    width = {"context": features} if features else {}
    options = recipe.check_options(config.model.options)
    return assemble(recipe, event, options, width, config.seed, Settings.checked(config.settings).precision)


def _seconds(folder: Path, weights: dict[str, Tensor]) -> float:
    """Return the seconds that a run was trained, 0 where its state was taken away; its weights are to be those of it.

    Raises:
        InputError: the state is none, or the weights are not what was written with it.
    """
    path = folder / "state.safetensors"
    if not path.exists():
        return 0.0
    try:
        state = checked_state(read_tensors(path)[1])
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the state of a run ({one_line(error)[:200]}); train it again") from None
    if state["weights"] and checksum(weights) not in state["weights"]:
        what = "not as the run wrote it, by its checksum"
        raise InputError(f"{folder / 'model.safetensors'}: {what}; hexad train --resume writes it again")
    return float(state["seconds"])
