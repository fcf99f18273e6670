"""Every model keeps declared bounds: densities integrate to 1 within them, samples stay, and nobody beats the truth."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import hexad

BOUNDS = {"wait": [0, None], "share": [0, 1]}
RNG = np.random.default_rng(7)
TABLE = pd.DataFrame({"wait": RNG.exponential(2.0, 3000), "share": RNG.beta(2.0, 3.0, 3000)})
DATA = hexad.load_data(TABLE, bounds=BOUNDS)
COUNTS = pd.DataFrame({"count": RNG.geometric(0.3, 3000) - 1, "share": TABLE["share"]})
OPTIONS = {
    "nsf": {"transforms": 2, "hidden": [16]},
    "maf": {"transforms": 2, "hidden": [16]},
    "made": {"hidden": [16]},
    "vae": {"hidden": [16], "latent": 2},
    "ebm": {"hidden": [16]},
    "gan": {"hidden": [16]},
    "ddpm": {"hidden": [16], "noise_levels": 20},
}
EXACT = ("nsf", "maf", "gaussian", "gmm", "made", "independent")
MODELS = (*EXACT, "vae", "ebm", "gan", "ddpm")


def _fit(name, data, steps=40):
    return hexad.fit(name, data, steps=steps, progress=False, **OPTIONS.get(name, {}))


def _truth(wait, share):
    """Return log p of the exponential with mean 2 and of the beta with parameters 2, 3."""
    return -wait / 2 - math.log(2) + np.log(12 * share) + 2 * np.log1p(-share)


@pytest.mark.parametrize("name", EXACT)
def test_density_integrates_to_1_within_the_bounds(name):
    fitted = _fit(name, DATA)
    # wait = t^3 and share = sin^2(pi s / 2): nodes crowd where a density may rise
    t, s = (np.arange(150) + 0.5) / 150 * 4.5, (np.arange(150) + 0.5) / 150
    wait, share = t**3, np.sin(np.pi * s / 2) ** 2
    slopes = np.outer(3 * t**2 * 4.5 / 150, np.pi * np.sin(np.pi * s / 2) * np.cos(np.pi * s / 2) / 150)
    grid = pd.DataFrame({"wait": np.repeat(wait, 150), "share": np.tile(share, 150)})
    stated = fitted.log_likelihood(grid)
    assert (stated.kind, stated.measure) == ("exact", "density")
    assert abs(float((stated.value.exp().numpy() * slopes.ravel()).sum()) - 1) < 0.005


@pytest.mark.parametrize("name", MODELS)
def test_samples_stay_and_nobody_beats_the_truth(name):
    fitted = _fit(name, DATA)
    sample, rows = fitted.sample(250, seed=0), slice(0, 300)
    assert (sample > 0).all(axis=None)
    assert (sample["share"] < 1).all()
    assert fitted.path(3, seed=0).states.isfinite().all()
    if name == "gan":
        return
    stated = fitted.log_likelihood(DATA.test[rows])
    end = stated.low if stated.kind == "interval" else stated.value
    gap = end.numpy() - _truth(DATA.test["wait"][rows].to_numpy(), DATA.test["share"][rows].to_numpy())
    assert gap.mean() <= 4 * (gap.std() / math.sqrt(len(gap)) + stated.common_stderr)
    assert np.isfinite(gap).all()


@pytest.mark.parametrize("name", ["nsf", "made", "gaussian", "independent"])
def test_counts_from_a_bound_on_have_masses_bounded_below(name):
    data = hexad.load_data(COUNTS[["count"]].assign(share=COUNTS["share"].round(2)), bounds={"count": [0, None]})
    fitted = _fit(name, data)
    assert (fitted.sample(2000, seed=0)["count"] >= 0).all()
    stated = fitted.log_likelihood(data.test)
    assert (stated.kind, stated.measure) == ("lower_bound", "mass")
    only = hexad.load_data(COUNTS["count"].to_numpy(dtype=float), bounds=[0, None])
    if name == "nsf":
        return  # takes two columns
    total = _fit(name, only).log_likelihood(np.arange(60.0)).value.exp().sum()
    assert 0.9 < float(total) < 1.02  # a mean of 16 draws a cell


def test_a_bound_declared_where_data_end_is_better_than_none():
    within = _fit("gaussian", DATA).log_likelihood(DATA.test).value
    free = _fit("gaussian", hexad.load_data(TABLE)).log_likelihood(DATA.test).value
    assert float((within - free).mean()) > 0.2


def test_records_beyond_a_bound_are_one_line_and_a_run_comes_back(command, tmp_path):
    TABLE.to_csv(tmp_path / "d.csv", index=False)
    declared = 'bounds={"wait": [0, null], "share": [0, 1]}'
    argv = ("train", "maf", tmp_path / "d.csv", "--steps", "20", "--data")
    status, _, err = command(*argv, 'bounds={"share": [0, 0.5]}', "--out", tmp_path / "no")
    assert (status, err.count("\n")) == (2, 1)
    assert "column share holds" in err
    assert not (tmp_path / "no").exists()
    status, _, err = command(*argv, declared, "--out", tmp_path / "run")
    assert status == 0, err
    assert "real(0 to inf), real(0 to 1)" in err
    fitted = hexad.load(tmp_path / "run")
    assert [(s.low, s.high) for s in fitted.event.supports] == [(0, math.inf), (0, 1)]
    with pytest.raises(hexad.InputError, match="column wait holds -1 in row 1, below its lower bound 0"):
        fitted.log_likelihood(pd.DataFrame({"wait": [-1.0], "share": [0.5]}))
    assert fitted.log_likelihood(pd.DataFrame({"wait": [1.0], "share": [0.5]})).value.isfinite().all()
    assert command("train", "maf", tmp_path / "d.csv", "--steps", "30", "--data", declared, "--resume", "--out",
                   tmp_path / "run")[0] == 0  # fmt: skip


def test_units_shift_every_density_alike():
    c = 128.0
    scaled = hexad.load_data(TABLE * [c, 1.0], bounds=BOUNDS)
    plain, other = _fit("nsf", DATA), _fit("nsf", scaled)
    for a, b in zip(plain.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)
    expected = plain.log_likelihood(DATA.test).value - math.log(c)
    torch.testing.assert_close(other.log_likelihood(scaled.test).value, expected, rtol=0, atol=1e-9)
