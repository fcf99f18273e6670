"""Nobody beats the truth: no exact or lower-bound value exceeds the known log p by 4 standard errors, paired.

This one test finds every missing Jacobian, in every family and on every kind of data.
"""

from __future__ import annotations

import pytest
import torch

from cases import CASES, SOURCES
from conftest import known, source
from hexad.checks import InputError

# what is given other columns is held to the truth in its own file: here the joint law is summed over one bit
KNOWN = {kind for kind, name in SOURCES.items() if " given " not in name or name == "tree given x0"}
PAIRS = [pytest.param(case, kind, id=f"{case}-{kind}") for case in CASES for kind in case.kinds if kind in KNOWN]


def truth_of(name: str, rows: slice) -> torch.Tensor:
    """Return the known log p of test records; of ``NAME given COLUMN`` that given a column of bits, by enumeration."""
    name, _, column = name.partition(" given ")
    data = source(name)
    x = data.tensor("test")
    if not column:
        return data.truth(x[rows])
    place, dims = int(column.removeprefix("x")), x.shape[1]
    states = torch.tensor([[(i >> j) & 1 for j in range(dims)] for i in range(2**dims)])
    log_p = data.truth(states)
    own = torch.stack([torch.logsumexp(log_p[states[:, place] == value], 0) for value in (0, 1)])
    return data.truth(x[rows]) - own[x[rows][:, place].long()]


@pytest.mark.parametrize(("case", "kind"), PAIRS)
def test_nobody_beats_the_truth(case, kind, run):
    fitted, data = run(case.name, kind), source(SOURCES[kind])
    rows = slice(0, 2000)
    try:
        stated = fitted.log_likelihood(data.test[rows], known(data, 2000))
    except InputError:
        assert fitted.model.why_no_likelihood
        return
    truth = truth_of(SOURCES[kind], rows)
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
