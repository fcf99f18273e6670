"""The mixture that chooses its number of components."""

import pytest
import torch

from hexad.baselines import gmm
from hexad.baselines.gmm import GaussianMixture
from hexad.checks import InputError
from hexad.event import Event, Support


def test_nothing_is_chosen_where_one_component_is_the_most(monkeypatch):
    fits = []
    fit = gmm._fit
    monkeypatch.setattr(gmm, "_fit", lambda z, count, seed: fits.append(count) or fit(z, count, seed))
    dims = 800  # of 16 components the covariances would hold more than a million numbers
    model = GaussianMixture(Event((dims,), (Support("real"),) * dims))
    assert len(model.log_weights) == 1
    model.prepare(torch.randn(40, dims, generator=torch.Generator().manual_seed(0)))
    assert fits == [1]


def test_two_rows_are_enough():
    model = GaussianMixture(Event((2,), (Support("real"),) * 2))
    model.prepare(torch.tensor([[0.0, 1.0], [1.0, 3.0]]), generator=torch.Generator().manual_seed(0))
    assert model.sample(3).shape == (3, 2)


def test_one_row_is_too_few():
    with pytest.raises(InputError, match="at least 2"):
        GaussianMixture(Event((2,), (Support("real"),) * 2)).prepare(torch.zeros(1, 2))
