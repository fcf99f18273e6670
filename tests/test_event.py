"""What one record is: supports, measures, JSON, words."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hexad.event import Event, Support

BINARY, REAL, STEPPED, DIGIT = (
    Support("binary"),
    Support("real"),
    Support("real", step=0.1),
    Support("ordinal", levels=17),
)
SUPPORTS = st.one_of(
    st.just(BINARY),
    st.builds(lambda k: Support("ordinal", levels=k), st.integers(2, 256)),
    st.builds(lambda s: Support("real", step=s), st.one_of(st.just(0.0), st.floats(1e-300, 1e300))),
    st.builds(lambda a, b: Support("real", 0, 0.5, a, b), st.floats(max_value=0.0), st.floats(1e-3, math.inf)),
)


@pytest.mark.parametrize(
    ("supports", "kind", "measure", "levels", "widths"),
    [
        ((BINARY, BINARY), "binary", "mass", 2, [1, 1]),
        ((DIGIT, DIGIT), "ordinal", "mass", 17, [1, 1]),
        ((REAL, REAL), "real", "density", 0, [0, 0]),
        ((STEPPED, STEPPED), "real", "mass", 0, [0.1, 0.1]),
        ((STEPPED, REAL), "real", "mixed", 0, [0.1, 0]),
        ((BINARY, REAL), "mixed", "mixed", 2, [1, 0]),
        ((BINARY, STEPPED), "mixed", "mass", 2, [1, 0.1]),
    ],
)
def test_kind_and_measure(supports, kind, measure, levels, widths):
    event = Event((2,), supports)
    assert (event.kind, event.measure, event.levels, event.dims) == (kind, measure, levels, 2)
    assert torch.equal(event.widths, torch.tensor(widths, dtype=torch.float64))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(SUPPORTS, min_size=1, max_size=6), st.booleans())
def test_json_round_trip(supports, named):
    names = tuple(f"c{i}" for i in range(len(supports))) if named else ()
    event = Event((len(supports),), tuple(supports), "series", names)
    form = json.loads(json.dumps(event.to_json(), allow_nan=False))
    assert Event.from_json(form) == event


def test_images():
    event = Event.of((3, 4, 5), DIGIT)
    assert (event.layout, event.dims) == ("image", 60)
    assert event.widths.shape == (3, 4, 5)
    assert len(event.to_json()["supports"]) == 1
    assert Event.from_json(event.to_json()) == event
    other = event.with_support(Support("real"))
    assert (other.kind, other.shape, other.layout) == ("real", (3, 4, 5), "image")
    assert Event.of(2, "binary").with_support([REAL, STEPPED]).measure == "mixed"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Support("ordinal", levels=1), "levels must be at least 2, got 1"),
        (lambda: Support("ordinal"), "levels must be at least 2"),
        (lambda: Support("integer"), "kind must be binary, ordinal or real, got 'integer'"),  # type: ignore[arg-type]
        (lambda: Support("real", step=-1.0), "step must be finite and at least 0"),
        (lambda: Support("real", step=float("nan")), "step must be finite"),
        (lambda: Support("real", levels=3), "has no levels"),
        (lambda: Support("real", low=1.0, high=1.0), "lower bound must lie below the upper, got 1.0 and 1.0"),
        (lambda: Support("real", high=float("nan")), "lower bound must lie below"),
        (lambda: Support("binary", low=0.0), "binary support: has no bounds"),
        (lambda: Event((3,), (REAL,)), "expected 3 supports, got 1"),
        (lambda: Event((1,), (REAL,), names=("a", "b")), "expected 1 names, got 2"),
    ],
)
def test_words_of_errors(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_bounds_stand_in_json_only_where_there_are_any():
    assert REAL.to_json() == {"kind": "real", "levels": 0, "step": 0.0}  # as before there were bounds
    assert Support("real", low=0.0).to_json() == {"kind": "real", "levels": 0, "step": 0.0, "low": 0.0}
    event = Event((2,), (Support("real", low=0.0), Support("real", 0, 0.5, high=3.0)))
    low, high = event.bounds
    assert (low.tolist(), high.tolist()) == ([0.0, -math.inf], [math.inf, 3.0])
    assert repr(event) == "Event((2,), real(0 to inf), real(step=0.5, -inf to 3), vector)"


def test_repr():
    assert repr(Event((4,), (BINARY, REAL, STEPPED, DIGIT))) == (
        "Event((4,), binary, real, real(step=0.1), ..., vector)"
    )
