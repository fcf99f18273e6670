"""The contract check that anyone can run on a model of their own: :func:`check_model`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hexad.checks import one_line
from hexad.event import Event
from hexad.likelihood import LogLikelihood
from hexad.model import Density, GenerativeModel, Trajectory, Validation, Vital
from hexad.randomness import stream

__all__ = ["check_model", "example_records"]

ROWS, DRAWS, STATES = 16, 16_384, 4_096


def check_model(model: GenerativeModel, *, x: Tensor | None = None, seed: int = 0) -> None:
    r"""Check that a model keeps the promises of :class:`~hexad.model.GenerativeModel`.

    The model itself is left as it is: copies are checked. What is checked, in this order:

    1. ``repr`` names the class; ``players`` share the parameters out, exactly one player each.
    2. ``prepare`` and ``after_step`` keep every name and type of ``state_dict``.
    3. ``loss`` gives each player finite numbers, (batch,), equal for equal generators; row i depends on record i alone
       (unless ``couples_batch``).
    4. Its gradient reaches every parameter of its player, finite, and no other's.
    5. ``sample`` has the event's shape and support, is equal for equal generators and new for ``generator=None``.
    6. ``path`` ends at ``sample`` of the same generator, with a label a state.
    7. ``log_likelihood`` is a :class:`~hexad.likelihood.LogLikelihood` in the event's measure, a number a record, rows
       independent, equal for equal generators; or None with a reason in ``why_no_likelihood``. So are ``validate``
       and ``vitals``.
    8. None of these moves a parameter or a buffer, or touches torch's global random state.
    9. ``load_state_dict`` alone makes an untouched copy the same model; ``double()`` makes it one in float64.
    10. Samples follow ``log_prob`` of a :class:`~hexad.model.Density`: the probabilities of few enough states sum to 1,
        and random functions of the state have the mean that the samples have; in at most 4 real columns the mean of
        g(x)/p(x) over samples is 1, where g is uniform on small balls; each to 5 standard errors.

    Args:
        model: freshly built (``prepare`` is called on a copy).
        x: training records in model space, (n, \*event.shape), at least 32; None: drawn from the event's supports.
        seed: of everything that is drawn.

    Raises:
        AssertionError: a promise is broken; the words say which and how to mend it.
    """
    fresh = copy.deepcopy(model)
    records = example_records(model.event, 256, seed) if x is None else x
    records = records.to(model.device, model.dtype)
    _check_structure(fresh)
    ready = _prepared(fresh, records, seed)
    for checked in (ready, copy.deepcopy(ready).double()):
        rows = records[:ROWS].to(checked.dtype), records[ROWS : 2 * ROWS].to(checked.dtype)
        check = _Check(checked, *rows, seed)
        with check.untouched("loss"):
            check.loss()
        checked.eval()
        with check.untouched("sample or path"):
            check.sample()
        with check.untouched("log_likelihood, validate or vitals"), torch.no_grad():
            check.log_likelihood()
            check.vitals()
    _check_reload(fresh, ready.eval(), records[:ROWS], seed)
    if isinstance(ready, Density) and not ready.couples_batch:
        _check_density(copy.deepcopy(ready).double(), seed)


def example_records(event: Event, n: int, seed: int = 0) -> Tensor:
    """Return n records on the supports of an event, (n, \\*shape): fair levels, normals on their grids."""
    generator = stream(seed, "records")
    columns = []
    for support in event.supports:
        if support.levels:
            columns.append(torch.randint(support.levels, (n,), generator=generator).double())
        else:
            column = torch.randn(n, generator=generator, dtype=torch.float64)
            columns.append((column / support.step).round() * support.step if support.step else column)
    return torch.stack(columns, 1).reshape(n, *event.shape)


def _require(model: nn.Module, holds: bool | Tensor, broken: str, mend: str) -> None:
    if not bool(holds):
        raise AssertionError(f"{type(model).__name__}: {broken}; {mend}")


def _check_structure(model: GenerativeModel) -> None:
    _require(model, type(model).__name__ in repr(model), "repr does not name the class", "leave it to nn.Module")
    owners: dict[int, list[str]] = {id(p): [] for p in model.parameters()}
    for player in dict.fromkeys(model.players):
        for parameter in model.player_parameters(player):
            known = id(parameter) in owners
            _require(model, known, f"player {player!r} moves a tensor that is no parameter of the model", "register it")
            owners[id(parameter)].append(player)
    for name, parameter in model.named_parameters():
        players = owners[id(parameter)]
        what = f"parameter {name!r} is moved by {players or 'no player'}"
        _require(model, len(players) == 1, what, "player_parameters must give every parameter to exactly one player")


def _prepared(fresh: GenerativeModel, x: Tensor, seed: int) -> GenerativeModel:
    model = copy.deepcopy(fresh)
    for method in (model.prepare, model.after_step):
        before = {name: t.dtype for name, t in model.state_dict().items()}
        with torch.no_grad():
            method(x, generator=stream(seed, "prepare", device=model.device))
        same = before == {name: t.dtype for name, t in model.state_dict().items()}
        mend = "register every fitted tensor in __init__"
        _require(model, same, f"{method.__name__} changed names or types of state_dict", mend)
    return model


class _Check:
    """The checks of one model on records ``x``, beside ``other`` records of the same number."""

    def __init__(self, model: GenerativeModel, x: Tensor, other: Tensor, seed: int) -> None:
        self.model, self.x, self.seed = model, x, seed
        half = len(x) // 2
        self.half, self.mixed = half, torch.cat([x[:half], other[half : len(x)]])

    def require(self, holds: bool | Tensor, broken: str, mend: str) -> None:
        _require(self.model, holds, broken, mend)

    def generator(self) -> torch.Generator:
        return stream(self.seed, "draws", device=self.model.device)

    @contextmanager
    def untouched(self, what: str) -> Iterator[None]:
        """Hold that neither parameters, buffers nor the global random state move."""
        before, random = _snapshot(self.model), torch.get_rng_state()
        yield
        for name, tensor in _snapshot(self.model).items():
            same = name in before and torch.equal(tensor.nan_to_num(), before[name].nan_to_num())
            self.require(same, f"{what} moves {name!r}", "state moves in after_step only")
        mend = "take every draw from the generator that was handed in (hexad.randomness.fresh)"
        self.require(torch.equal(random, torch.get_rng_state()), f"{what} uses torch's global random state", mend)

    def rows(self, what: str, value: Callable[[Tensor], Tensor]) -> None:
        """Hold that ``value`` gives a number a record, the same twice, each of its own record alone."""
        n, first = len(self.x), value(self.x)
        shape, mend = tuple(first.shape), "give one number a record, (batch,)"
        self.require(first.shape == (n,), f"{what} of {n} records has shape {shape}", mend)
        self.require(torch.isfinite(first).all(), f"{what} is not finite on training records", "find the overflow")
        near = 1e-3 if self.model.dtype == torch.float32 else 1e-8
        other = first if self.model.couples_batch else value(self.mixed)
        apart = torch.allclose(first[: self.half], other[: self.half], rtol=near, atol=near)
        if (
            self.model.couples_batch or not apart
        ):  # a likelihood may be long work: once more only where it tells something
            mend = "keep no state outside of after_step and draw from the generator alone"
            self.require(torch.equal(first, value(self.x)), f"{what} differs between equal generators", mend)
        self.require(apart, f"{what} of a record changes with other records", "keep rows apart or set couples_batch")

    def loss(self) -> None:
        # as in training, but for dropout, which is allowed the global stream there
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
        for player in dict.fromkeys(self.model.players):
            own = {id(p) for p in self.model.player_parameters(player)}
            for parameter in self.model.parameters():
                parameter.requires_grad_(id(parameter) in own).grad = None

            def value(x: Tensor, player: str = player) -> Tensor:
                return self.model.loss(x, player=player, generator=self.generator())

            self.rows(f"loss of player {player!r}", value)
            value(self.x).mean().backward()
            for name, parameter in self.model.named_parameters():
                grad, mine = parameter.grad, id(parameter) in own
                if mine:
                    what = f"the loss of player {player!r} has no finite gradient to its parameter {name!r}"
                    self.require(grad is not None and torch.isfinite(grad).all(), what, "use the parameter, or drop it")
                still = mine or (grad is None and not parameter.requires_grad)
                what = f"the loss of player {player!r} gives a gradient to {name!r}, which it does not move"
                self.require(still, what, "leave requires_grad to the loop")
            self.model.loss(self.x, player=player)  # with fresh entropy
        self.model.requires_grad_(True).zero_grad(set_to_none=True)

    def sample(self) -> None:
        model, event, n = self.model, self.model.event, 12
        x = model.sample(n, generator=self.generator()).detach()
        self.require(x.shape == (n, *event.shape), f"sample({n}) has shape {tuple(x.shape)}", "give (n, *event.shape)")
        self.require(x.dtype == model.dtype, f"samples are {x.dtype}, the model {model.dtype}", "use self.dtype")
        self.require(torch.isfinite(x).all(), "samples are not finite", "find the overflow")
        for i, (column, support) in enumerate(zip(x.reshape(n, -1).T, event.supports, strict=True)):
            whole = (column == column.round()) & (column >= 0) & (column < support.levels)
            inside = not support.levels or whole.all()
            self.require(inside, f"samples of column {i} leave its support {support}", "give codes 0 to levels - 1")
        self.require(len(model.sample(1)) == 1, "sample(1) does not give one record", "give n of them")
        with torch.no_grad():
            again = model.sample(n, generator=self.generator())
            path = model.path(n, generator=self.generator())
            self.require(torch.equal(x, again), "equal generators sample differently", "draw from the generator alone")
            first = model.sample(4 * n)
            # a law of few records may well repeat itself once
            new = any(not torch.equal(first, model.sample(4 * n)) for _ in range(6))
            self.require(new, "sample without a generator repeats itself", "use hexad.randomness.fresh(generator)")
        self.require(isinstance(path, Trajectory), f"path gives a {type(path).__name__}", "give a Trajectory")
        shape = tuple(path.states.shape)
        self.require(shape[1:] == x.shape, f"path has states {shape}", "give (steps + 1, n, *event.shape)")
        ends = torch.equal(path.states[-1], x)
        self.require(ends, "path does not end at sample of the same generator", "make sample the last state of path")

    def log_likelihood(self) -> None:
        model, event = self.model, self.model.event
        result = model.log_likelihood(self.x[:2], generator=self.generator())
        if result is None:
            why = model.why_no_likelihood
            self.require(isinstance(why, str) and bool(why), "no likelihood and no reason", "give why_no_likelihood")
        else:
            self.require(isinstance(result, LogLikelihood), "log_likelihood gives none", "return a LogLikelihood")
            what = f"log_likelihood states a {result.measure} of a record that has a {event.measure}"
            self.require(result.measure == event.measure, what, "pass measure=self.event.measure")
            exact = result.kind == "exact" or not isinstance(model, Density)
            self.require(exact, f"a Density states a likelihood that is {result.kind}", "derive from GenerativeModel")

            def value(x: Tensor) -> Tensor:
                stated = model.log_likelihood(x, generator=self.generator())
                return x.new_zeros(0) if stated is None else stated.value

            if model.dtype == torch.float64:
                self.rows("log_likelihood", value)
            else:
                model.log_likelihood(self.x)  # with fresh entropy
        first, again = (model.validate(self.x, generator=self.generator()) for _ in range(2))
        typed = first is None or isinstance(first, Validation)
        self.require(typed, "validate gives neither a Validation nor None", "return one of them")
        self.require(first == again, "validate differs between equal generators", "draw from the generator alone")

    def vitals(self) -> None:
        first, again = (self.model.vitals(self.x, generator=self.generator()) for _ in range(2))
        typed = isinstance(first, tuple) and all(isinstance(vital, Vital) for vital in first)
        self.require(typed, "vitals gives something that is no Vital", "give a tuple of them, empty for none")
        self.require(repr(first) == repr(again), "vitals differ between equal generators", "draw from it alone")


def _snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer, those that ``state_dict`` leaves out with them."""
    return {name: t.detach().clone() for name, t in [*model.named_parameters(), *model.named_buffers()]}


@torch.no_grad()
def _check_reload(fresh: GenerativeModel, ready: GenerativeModel, x: Tensor, seed: int) -> None:
    other = copy.deepcopy(fresh).eval()
    mend = "register what prepare and after_step set as buffers or parameters of their final shapes"
    try:
        other.load_state_dict(ready.state_dict())
    except RuntimeError as error:
        _require(ready, False, f"an untouched copy does not load the state_dict ({one_line(error)})", mend)
    told: list[list[Tensor]] = []
    for model in (ready, other):
        generator = stream(seed, "reload", device=model.device)
        scored = model.log_likelihood(x, generator=generator)
        told.append([model.sample(8, generator=generator), *([] if scored is None else [scored.value])])
    same = all(torch.equal(a, b) for a, b in zip(*told, strict=True))
    _require(ready, same, "a copy that loads the state_dict samples or scores differently", mend)


@torch.no_grad()
def _check_density(model: Density, seed: int) -> None:
    event, generator = model.event, stream(seed, "density", device=model.device)
    if all(s.levels for s in event.supports) and math.prod(s.levels for s in event.supports) <= STATES:
        levels = [torch.arange(s.levels, dtype=model.dtype, device=model.device) for s in event.supports]
        states = torch.cartesian_prod(*levels).reshape(-1, event.dims)
        p = model.log_prob(states.unflatten(1, event.shape)).exp()
        total = float(p.sum())
        one = abs(total - 1) < 1e-4
        _require(model, one, f"the probabilities of all states sum to {total:.6g}", "normalise log_prob")
        places = torch.tensor([s.levels for s in event.supports], device=model.device).flip(0).cumprod(0).flip(0)
        places = torch.cat([places[1:], places.new_ones(1)])
        drawn = (model.sample(DRAWS, generator=generator).flatten(1).long() * places).sum(1)
        h = torch.randn(len(states), 8, generator=generator, dtype=model.dtype, device=model.device)
        errors = ((p @ h.square() - (p @ h).square()) / DRAWS).clamp(min=1e-12).sqrt()
        worst = float(((h[drawn].mean(0) - p @ h) / errors).abs().max())
        _require(model, worst < 5, f"samples are {worst:.0f} standard errors off log_prob", "hold both to the formula")
    elif event.kind == "real" and event.dims <= 4:
        x, pilot = (model.sample(DRAWS, generator=generator).flatten(1) for _ in range(2))
        centres = pilot[:8]
        radii = torch.cdist(centres, pilot).kthvalue(DRAWS // 50, 1).values  # balls that hold a fiftieth each
        widths = event.widths.to(x).flatten()
        if bool((widths > 0.1 * radii.min()).any()):
            return  # cells as wide as the balls: a mass says little of the density there
        log_volume = event.dims / 2 * math.log(math.pi) - math.lgamma(event.dims / 2 + 1) + event.dims * radii.log()
        g = ((torch.cdist(x, centres) <= radii) * torch.exp(-log_volume)).mean(1)
        log_cells = torch.where(widths > 0, widths, torch.ones_like(widths)).log().sum()
        ratios = torch.where(g > 0, g * torch.exp(log_cells - model.log_prob(x.unflatten(1, event.shape))), g)
        off, error = float(ratios.mean() - 1), float(ratios.std()) / DRAWS**0.5
        near = abs(off) <= 5 * error + (0.02 if bool((widths > 0).any()) else 0)
        what = f"the mean of g(x)/p(x) over samples is {1 + off:.3g} with error {error:.2g}, not 1"
        _require(model, near, what, "hold the log-determinant and the base of log_prob against sample")
