"""From data to a trained model and back from its folder: ``fit``, ``load``, and what they return."""

from hexad.fitted.base import Fitted, load
from hexad.fitted.config import RunConfig, pick_device
from hexad.fitted.decision import decider_of
from hexad.fitted.imputation import Imputed
from hexad.fitted.origin import own_data
from hexad.fitted.planning import Run, fit, load_for, plan
from hexad.fitted.summary import summaries

__all__ = [
    "Fitted",
    "Imputed",
    "Run",
    "RunConfig",
    "decider_of",
    "fit",
    "load",
    "load_for",
    "own_data",
    "pick_device",
    "plan",
    "summaries",
]
