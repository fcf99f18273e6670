"""The public data sets under HEXAD_DATA load as they lie."""

import os
from pathlib import Path

import pytest

from hexad.checks import InputError
from hexad.data import load_data

ROOT = os.environ.get("HEXAD_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="HEXAD_DATA, the folder of public data sets, is not set")

LOADS = {
    "mnist": ((54000, 6000, 10000), "Event((1, 28, 28), ordinal(256), image)"),
    "binarized_mnist": ((50000, 10000, 10000), "Event((784,), binary, vector)"),
    "binary_density/mushrooms": ((2000, 500, 5624), "Event((112,), binary, vector)"),
    "binary_density/nips": ((400, 100, 1240), "Event((500,), binary, vector)"),
    "cifar10_subset": ((2800, 400, 800), "Event((3, 32, 32), ordinal(256), image)"),
    "frey_faces": ((1375, 197, 393), "Event((1, 28, 20), ordinal(256), image)"),
    "uci_regression/power-plant/data.txt.gz": ((6697, 957, 1914), "Event((5,), real(step=0.01), vector)"),
    "uci_regression/kin8nm": ((5734, 819, 1639), "Event((9,), real, vector)"),
    "time_series/monthly-sunspots.csv": ((1974, 282, 564), "Event((1,), real(step=0.1), series)"),
    "time_series/airline-passengers.csv": ((100, 15, 29), "Event((1,), real(step=1), series)"),
    "time_series/ETTh1.csv.gz": ((12194, 1742, 3484), "Event((7,), real, series)"),
    "time_series/exchange_rate.txt.gz": ((5311, 759, 1518), "Event((8,), real(step=1e-06), vector)"),
}
LINES = {
    "uci_regression/naval-propulsion-plant": "drop=x8,x11,x6",
    "time_series/beijing_pm25.csv.gz": "drop=cbwd",
    "tables/adult_census": "drop=x1,x3,x5,x6,x7,x8,x9,x13,x14",
    "tables/titanic": "drop=sex,embarked,class,embark_town",
    "tables/kc_house": "drop=date,waterfront,view,condition,grade",
    "tables/german_credit": "drop=checking_balance",
    "tables/horse_colic": "1605",
    "time_series": "several files",
}


@pytest.mark.parametrize("name", LOADS)
def test_loads(name):
    data = load_data(Path(str(ROOT)) / name)
    sizes, event = LOADS[name]
    assert tuple(len(data.split(s)) for s in ("train", "valid", "test")) == sizes
    assert repr(data.event) == event
    assert data.tensor("valid").shape == (sizes[1], *data.event.shape)


def test_every_other_numeric_set_loads():
    root = Path(str(ROOT))
    for path in [*(root / "uci_regression").iterdir(), *(root / "binary_density").iterdir()]:
        if path.name != "naval-propulsion-plant":
            assert len(load_data(path).train) > 100


@pytest.mark.parametrize("name", LINES)
def test_lines(name):
    with pytest.raises(InputError) as caught:
        load_data(Path(str(ROOT)) / name)
    assert LINES[name] in str(caught.value)
    assert "\n" not in str(caught.value)
