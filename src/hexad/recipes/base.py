"""What a recipe is: a name, and how a model of that name is built for an event."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from hexad.checks import InputError, hint
from hexad.event import Event
from hexad.model import GenerativeModel
from hexad.recipes.words import worded
from hexad.transforms import Scheme

__all__ = ["FAMILIES", "Recipe"]

FAMILIES = ("energy", "vae", "gan", "autoregressive", "flow", "diffusion", "baseline")


@dataclass(frozen=True)
class Recipe:
    """How a named model is built.

    Args:
        name: what the user calls it.
        family: one of ``FAMILIES``: ``energy vae gan autoregressive flow diffusion baseline``.
        build: ``build(event, *, context=0, **options)`` makes the model for the event of model space; its keyword
            arguments, with their annotations and defaults, are the user's options. None as a default means that the
            size is picked for the event. Without a parameter ``context`` the model cannot be conditioned.
        schemes: the preprocessing for each kind of data that it takes; what is absent it cannot take.
        scheme_by: ``scheme_by(event, options)`` gives the preprocessing where the user's options have a say in it;
            None: ``schemes`` alone do.
        layouts: the layouts that it takes.
        can: what it can do beyond sampling, in words: ``exact likelihood``, ``encode``, ...
        settings: the loop's defaults where they differ from the common ones.
        closed_form: whether ``prepare`` is its whole fit.
        min_dims: the fewest columns that it takes.
        first_up_to: columns beyond which another of its family is the first choice: a step would be too slow.
        alpha: the margin of the ``logit`` scheme, see :class:`~hexad.transforms.Logit`.
        unfit: ``unfit(event)`` says why an event of a right layout, kind and size still cannot be taken, or None.
        needs_context: whether it is conditional and nothing else: without a context it cannot be trained, and it is no
            family's first choice.
        needs_label: whether its context is one column of few values, one-hot.
        suited: ``suited(event, rows)`` gives the loop's defaults that depend on the data's event and number of training
            rows; they go before ``settings``.
    """

    name: str
    family: str
    build: Callable[..., GenerativeModel]
    schemes: Mapping[str, Scheme]
    layouts: tuple[str, ...] = ("vector", "image")
    can: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    closed_form: bool = False
    min_dims: int = 1
    first_up_to: float = math.inf
    alpha: float = 0.05
    unfit: Callable[[Event], str | None] = lambda event: None
    scheme_by: Callable[[Event, Mapping[str, Any]], Scheme] | None = None
    suited: Callable[[Event, int], Mapping[str, Any]] | None = None
    needs_context: bool = False
    needs_label: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The user's options with their defaults; None: picked for the event."""
        parameters = list(inspect.signature(self.build).parameters.values())[1:]
        return {p.name: p.default for p in parameters if p.name != "context"}

    @property
    def conditional(self) -> bool:
        """Whether the model can be conditioned on a context."""
        return "context" in inspect.signature(self.build).parameters

    @property
    def takes(self) -> list[str]:
        """Kinds and layouts in words: ``binary``, ``ordinal``, ``real``; ``series`` for models of series."""
        return ["series"] if self.layouts == ("series",) else list(self.schemes)

    def scheme(self, event: Event, options: Mapping[str, Any]) -> Scheme:
        """Return the preprocessing of an event that it takes, under the user's options."""
        return self.schemes[event.kind] if self.scheme_by is None else self.scheme_by(event, options)

    def settings_for(self, event: Event, rows: int) -> dict[str, Any]:
        """Return the loop's defaults for data of an event and a number of training rows."""
        return {**self.settings, **(self.suited(event, rows) if self.suited else {})}

    def why_not(self, event: Event) -> str | None:
        """Return why the model cannot take the event, or None where it can."""
        if event.layout not in self.layouts:
            how = "; a table in time order is read with --data layout=series" if "series" in self.layouts else ""
            if self.layouts == ("sequence",):
                how = "; columns that are places of one sequence are read with --data layout=sequence"
            return f"{self.name} takes {' and '.join(self.layouts)} data, not {event.layout}{how}"
        if event.kind not in self.schemes:
            return f"{self.name} takes {', '.join(self.schemes)} columns, not {event.kind} ones"
        if event.dims < self.min_dims:
            return f"{self.name} needs at least {self.min_dims} columns, not {event.dims}"
        return self.unfit(event)

    def check_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options, each checked against its annotation.

        Raises:
            InputError: an unknown name (the nearest is given) or a value of the wrong type.
        """
        parameters = inspect.signature(self.build, eval_str=True).parameters
        checked = {}
        for name, value in options.items():
            if name not in self.options:
                raise InputError(f"unknown option {name!r} of {self.name}{hint(name, self.options)}")
            annotation = parameters[name].annotation
            try:
                checked[name] = TypeAdapter(annotation, config=ConfigDict(strict=False)).validate_python(value)
            except ValidationError as error:
                own = [found for found in error.errors() if found["type"] in ("value_error", "assertion_error")]
                reason = own[0]["msg"].lower() if own else f"expected {worded(annotation)}"
                raise InputError(f"option {name}={_shown(value)} of {self.name}: {reason}") from None
            if _holds_bool(value) and "bool" not in str(annotation):
                raise InputError(f"option {name}={_shown(value)} of {self.name}: expected {worded(annotation)}")
            if isinstance(checked[name], float) and not math.isfinite(checked[name]):
                raise InputError(f"option {name}={value!r} of {self.name}: expected a finite number")
        return checked


def _holds_bool(value: Any) -> bool:
    """Return whether a value is true or false, or a list of them; pydantic takes these as numbers."""
    return any(map(_holds_bool, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


def _shown(value: Any) -> str:
    """Return a value as a user writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)
