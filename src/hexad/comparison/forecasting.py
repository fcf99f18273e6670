"""Forecasts of a series: the rows that follow the data's last, as a table and as a picture."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from hexad.autoregressive import Forecaster
from hexad.checks import InputError, check_file
from hexad.data import Data, check_output, load_data, write, write_bytes
from hexad.data.forms.delimited import pattern_of
from hexad.fitted import Fitted, own_data
from hexad.recipes import all_recipes
from hexad.train import evaluating

__all__ = ["forecast", "forecast_frame"]

FAR = 9000  # the year beyond which no dates are written, nor drawn
MOST = 100_000  # rows; what is known of a series does not reach so far
PICTURES = (".png", ".svg", ".pdf")


def forecast(
    fitted: Fitted,
    steps: int,
    out: str | Path,
    *,
    data: Data | str | Path | None = None,
    level: float = 0.95,
    plot: str | Path | None = None,
    context: pd.DataFrame | None = None,
) -> list[str]:
    """Write the rows that follow the data's last: ``time,mean,lower,upper``, or ``NAME_mean``, ... for several columns.

    Args:
        fitted: a run of a model of series.
        steps: how many rows.
        out: ``.csv``, ``.tsv`` or another table; replaced whole.
        data: the series as it stands now, read as the run's was; None: the run's own.
        level: probability of each interval.
        plot: where a picture goes (``.png .svg .pdf``), or None.
        context: of a model with exogenous columns, those of the rows to come: a frame whose first row follows the
            data's last.

    Returns:
        What the user should know, a line each.

    Raises:
        InputError: the model does not forecast, the data are gone or not like the run's, or an argument is wrong;
            nothing has been written.
    """
    path, picture = check_output(out), None if plot is None else Path(plot)
    if picture is not None and (picture.suffix.lower() not in PICTURES or not picture.parent.is_dir()):
        raise InputError(f"--plot {picture}: expected a file in an existing folder, ending in {' '.join(PICTURES)}")
    if picture is not None:
        check_file(picture)
    series = _series(fitted, data)
    table, notes = forecast_frame(fitted, series, steps, level, context)
    drawn = None if picture is None else _picture(series, table, level, picture.suffix[1:].lower())
    write(table, path)
    if picture is not None and drawn is not None:
        write_bytes(picture, drawn)
    return [*notes, f"forecast: {path}"]


def _series(fitted: Fitted, data: Data | str | Path | None) -> Data:
    """Return the series that is to go on, by the options that the run's was read with."""
    if data is None:
        return own_data(fitted, "give DATA, the series as it stands now")
    if isinstance(data, Data):
        return data
    kept = {k: v for k, v in fitted.config.data["source"].get("options", {}).items() if k != "split"}
    return load_data(str(data), **{"layout": "series", **kept})


@torch.no_grad()
def forecast_frame(
    fitted: Fitted, data: Data, steps: int, level: float = 0.95, context: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Return the forecast as a table in the user's units, and what the user should know.

    Its arguments are those of :func:`forecast`.

    Raises:
        InputError: the model does not forecast, the context does not fit, or an argument is out of its range.
    """
    if not isinstance(fitted.model, Forecaster):
        able = [name for name, recipe in all_recipes().items() if "forecast" in recipe.can]
        raise InputError(f"{fitted.name} does not forecast; models that can: {', '.join(able)}")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST:
        raise InputError(f"--steps {steps!r}: expected a whole number from 1 to {MOST:,}")
    if not 0 < level < 1:
        raise InputError(f"--level {level!r}: expected a probability between 0 and 1, such as 0.95")
    mine, found = fitted.event, data.event
    if (
        found.layout != "series"
        or found.shape != mine.shape
        or (mine.names and found.names and found.names != mine.names)
    ):
        there, here = (", ".join(event.names) or f"{event.dims} columns" for event in (found, mine))
        raise InputError(f"forecast: {data.name} is a {found.layout} of {there}; expected a series of {here}")
    whole = torch.cat([data.tensor(split) for split in ("train", "valid", "test")])
    history = fitted.preprocessing.encode(whole, dtype=torch.float64)[0]
    model, notes = fitted.model, []
    ahead = _ahead(fitted, steps, context)
    of_history, of_steps = dict[str, Any](), dict[str, Any]()
    if ahead is not None:
        known = [data.known(split) or {} for split in ("train", "valid", "test")]
        whole_of = {name: np.concatenate([part[name] for part in known]) for name in known[0]}
        of_history = {"context": fitted.given(whole_of, len(whole))}
        of_steps = {"context": ahead}
    if not model.players:
        model = copy.deepcopy(model)
        model.prepare(history, **of_history)
        notes.append(f"{fitted.name} is a closed form: refitted on all {len(history)} rows of {data.name}")
    assert isinstance(model, Forecaster)
    with evaluating(model, len(history)):
        encoded = model.forecast(history, steps, level, **of_steps)
    parts = [fitted.preprocessing.map.inverse(z) for z in encoded]
    columns: dict[str, Any] = {"time": _written(_ahead_of(_past(data), steps), data)}
    for i, name in enumerate(data.names or tuple(f"x{i}" for i in range(history.shape[1]))):
        for what, values in zip(("mean", "lower", "upper"), parts, strict=True):
            columns[what if history.shape[1] == 1 else f"{name}_{what}"] = values[:, i].numpy()
    return pd.DataFrame(columns), notes


def _ahead(fitted: Fitted, steps: int, context: pd.DataFrame | None) -> Tensor | None:
    """Return the context of the rows to come, (steps, k); None of a model without one."""
    if fitted.format.context is not None and context is None:
        names = fitted.format.context.name
        raise InputError(f"forecast: this model is given {names}: name a table of the rows to come by --context FILE")
    if context is not None and len(context) < steps:
        raise InputError(f"forecast: {len(context)} rows of context are too few for {steps} steps: one a step")
    return fitted.given(None if context is None else context[:steps], steps)


def _past(data: Data) -> pd.DatetimeIndex | pd.RangeIndex:
    """Return the times of the data: dates where they have them that go on, else numbers of rows, from 0."""
    splits = [data.split(split) for split in ("train", "valid", "test")]
    if not data.source.get("dates"):
        return pd.RangeIndex(sum(map(len, splits)))
    index = pd.DatetimeIndex(np.concatenate([split.index.to_numpy() for split in splits]))
    return index if index[0] < index[-1] else pd.RangeIndex(len(index))


def _ahead_of(index: pd.DatetimeIndex | pd.RangeIndex, steps: int) -> pd.DatetimeIndex | pd.RangeIndex:
    """Return the times of the steps after these."""
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(len(index), len(index) + steps)
    local = index.tz_localize(None)  # days, weeks and months go by the clock on the wall
    step = pd.DatetimeIndex(index, freq="infer").freq or _usual_step(local)
    try:
        if isinstance(step, pd.offsets.Tick | pd.Timedelta) and pd.Timedelta(step) % pd.Timedelta(days=1):
            ahead = pd.DatetimeIndex([index[-1] + step * (k + 1) for k in range(steps)])
        else:
            ahead = pd.DatetimeIndex([local[-1] + step * (k + 1) for k in range(steps)])
            if index.tz is not None:
                first = np.ones(steps, dtype=bool)
                ahead = ahead.tz_localize(index.tz, ambiguous=first, nonexistent="shift_forward")
    except (ValueError, OverflowError):
        ahead = None
    if ahead is None or ahead[-1].year > FAR:
        raise InputError(f"--steps {steps:,}: expected fewer, which end before the year {FAR}")
    return ahead


def _usual_step(index: pd.DatetimeIndex) -> pd.offsets.BaseOffset | pd.Timedelta:
    """Return what dates with gaps go on by: months of one day, or of the last; business days; else their distance."""
    apart = index.unique()
    months = int(pd.Series(apart.year * 12 + apart.month).diff().median())
    if months and apart.is_month_end.all():
        return pd.offsets.MonthEnd(months)
    if months and apart.day.nunique() == 1:
        return pd.DateOffset(months=months)
    step = pd.Series(apart).diff().median()
    worked = (apart.day_of_week < 5).all() and apart[-1] - apart[0] >= pd.Timedelta(days=7)  # fewer may miss a weekend
    return pd.offsets.BusinessDay() if worked and step == pd.Timedelta(days=1) else step


def _written(times: pd.DatetimeIndex | pd.RangeIndex, data: Data) -> list[Any]:
    """Return times as the data's were written, to the hour where that is not enough."""
    dates = data.source.get("dates")
    if not dates or isinstance(times, pd.RangeIndex):
        return list(times)
    needed = pattern_of(times)
    return list(times.strftime(needed if "%H" in needed and "%H" not in dates["pattern"] else dates["pattern"]))


def _picture(data: Data, table: pd.DataFrame, level: float, form: str) -> bytes:
    """Return a picture of the last rows and the forecast, a panel a column."""
    import io

    from matplotlib.dates import ConciseDateFormatter
    from matplotlib.figure import Figure

    means = [name for name in table.columns if name.endswith("mean")]
    figure = Figure(figsize=(9, 2.6 * len(means) + 0.6), layout="constrained")
    known = np.concatenate(
        [np.asarray(data.split(s), dtype=float).reshape(len(data.split(s)), -1) for s in ("train", "valid", "test")]
    )
    count, times = max(3 * len(table), 60), _past(data)
    shown, before = known[-count:], times[-count:]
    after = before[-1:].append(_ahead_of(times, len(table)))  # the forecast goes out from the last that is known
    for i, (axes, mean) in enumerate(zip(np.atleast_1d(figure.subplots(len(means), 1)), means, strict=True)):
        stem = mean[: -len("mean")]
        middle, lower, upper = (
            np.concatenate([shown[-1:, i], table[stem + what]]) for what in ("mean", "lower", "upper")
        )
        axes.plot(before, shown[:, i], color="0.35", linewidth=1.2, label="data")
        interval = f"{100 * level:g}% interval"
        axes.fill_between(after, lower, upper, color="C0", alpha=0.2, linewidth=0, label=interval)
        axes.plot(after, middle, color="C0", linewidth=1.6, label="forecast")
        axes.set_title(stem.rstrip("_") or (data.names[0] if data.names else data.name), loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        if i == 0:
            axes.legend(frameon=False, fontsize=8, loc="best")
        if isinstance(times, pd.DatetimeIndex):
            axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    if isinstance(times, pd.RangeIndex):
        axes.set_xlabel("row", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=150)
    return buffer.getvalue()
