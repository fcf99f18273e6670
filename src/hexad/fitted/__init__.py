"""From data to a trained model and back from its folder: ``fit``, ``load``, and what they return."""

from hexad.fitted.base import Fitted, load
from hexad.fitted.config import RunConfig, pick_device
from hexad.fitted.origin import own_data
from hexad.fitted.planning import Run, fit, load_for, plan

__all__ = ["Fitted", "Run", "RunConfig", "fit", "load", "load_for", "own_data", "pick_device", "plan"]
