"""Times of a forecast: they follow the data's own, in whatever way pandas holds these."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hexad
from hexad.comparison.forecasting import forecast, forecast_frame

N = 60


def made(index, name="y"):
    values = np.random.default_rng(0).normal(size=N).cumsum()
    return pd.Series(values, index=index, name=name)


@pytest.fixture(scope="module")
def fitted():
    return hexad.fit("ar", made(pd.date_range("2020-01-01", periods=N, freq="D")), order=1, progress=False)


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.date_range("2020-01-01", periods=N, freq="D"), ["2020-03-01", "2020-03-02"]),
        (pd.date_range("2020-01-01", periods=N, freq="B"), ["2020-03-25", "2020-03-26"]),
        (pd.date_range("2020-01-01", periods=N, freq="h"), ["2020-01-03 12:00:00", "2020-01-03 13:00:00"]),
        (
            pd.date_range("2020-01-01", periods=N, freq="100ms"),
            ["2020-01-01 00:00:06.000000", "2020-01-01 00:00:06.100000"],
        ),
        (pd.period_range("2020-01", periods=N, freq="M"), ["2025-01-01", "2025-02-01"]),
        (pd.period_range("1990Q1", periods=N, freq="Q"), ["2005-01-01", "2005-04-01"]),
        # a day is missing, and the rest are half a day apart: the usual distance goes on
        (
            pd.date_range("2020-01-01", periods=N + 2, freq="12h").delete([20, 21]),
            ["2020-02-01 00:00:00", "2020-02-01 12:00:00"],
        ),
        # one is missing: months and years go on by their first or last day, business days over the weekend
        (pd.date_range("1990-01-01", periods=N + 1, freq="MS").delete(20), ["1995-02-01", "1995-03-01"]),
        (pd.date_range("1990-01-31", periods=N + 1, freq="ME").delete(20), ["1995-02-28", "1995-03-31"]),
        (pd.date_range("1990-01-01", periods=N + 1, freq="QS").delete(20), ["2005-04-01", "2005-07-01"]),
        (pd.date_range("1960-01-01", periods=N + 1, freq="YS").delete(20), ["2021-01-01", "2022-01-01"]),
        (pd.date_range("2020-01-03", periods=N + 1, freq="B").delete(20), ["2020-03-30", "2020-03-31"]),
        (pd.date_range("2020-01-01", periods=N + 1, freq="D").delete(20), ["2020-03-02", "2020-03-03"]),
        (pd.RangeIndex(N), [N, N + 1]),
    ],
)
@pytest.mark.parametrize("form", ["series", "frame"])
def test_a_forecast_goes_on_in_time(fitted, index, expected, form):
    series = made(index)
    data = hexad.load_data(series if form == "series" else series.to_frame(), layout="series")
    table, _ = forecast_frame(fitted, data, 2)
    assert table["time"].tolist() == expected
    assert table["mean"].equals(forecast_frame(fitted, hexad.load_data(made(None), layout="series"), 2)[0]["mean"])


def test_dates_that_repeat_and_dates_that_lack(fitted, tmp_path):
    days = pd.date_range("2020-01-01", periods=N // 2, freq="D").repeat(2)
    assert forecast_frame(fitted, hexad.load_data(made(days)), 2)[0]["time"].tolist() == ["2020-01-31", "2020-02-01"]
    still = made(pd.DatetimeIndex([days[0]] * N))
    assert forecast_frame(fitted, hexad.load_data(still), 2)[0]["time"].tolist() == [N, N + 1]
    forecast(fitted, 2, tmp_path / "f.csv", data=hexad.load_data(still), plot=tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 1000
    for index in (days.where(np.arange(N) != 5), days.to_period("D").where(np.arange(N) != 5)):
        with pytest.raises(hexad.InputError, match="the index has no date in row 6; give it one, or leave the row out"):
            hexad.load_data(made(index))


def test_there_are_no_dates_beyond_the_calendar(fitted):
    years = made(pd.date_range("1960-01-01", periods=N + 1, freq="YS").delete(20))
    for rows in (years, made(pd.date_range("1960-01-01", periods=N, freq="YS"))):
        with pytest.raises(hexad.InputError, match="--steps 9,000: expected fewer, which end before the year 9000"):
            forecast_frame(fitted, hexad.load_data(rows), 9_000)


def test_days_go_by_the_clock_on_the_wall_and_hours_do_not(fitted):
    """In Berlin the clocks went back on 2024-10-27 at 3, and on 2024-03-31 there was no hour from 2 to 3."""
    days = pd.date_range(end="2024-10-26", periods=N + 1, freq="D", tz="Europe/Berlin")
    for index in (days[1:], days.delete(5)):
        table, _ = forecast_frame(fitted, hexad.load_data(made(index)), 3)
        assert table["time"].tolist() == ["2024-10-27", "2024-10-28", "2024-10-29"]
    hours = pd.date_range(end="2024-10-27 00:00", periods=N + 1, freq="h", tz="Europe/Berlin")
    table, _ = forecast_frame(fitted, hexad.load_data(made(hours.delete(5))), 4)
    assert [time[11:13] for time in table["time"]] == ["01", "02", "02", "03"]
    early = pd.date_range(end="2024-03-30 02:30", periods=N, freq="D", tz="Europe/Berlin")
    table, _ = forecast_frame(fitted, hexad.load_data(made(early)), 2)
    assert table["time"].tolist() == ["2024-03-31 03:00:00", "2024-04-01 02:30:00"]


def test_dates_by_whatever_name(fitted, tmp_path):
    days = pd.date_range("2020-01-01", periods=N, freq="D")
    plain = hexad.load_data(made(days))
    written = hexad.load_data(made(days.strftime("%d.%m.%Y")))
    assert written.train.equals(plain.train)
    assert forecast_frame(fitted, written, 1)[0]["time"].tolist() == ["2020-03-01"]
    for odd, words in (
        ("2020-02-30", "has '2020-02-30' in row 21; expected a date"),
        (None, "no date in row 21"),
        ("", "no date in row 21"),
    ):
        texts = [
            odd if k == 20 else day
            for k, day in enumerate(pd.date_range("2019-01-01", periods=300).strftime("%Y-%m-%d"))
        ]
        with pytest.raises(hexad.InputError, match=words):
            hexad.load_data(pd.Series(np.arange(300.0), index=pd.Index(texts), name="y"))
    text = hexad.load_data(made([f"row {k}" for k in range(N)]), layout="series")
    assert forecast_frame(fitted, text, 1)[0]["time"].tolist() == [N]
    zoned = days.tz_localize("Asia/Tokyo")
    values = made(days).to_numpy()
    table = pl.DataFrame({"when": list(zoned), "y": values}).with_columns(
        pl.col("when").dt.convert_time_zone("Asia/Tokyo")
    )
    assert list(hexad.load_data(table).train.index) == list(zoned[: len(plain.train)])
    lacking = pd.DataFrame({"when": days.where(np.arange(N) != 5), "y": values})
    said = "column when has no date in row 6; give it one, leave the row out, or the column with --data drop=when"
    for form in (
        lacking,
        pl.DataFrame({"when": [None if k == 5 else day for k, day in enumerate(zoned)], "y": values}),
    ):
        with pytest.raises(hexad.InputError, match=said):
            hexad.load_data(form)
        assert hexad.load_data(form, drop="when").names == ("y",)
    file = tmp_path / "lacking.csv"
    rows = [f"{'' if k == 1 else f'2020-01-{k + 1:02d}'},{k * k}\n" for k in range(30)]
    file.write_text("".join(["when,y\n", *rows]))
    with pytest.raises(hexad.InputError, match=r"lacking\.csv: column when has no date in row 2"):
        hexad.load_data(file)


def test_days_that_go_on_in_hours_are_written_to_the_hour(fitted):
    days = [datetime.datetime(2020, 1, 1) + datetime.timedelta(days=int(k)) for k in np.arange(N) * 1.5]
    table, _ = forecast_frame(fitted, hexad.load_data(made(pd.DatetimeIndex(days))[:-1]), 1)
    assert table["time"].tolist() == ["2020-03-29 12:00:00"]


def test_a_series_of_pandas_is_a_table_of_one_column(fitted):
    series = made(pd.date_range("2020-01-01", periods=N, freq="D"))
    data = hexad.load_data(series)
    assert (data.event.layout, data.names) == ("series", ("y",))
    frame = hexad.load_data(series.to_frame())
    assert data.train.equals(frame.train)
    assert data.source["dates"] == {"name": "time", "pattern": "%Y-%m-%d"}
    assert fitted.log_likelihood(series[:9]).value.equal(fitted.log_likelihood(series[:9].to_frame()).value)
    likelihood = fitted.log_likelihood(series).value
    for same in (series.rename(None), series.to_numpy(), series.tolist(), series.to_numpy()[:, None]):
        assert fitted.log_likelihood(same).value.equal(likelihood)
    with pytest.raises(hexad.InputError, match="no column y; expected y, got z"):
        fitted.log_likelihood(series.rename("z"))
    assert len(fitted.log_likelihood(series.to_numpy()[:1]).value) == 1
    unnamed = hexad.load_data(made(None, name=None), layout="series")
    assert unnamed.names == ("x0",)


@pytest.mark.parametrize("index", [pd.date_range("2020-01-01", periods=N, freq="D"), pd.RangeIndex(N)])
def test_a_picture_has_the_data_s_times(fitted, index, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, buffer, **_: drawn.append(figure))
    data = hexad.load_data(made(index), layout="series")
    forecast(fitted, 5, tmp_path / "f.csv", data=data, plot=tmp_path / "f.png")
    (axes,) = drawn[0].axes
    known, ahead = axes.get_lines()
    assert list(known.get_xdata())[-1] == index[-1] == next(iter(ahead.get_xdata()))
    assert len(ahead.get_xdata()) == 6
    assert ahead.get_ydata()[0] == known.get_ydata()[-1] == made(index).iloc[-1]
