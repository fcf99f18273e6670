"""The Gaussian and the mixture of Gaussians beside scikit-learn's."""

from __future__ import annotations

import torch
from sklearn.mixture import GaussianMixture as Theirs

from benchmarks.speed.contest import Contest, clock, named, task
from hexad.baselines import Gaussian, GaussianMixture
from hexad.event import Event

COLUMNS, COMPONENTS = 20, 8


def _records(rows: int) -> torch.Tensor:
    """Return made-up records in as many clusters as there are components, (rows, COLUMNS) float64."""
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.randn(COMPONENTS, COLUMNS, generator=generator, dtype=torch.float64)
    kind = torch.randint(COMPONENTS, (rows,), generator=generator)
    return centres[kind] + torch.randn(rows, COLUMNS, generator=generator, dtype=torch.float64)


def _register(name: str, components: int) -> None:
    def build() -> Gaussian | GaussianMixture:
        event = Event.of(COLUMNS, "real")
        return Gaussian(event) if components == 1 else GaussianMixture(event, components)

    words = f"{COLUMNS} columns, {components} component{'s' if components > 1 else ''} with full covariance"

    @task(f"{name}-fit")
    def _(small: bool) -> Contest:
        x = _records(500 if small else 10_000)
        ours = build()
        return Contest(
            f"fit to {len(x):,} records, {words}" + ("; ours calls the peer" if components > 1 else ""),
            clock(lambda: ours.prepare(x, generator=torch.Generator().manual_seed(0))),
            clock(lambda: Theirs(components, random_state=0).fit(x.numpy())),
            peer_name=named("scikit-learn", "GaussianMixture"),
            work="fit",
        )

    @task(f"{name}-density")
    def _(small: bool) -> Contest:
        x = _records(500 if small else 10_000)
        ours, theirs = build(), Theirs(components, random_state=0).fit(x.numpy())
        ours.prepare(x, generator=torch.Generator().manual_seed(0))
        return Contest(
            f"log density of {len(x):,} records, {words}",
            clock(torch.no_grad()(lambda: ours.log_prob(x))),
            clock(lambda: theirs.score_samples(x.numpy())),
            peer_name=named("scikit-learn", "GaussianMixture"),
            work="call",
        )


_register("gaussian", 1)
_register("gmm", COMPONENTS)
