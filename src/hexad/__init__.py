"""Hexad: six families of deep generative models, one interface, one honest table.

>>> import hexad
>>> hexad.InputError.__mro__[1]
<class 'ValueError'>
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hexad.checks import InputError
    from hexad.comparison import Comparison, compare, evaluate
    from hexad.data import Data, load_data
    from hexad.estimator import Estimator
    from hexad.event import Event, Support
    from hexad.fitted import Fitted, fit, load
    from hexad.likelihood import LogLikelihood
    from hexad.model import GenerativeModel, Trajectory
    from hexad.recipes import list_models as models

__version__ = "0.1.0"

# where each name of the face lives; it is imported when it is first asked for, so that `hexad --help` imports nothing
# heavy
_HOMES = {
    "Comparison": "comparison",
    "Data": "data",
    "Estimator": "estimator",
    "Event": "event",
    "Fitted": "fitted",
    "GenerativeModel": "model",
    "InputError": "checks",
    "LogLikelihood": "likelihood",
    "Support": "event",
    "Trajectory": "model",
    "compare": "comparison",
    "evaluate": "comparison",
    "fit": "fitted",
    "load": "fitted",
    "load_data": "data",
    "models": "recipes:list_models",
}

__all__ = [
    "Comparison",
    "Data",
    "Estimator",
    "Event",
    "Fitted",
    "GenerativeModel",
    "InputError",
    "LogLikelihood",
    "Support",
    "Trajectory",
    "compare",
    "evaluate",
    "fit",
    "load",
    "load_data",
    "models",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hexad' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(f"hexad.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
