"""The mixture that chooses its number of components."""

import torch

from hexad.baselines import gmm
from hexad.baselines.gmm import GaussianMixture
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
