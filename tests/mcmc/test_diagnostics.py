"""Diagnostics against processes whose autocorrelation time is known, and against their formulas by loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from hexad.mcmc import autocorrelation_time, effective_sample_size, r_hat, thinned
from hexad.randomness import stream


def ar1(rho, n, chains, columns=1, name="ar"):
    """Return stationary AR(1) chains of unit variance, (n, chains, columns)."""
    noise = torch.randn(n, chains, columns, generator=stream(0, name), dtype=torch.float64).numpy()
    noise[1:] *= math.sqrt(1 - rho**2)
    return torch.from_numpy(lfilter([1.0], [1.0, -rho], noise, axis=0))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, -0.5])
def test_autoregressive_chains_have_their_known_autocorrelation_time(rho):
    draws = ar1(rho, 5000, 8, 3)
    known = (1 + rho) / (1 - rho)
    assert autocorrelation_time(draws).tolist() == pytest.approx([known] * 3, rel=0.12)
    assert effective_sample_size(draws).tolist() == pytest.approx([40_000 / known] * 3, rel=0.12)
    assert float(r_hat(draws).max()) < 1.01


def by_loops(draws):
    """Return effective sample size and R-hat of one column, (n, chains), written out from the paper."""
    half = len(draws) // 2
    split = np.concatenate([draws[:half], draws[half : 2 * half]], 1)

    def scores(x):
        return norm.ppf((rankdata(x) - 3 / 8) / (x.size + 1 / 4)).reshape(x.shape)

    def ratio(z):
        between, within = half * z.mean(0).var(ddof=1), z.var(0, ddof=1).mean()
        return math.sqrt(((half - 1) / half * within + between / half) / within)

    hat = max(ratio(scores(split)), ratio(scores(np.abs(split - np.median(split)))))
    z = scores(split)
    m = z.shape[1]
    within = z.var(0, ddof=1).mean()
    everything = (half - 1) / half * within + z.mean(0).var(ddof=1)
    centred = z - z.mean(0)
    rho = [1.0]
    for lag in range(1, half):
        covariance = [(centred[: half - lag, j] * centred[lag:, j]).sum() / half for j in range(m)]
        rho.append(1 - (within - np.mean(covariance)) / everything)
    total, least = 0.0, math.inf
    for k in range(half // 2):
        pair = rho[2 * k] + rho[2 * k + 1]
        if pair <= 0:
            break
        least = min(least, pair)
        total += least
    return half * m / (2 * total - 1), hat


@pytest.mark.parametrize("n", [40, 61])
def test_both_are_what_their_formulas_say(n):
    draws = ar1(0.6, n, 3, 2, "loops") + torch.tensor([0.0, 0.2, 0.5])[:, None]
    draws[:, 0] = draws[:, 0].round()  # ties
    for j in range(2):
        size, hat = by_loops(draws[:, :, j].numpy())
        assert float(effective_sample_size(draws)[j]) == pytest.approx(size, rel=1e-9)
        assert float(r_hat(draws)[j]) == pytest.approx(hat, rel=1e-9)


def test_chains_that_disagree_are_seen():
    draws = ar1(0.0, 1000, 4, 1, "apart")
    assert float(r_hat(draws + torch.tensor([0.0, 0.0, 0.0, 3.0])[:, None])) > 1.3
    # in spread alone
    assert float(r_hat(draws * torch.tensor([1.0, 1.0, 1.0, 4.0])[:, None])) > 1.1
    # in time alone: a trend, in all chains alike
    assert float(r_hat(draws + torch.linspace(0, 3, 1000)[:, None, None])) > 1.2
    assert float(effective_sample_size(draws + torch.tensor([0.0, 0.0, 0.0, 3.0])[:, None])) < 50
    # of heavy tails without a mean they still agree
    assert float(r_hat(torch.tan(math.pi * (torch.special.ndtr(draws) - 0.5)))) < 1.01


def test_what_never_moves_is_not_a_number():
    still = torch.ones(100, 4, 1)
    assert r_hat(still).isnan().all()
    assert effective_sample_size(still).isnan().all()
    apart = torch.arange(4.0)[None, :, None].expand(100, 4, 1)
    assert float(r_hat(apart)) > 100


def test_thinned_draws_are_nearly_independent():
    draws = ar1(0.9, 8000, 4, 1, "thin")
    few = thinned(draws)
    assert len(few) == pytest.approx(32_000 / 38, rel=0.12)
    own = few.view(-1, 4)
    lagged = float((own[1:] * own[:-1]).mean())
    assert abs(lagged) < 4 / math.sqrt(own.numel()) + 0.9**38
    with pytest.raises(ValueError, match=r"at least 2\.0 autocorrelation times, got 10 draws"):
        thinned(draws[:10])


def test_the_shape_of_draws_is_checked():
    with pytest.raises(ValueError, match=r"expected \(n, chains, D\) with n at least 4, got \(100, 4\)"):
        r_hat(torch.zeros(100, 4))
