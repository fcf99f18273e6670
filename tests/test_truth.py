"""Nobody beats the truth: no exact or lower-bound value exceeds the known log p by 4 standard errors, paired.

This one test finds every missing Jacobian, in every family and on every kind of data.
"""

from __future__ import annotations

import pytest
import torch

from cases import CASES, SOURCES
from conftest import source
from hexad.checks import InputError

# what is given a context is held to the truth of its own file: sources know the joint law
KNOWN = {kind for kind, name in SOURCES.items() if " given " not in name}
PAIRS = [pytest.param(case, kind, id=f"{case}-{kind}") for case in CASES for kind in case.kinds if kind in KNOWN]


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_nobody_beats_the_truth(case, kind, run):
    fitted, data = run(case.name, kind), source(SOURCES[kind])
    rows = slice(0, 2000)
    try:
        stated = fitted.log_likelihood(data.test[rows])
    except InputError:
        assert fitted.model.why_no_likelihood
        return
    truth = data.truth(data.tensor("test")[rows])
    end = stated.low if stated.kind == "interval" else stated.value
    assert stated.kind in ("exact", "lower_bound", "interval")
    difference = end - truth
    # the estimator's error a record is in the spread of the differences already; the common one is not
    error = difference.std() / len(difference) ** 0.5 + stated.common_stderr
    assert float(difference.mean()) <= 4 * float(error) + 1e-9
    assert torch.isfinite(difference).all()


def test_the_check_finds_a_tenth_of_a_nat(run):
    data = source("gaussian")
    truth = data.truth(data.tensor("test")[:2000])
    difference = run("gaussian", "real").log_likelihood(data.test[:2000]).value + 0.1 - truth
    assert float(difference.mean()) > 4 * float(difference.std()) / len(difference) ** 0.5
