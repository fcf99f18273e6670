"""The comparison: every model measured the same way, and one honest page about it."""

from hexad.comparison.evaluation import describe_evaluation, evaluate
from hexad.comparison.forecasting import forecast, forecast_frame
from hexad.comparison.runner import Comparison, compare

__all__ = ["Comparison", "compare", "describe_evaluation", "evaluate", "forecast", "forecast_frame"]
