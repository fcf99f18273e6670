"""Options and budgets: what is taken, and the one line that says what is not."""

from __future__ import annotations

import math

import pytest

from hexad.checks import InputError
from hexad.train import Budget, Settings
from hexad.train.settings import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("2m", 120.0),
        ("1h", 3600.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        (" 20 s ", 20.0),
        (20, 20.0),
        (0.25, 0.25),
    ],
)
def test_seconds(text, value):
    assert seconds(text) == value
    assert Budget.of(time=text) == Budget(time=value)


@pytest.mark.parametrize(
    "text", ["0", "0s", "-1", "-5s", "", "s", "2 d", "1m30s", "nan", "inf", "9" * 400, 0, -1.0, True, None, math.nan]
)
def test_times_that_are_none(text):
    with pytest.raises(InputError, match=r"expected a positive time such as 90, 90s, 2m or 1h"):
        seconds(text)


@pytest.mark.parametrize("steps", [0, -1, 1.5, 10.0, "10", True])
def test_steps_that_are_none(steps):
    with pytest.raises(InputError, match="expected a whole number of at least 1"):
        Budget.of(steps=steps)


def test_budget():
    assert Budget.of() == Budget(time=60.0)
    assert Budget.of(default="20s") == Budget(time=20.0)
    assert Budget.of(steps=3) == Budget(steps=3)
    assert (str(Budget.of(steps=3)), str(Budget.of(time="2m"))) == ("3 steps", "120 s")
    with pytest.raises(InputError, match="not both"):
        Budget.of(steps=3, time="3s")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learning_rate": 1}, "unknown option 'learning_rate'; expected one of batch_size"),
        ({"batchsize": 1}, "unknown option 'batchsize'; did you mean 'batch_size'?"),
        ({"scedule": "cosine"}, "did you mean 'schedule'?"),
        ({"schedule": "cos"}, "option schedule='cos': input should be 'cosine', 'linear' or 'constant'"),
        ({"lr": 0}, "option lr=0: input should be greater than 0"),
        ({"lr": math.nan}, "option lr=nan"),
        ({"lr": math.inf}, "option lr=inf"),
        ({"lr": "fast"}, "option lr='fast': input should be a valid number"),
        ({"lr": True}, "option lr=True: expected 0.001 or the like"),
        ({"batch_size": 0}, "option batch_size=0"),
        ({"batch_size": 2.5}, "option batch_size=2.5"),
        ({"batch_size": True}, "option batch_size=True"),
        ({"ema": 1.0}, "option ema=1.0"),
        ({"ema": math.nan}, "option ema=nan"),
        ({"clip": -1}, "option clip=-1"),
        ({"betas": (0.9, 1.0)}, "option betas="),
        ({"betas": 0.9}, "option betas=0.9"),
        ({"optimizer": "momentum"}, "option optimizer='momentum': input should be 'adam' or 'sgd'"),
        ({"compile": 3}, "option compile=3"),
        ({"precision": "float16"}, "option precision='float16'"),
        ({"log_every": 0}, "option log_every=0"),
    ],
)
def test_words_of_errors(options, words):
    with pytest.raises(InputError) as caught:
        Settings.checked(options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_taken():
    settings = Settings.checked({"lr": 1, "betas": [0.5, 0.9], "compile": True, "ema": 0, "batch_size": 7})
    assert (settings.lr, settings.betas, settings.compile, settings.ema, settings.batch_size) == (
        1.0,
        (0.5, 0.9),
        True,
        0,
        7,
    )
    assert Settings.checked(Settings().model_dump()) == Settings()
