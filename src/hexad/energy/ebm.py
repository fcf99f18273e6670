r"""An energy network as a tilt of a fitted base (Xie et al., 2016; Nijkamp et al., 2020).

.. math:: p(x) = \frac{q(x)\, e^{-E_\theta(x)}}{Z'},\qquad \log Z' = \log E_q\left[e^{-E_\theta}\right]

The base q is normalised, fitted before the first step and close to the data; :math:`E_\theta` starts at 0, so
:math:`\log Z'` is 0 exactly at the start, and the anneal from q to p stays short. A network grows at most linearly
and :math:`\log q` falls quadratically: the tilt can always be normalised.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from hexad.energy.annealed import EnergyBridge, annealed_partition
from hexad.energy.base import EnergyModel, Partition
from hexad.energy.maximum_likelihood import MaximumLikelihood
from hexad.energy.objectives import Objective
from hexad.energy.path import annealed_path
from hexad.energy.quadrature import quadrature
from hexad.energy.tilt_base import GaussianMixture
from hexad.event import Event
from hexad.mcmc import Point, mala
from hexad.model import GenerativeModel, Trajectory
from hexad.nn.scalar import ScalarMLP, value_and_gradient
from hexad.nn.scalar_conv import OnPictures
from hexad.randomness import fresh

__all__ = ["EBM", "TEMPERATURES", "TiltBridge"]

TEMPERATURES = 1000  # of an anneal of log Z
_ACCEPTANCE = 0.57  # MALA's optimal rate (Roberts and Rosenthal, 1998)
_QUADRATURE = 2  # the most columns that are integrated over
_PILOTS = 128  # chains that tune the step of the base
_MEMORY = 0.02  # weight of a step in the mean acceptance
_FITTED = 20_000  # the most records that the base is fitted to


class EBM(EnergyModel):
    r"""A tilted Gaussian or mixture of Gaussians, trained by the objective that it is given.

    All of it works in the base's whitened space. Where the objective moves chains they stand for the model in
    training, and log Z is annealed back from them; elsewhere it is annealed back from samples.

    Args:
        event: real columns without cells.
        hidden: widths of the energy network; none: a linear tilt, which moves the mean of a Gaussian base.
        components: of the base; 1 is the Gaussian with full covariance.
        objective: what the energy is trained by; None: maximum likelihood by persistent chains.
        spectral: whether the network's hidden layers are shrunk to a spectral norm of at most 1.
        frequencies: random ones whose sines and cosines the network sees beside the record, for few columns.
        network: an energy network of your own, from whitened records (batch, D) to (batch,), that starts at 0, in place
            of what these make. One :class:`~hexad.nn.scalar_conv.OnPictures` is handed the base's colours.
        sample_steps: Langevin steps that make a sample, from the base to the model.

    Raises:
        ValueError: columns that are not real, or have cells; more than the objective takes; a network of another shape.
    """

    shift: Tensor
    colour: Tensor
    whiten: Tensor
    chains: Tensor
    log_steps: Tensor
    acceptance: Tensor

    def __init__(
        self,
        event: Event,
        hidden: Sequence[int] = (256, 256),
        components: int = 1,
        objective: Objective | None = None,
        *,
        spectral: bool = False,
        frequencies: int = 0,
        network: nn.Module | None = None,
        sample_steps: int = 300,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"an energy tilt takes a real event without steps, got {event}: dequantise first")
        dims = event.dims
        self.hidden, self.components, self.sample_steps = tuple(hidden), components, sample_steps
        self.objective = MaximumLikelihood() if objective is None else objective
        self.objective.check(dims)
        self.compilable = self.objective.compilable
        if self._other is not None:
            self.players = ("model", "noise")
        if network is None:
            network = ScalarMLP(dims, hidden, spectral=spectral, frequencies=frequencies)
        self.network = network
        _check_network(self.network, dims)
        self.base = GaussianMixture(dims, components)
        self.register_buffer("shift", torch.zeros(dims))
        self.register_buffer("colour", torch.eye(dims))
        self.register_buffer("whiten", torch.eye(dims))
        self.register_buffer("chains", torch.randn(self.objective.particles, dims))
        # step of the base, of the model
        self.register_buffer("log_steps", torch.full((2,), 1.65**2 * dims ** (-1 / 3)).log())
        self.register_buffer("acceptance", torch.tensor(_ACCEPTANCE))  # of the model's kernel, a running mean

    @property
    def _other(self) -> GenerativeModel | None:
        """The second player, if the objective has one that learns."""
        noise = self.objective.noise
        return noise if noise is not None and any(True for _ in noise.parameters()) else None

    def player_parameters(self, player: str) -> Iterable[nn.Parameter]:
        """Return the parameters of the energy, or of the noise that it is told from."""
        other = [] if self._other is None else list(self._other.parameters())
        if player == "noise":
            return other
        theirs = {id(p) for p in other}
        return [p for p in self.parameters() if id(p) not in theirs]

    @torch.no_grad()
    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the whitening and the base, tune the base's step, and start the chains at draws of the base."""
        generator = fresh(generator, self.device)
        x = x.flatten(1)
        if len(x) > _FITTED:
            x = x[torch.randperm(len(x), generator=generator, device=x.device)[:_FITTED]]
        x = x.double()
        n, dims = x.shape
        covariance = torch.cov(x.T, correction=0).reshape(dims, dims)
        # a little of a sphere keeps directions that few records span from collapsing
        shrink = dims / (dims + 10 * n) + 1e-6
        eye = torch.eye(dims, dtype=x.dtype, device=x.device)
        values, vectors = torch.linalg.eigh((1 - shrink) * covariance + shrink * covariance.diagonal().mean() * eye)
        self.shift.copy_(x.mean(0))
        self.colour.copy_(vectors @ (values.sqrt()[:, None] * vectors.T))
        self.whiten.copy_(vectors @ (values.rsqrt()[:, None] * vectors.T))
        if isinstance(self.network, OnPictures):
            self.network.colour.copy_(self.colour)
            self.network.shift.copy_(self.shift)
        z = (x - x.mean(0)) @ self.whiten.double().T
        if self.components > 1:
            self._fit_mixture(z, generator)
        self.chains.copy_(self.base.sample(len(self.chains), generator))
        point, bridge = self.evaluate(self.base.sample(_PILOTS, generator)), self.bridge()
        for _ in range(100):
            point, accept = mala(
                point, self.evaluate, bridge.coefficients(0.0), step=self.log_steps[0].exp(), generator=generator
            )
            self.log_steps += 0.1 * (accept.mean() - _ACCEPTANCE)

    def _fit_mixture(self, z: Tensor, generator: torch.Generator) -> None:
        """Fit the mixture, unless the Gaussian is better on a tenth of the records, held out: then that is the base."""
        held = torch.randperm(len(z), generator=generator, device=z.device) < max(1, len(z) // 10)
        gaussian = GaussianMixture(z.shape[1]).to(z)
        for trial in (self.base, gaussian):
            trial.fit(z[~held], generator=generator)
        held_out = z[held]
        if self.base.log_prob(held_out.to(self.dtype)).mean() > gaussian.log_prob(held_out).mean():
            self.base.fit(z, generator=generator)
        else:
            self.base.reset()

    def whitened(self, x: Tensor) -> Tensor:
        """Return z of records x (batch, \\*event.shape), (batch, D)."""
        return (x.flatten(1) - self.shift) @ self.whiten.T

    def coloured(self, z: Tensor) -> Tensor:
        """Return the records of z (..., D)."""
        return (z @ self.colour.T + self.shift).unflatten(-1, self.event.shape)

    def retilted(self, network: nn.Module) -> EBM:
        """Return another tilt of the same base, which shares everything else with this one: base, chains, steps."""
        other = copy.copy(self)
        other._modules = {**self._modules, "network": network}
        return other

    def tilt(self, x: Tensor) -> Tensor:
        """Return E(x), (batch,): what the network adds to the base's energy."""
        return self.network(self.whitened(x))

    def log_volume(self) -> Tensor:
        """Return log |det dz/dx|, a scalar."""
        return self.whiten.slogdet()[1]

    def negatives(self) -> Tensor | None:
        """Return the chains as records, (particles, D), where the objective moves any."""
        return self.coloured(self.chains).flatten(1) if len(self.chains) else None

    def mean_acceptance(self) -> Tensor:
        """Return the running mean of the Langevin steps' acceptance in training."""
        return self.acceptance

    def energy(self, x: Tensor) -> Tensor:
        """Return -log q(x) + E(x), (batch,); its normaliser is Z'."""
        z = self.whitened(x)
        return self.network(z) - self.base.log_prob(z) - self.log_volume()

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the objective of each record, or the loss of the noise that it is told from, (batch,)."""
        if player == "noise" and self._other is not None:
            return self._other.loss(x, generator=generator)
        return self.objective.loss(self, self.whitened(x), generator=fresh(generator, self.device))

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Move what the objective moves: chains, and the step of the model."""
        generator = fresh(generator, self.device)
        self.objective.after_step(self, self.whitened(x), generator=generator)
        if self._other is not None:
            self._other.after_step(x, generator=generator)

    @torch.no_grad()
    def langevin(self, point: Point, *, rate: float = 0.02, generator: torch.Generator | None) -> Point:
        """Return the point after a step at the model; its size moves towards the best acceptance, whose mean is kept.

        Args:
            point: states with their energies.
            rate: how fast the logarithm of the step's size moves.
            generator: where randomness comes from.
        """
        one, step = self.bridge().coefficients(1.0), self.log_steps[1].exp()
        point, accept = mala(point, self.evaluate, one, step=step, generator=generator)
        mean = accept.mean()
        self.log_steps[1] += rate * (mean - _ACCEPTANCE)
        self.acceptance.lerp_(mean, _MEMORY)
        return point

    def evaluate(self, z: Tensor) -> Point:
        """Return the point at z: energies and gradients of the base and of the tilt."""
        base, base_slope = self.base.value_and_gradient(z)
        tilt, tilt_slope = value_and_gradient(self.network, z)
        return Point(z, torch.stack([base, tilt]), torch.stack([base_slope, tilt_slope]))

    def bridge(self) -> TiltBridge:
        """Return the path from the base (t = 0) to the model (t = 1), in whitened space."""
        return TiltBridge(self)

    @torch.no_grad()
    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z': by quadrature in one and two dimensions, else annealed from both ends."""
        if self.event.dims <= _QUADRATURE:
            low, high = self.base.extent(10.0)  # deviations around each component
            points = int(1024 * effort ** (1 / self.event.dims))
            return quadrature(lambda z: self.base.log_prob(z) - self.network(z), low, high, points)
        runs, count = max(2, min(128, budget or 128)), max(20, int(TEMPERATURES * effort))
        generator = fresh(generator, self.device)
        return annealed_partition(self.bridge(), runs=runs, temperatures=count, generator=generator)

    def ends(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return n states z that stand for the model, (n, D): chains, or samples where none are moved."""
        if len(self.chains):
            return self.chains[torch.arange(n, device=self.device) % len(self.chains)]
        return self.whitened(self.sample(n, generator=generator))

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return Langevin steps from the base: half of them anneal, half are at the model; 20 of them are shown."""
        generator, bridge = fresh(generator, self.device), self.bridge()
        start = bridge.base(n, generator)
        return annealed_path(bridge, start, self.sample_steps, lambda at: self.coloured(at.x), generator, "step")


@torch.no_grad()
def _check_network(network: nn.Module, dims: int) -> None:
    """Raise ValueError where the network does not give two rows two finite numbers."""
    first = next(network.parameters(), torch.zeros(()))
    values = network(first.new_zeros(2, dims))
    if values.shape != (2,):
        shape = tuple(values.shape)
        raise ValueError(f"the energy network gives shape {shape} for 2 records of {dims} columns; expected (2,)")
    if not torch.isfinite(values).all():
        raise ValueError(f"the energy network gives {float(values[0])} at the origin; expected a finite energy")


class TiltBridge(EnergyBridge[Point]):
    r"""The path :math:`\log f_t(z) = \log q(z) - t E(z)`, moved by Metropolis-adjusted Langevin steps.

    The step runs geometrically from the base's to the model's: fixed before the anneal, so that each kernel is
    reversible.
    """

    def __init__(self, model: EBM) -> None:
        self.model = model

    def log_z_base(self) -> float:
        """Return 0: the base is normalised."""
        return 0.0

    def base(self, n: int, generator: torch.Generator | None) -> Point:
        """Return n draws of the base."""
        return self.model.evaluate(self.model.base.sample(n, generator))

    def target(self, n: int, moves: int, generator: torch.Generator | None) -> Point:
        """Return n states of the training chains, or samples where there are none, after some more moves."""
        point = self.model.evaluate(self.model.ends(n, generator))
        for _ in range(moves):
            point = self.move(point, 1.0, generator)
        return point

    def coefficients(self, t: float) -> Tensor:
        """Return the weights of base and tilt in the energy at t, (2,)."""
        weights = torch.ones_like(self.model.log_steps)
        weights[1].fill_(t)
        return weights

    def log_ratio(self, state: Point, t: float, u: float) -> Tensor:
        """Return log f_u - log f_t at the state, (batch,)."""
        return (t - u) * state.energies[1]

    def move(self, state: Point, t: float, generator: torch.Generator | None) -> Point:
        """Return the state after one step at t."""
        steps = self.model.log_steps
        step = torch.lerp(steps[0], steps[1], t).exp()
        return mala(state, self.model.evaluate, self.coefficients(t), step=step, generator=generator)[0]
