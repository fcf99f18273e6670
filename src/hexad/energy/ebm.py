r"""An energy network as a tilt of a fitted base, by maximum likelihood with Langevin negatives (Xie et al., 2016).

.. math:: p(x) = \frac{q(x)\, e^{-E_\theta(x)}}{Z'},\qquad \log Z' = \log E_q\left[e^{-E_\theta}\right]

The base q is normalised, fitted before the first step and close to the data; :math:`E_\theta` starts at 0, so
:math:`\log Z'` is 0 exactly at the start, and the anneal from q to p stays short. A network grows at most linearly
and :math:`\log q` falls quadratically: the tilt can always be normalised.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.mixture import GaussianMixture
from hexad.event import Event
from hexad.mcmc import Bridge, Point, anneal, independence, mala, sandwich
from hexad.model import Trajectory
from hexad.nn.scalar import ScalarMLP
from hexad.nn.scalar_conv import OnPictures
from hexad.randomness import fresh

__all__ = ["EBM", "TiltBridge", "TiltNetwork"]

_ACCEPTANCE = 0.57  # MALA's optimal rate (Roberts and Rosenthal, 1998)
_QUADRATURE = 2  # the most columns that are integrated over
_FITTED = 20_000  # the most records that the base is fitted to


class TiltNetwork(Protocol):
    """What a tilt is: a network from whitened records z (batch, D) to E, (batch,)."""

    def __call__(self, z: Tensor, /) -> Tensor:
        """Return E of each row, (batch,)."""

    def value_and_gradient(self, z: Tensor, /) -> tuple[Tensor, Tensor]:
        """Return E, (batch,), and its gradient in z, (batch, D), both without a graph."""


class EBM(EnergyModel):
    r"""A tilted Gaussian or mixture of Gaussians, trained by maximum likelihood.

    The loss of a record is its energy less the mean energy of the negatives, whose gradient is that of the negative
    log likelihood. Negatives are a replay buffer of persistent chains, advanced in ``after_step`` by
    Metropolis-adjusted Langevin steps in the base's whitened space; then each chain may restart from the base, with
    the Metropolis probability that keeps the model invariant.

    Args:
        event: real columns without cells.
        hidden: widths of the energy network; none: a linear tilt, which moves the mean of a Gaussian base.
        components: of the base; 1 is the Gaussian with full covariance.
        k: Langevin steps a training step.
        particles: number of chains.
        restart: share of the chains that are offered a restart a step.
        regularisation: weight of the squared energies in the loss.
        sample_steps: Langevin steps that make a sample, from the base to the model.
        network: the tilt, a module that is a :class:`TiltNetwork` and starts at 0, in place of a fully connected one of
            ``hidden`` layers. One :class:`~hexad.nn.scalar_conv.OnPictures` is handed the base's colours.

    Raises:
        ValueError: columns that are not real, or have cells.
    """

    shift: Tensor
    colour: Tensor
    whiten: Tensor
    chains: Tensor
    log_steps: Tensor

    def __init__(
        self,
        event: Event,
        hidden: Sequence[int] = (256, 256),
        components: int = 1,
        k: int = 5,
        particles: int = 128,
        restart: float = 0.05,
        regularisation: float = 1e-4,
        sample_steps: int = 300,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"an energy tilt takes a real event without steps, got {event}: dequantise first")
        self.hidden, self.components, self.k, self.restart = tuple(hidden), components, k, restart
        self.regularisation, self.sample_steps = regularisation, sample_steps
        dims = event.dims
        self.network = ScalarMLP(dims, hidden) if network is None else network
        self.base = GaussianMixture(dims, components)
        self.register_buffer("shift", torch.zeros(dims))
        self.register_buffer("colour", torch.eye(dims))
        self.register_buffer("whiten", torch.eye(dims))
        self.register_buffer("chains", torch.randn(particles, dims))
        # step of the base, of the model
        self.register_buffer("log_steps", torch.full((2,), 1.65**2 * dims ** (-1 / 3)).log())

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
        point, bridge = self.evaluate(self.chains), self.bridge()
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

    def negatives(self) -> Tensor:
        """Return the chains as records, (particles, D)."""
        return self.coloured(self.chains).flatten(1)

    def energy(self, x: Tensor) -> Tensor:
        """Return -log q(x) + E(x), (batch,); its normaliser is Z'."""
        z = self.whitened(x)
        return self.network(z) - self.base.log_prob(z) - self.whiten.slogdet()[1]

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return E(x) less the mean of E over the chains, plus the squares of both, weighted, (batch,)."""
        z = self.whitened(x)
        energies = self.network(torch.cat([z, self.chains]))
        data, model = energies[: len(z)], energies[len(z) :]
        return data - model.mean() + self.regularisation * (data.square() + model.square().mean())

    @torch.no_grad()
    def after_step(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Advance the chains by k Langevin steps and an offer of a restart, and tune the step of the model."""
        generator = fresh(generator, self.device)
        point, one = self.evaluate(self.chains), self.bridge().coefficients(1.0)
        for _ in range(self.k):
            point, accept = mala(point, self.evaluate, one, step=self.log_steps[1].exp(), generator=generator)
            self.log_steps[1] += 0.02 * (accept.mean() - _ACCEPTANCE)
        count = round(self.restart * len(self.chains))
        if count:
            rows = torch.randperm(len(self.chains), generator=generator, device=self.device)[:count]
            old = Point(point.x[rows], point.energies[:, rows], point.gradients[:, rows])
            drawn = self.evaluate(self.base.sample(count, generator))
            new, _ = independence(old, drawn, lambda at: -at.energies[1], generator=generator)
            self.chains.copy_(point.x.index_copy(0, rows, new.x))
        else:
            self.chains.copy_(point.x)

    def evaluate(self, z: Tensor) -> Point:
        """Return the point at z: energies and gradients of the base and of the tilt."""
        base, base_slope = self.base.value_and_gradient(z)
        tilt, tilt_slope = self.network.value_and_gradient(z)  # type: ignore[operator]
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
            return self._quadrature(int(1024 * effort ** (1 / self.event.dims)))
        generator = fresh(generator, self.device)
        runs, count = max(2, min(128, budget or 128)), max(20, int(1000 * effort))
        bridge = self.bridge()
        times = torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()
        start = self.evaluate(self.base.sample(runs, generator))
        forward, _ = anneal(bridge, start, times, generator=generator)
        end = self.evaluate(self.chains[torch.arange(runs, device=self.device) % len(self.chains)])
        for _ in range(count // 4):
            end = bridge.move(end, 1.0, generator)
        reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
        return Partition.annealed(sandwich(forward, reverse), 0.0, f"{count} temperatures")

    def _quadrature(self, points: int) -> Partition:
        """Return the trapezoidal sum over 10 deviations around each component; error: against half the points."""
        points += points % 2
        low, high = self.base.extent(10.0)
        axes = [
            torch.linspace(0, 1, points + 1, dtype=low.dtype, device=low.device) * (b - a) + a
            for a, b in zip(low, high, strict=True)
        ]
        values = []
        for axis in axes[0].split(max(1, 65536 // (points + 1) ** (len(axes) - 1))):
            z = torch.cartesian_prod(axis, *axes[1:]).reshape(-1, len(axes))
            values.append((self.base.log_prob(z) - self.network(z)).double())
        log_f = torch.cat(values).reshape([points + 1] * len(axes))
        log_cell = ((high - low).double() / points).log().sum()
        fine = torch.logsumexp(log_f.flatten(), 0) + log_cell
        every = (slice(None, None, 2),) * len(axes)
        coarse = torch.logsumexp(log_f[every].flatten(), 0) + log_cell + len(axes) * torch.log(log_cell.new_tensor(2.0))
        value, error = float(fine), abs(float(fine - coarse))
        text = f"log Z by quadrature on {' x '.join([str(points + 1)] * len(axes))} points, error {error:.1g}"
        return Partition(value, value, value, error, protocol=text)

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        """Return Langevin steps from the base: half of them anneal, half are at the model; 20 of them are shown."""
        generator = fresh(generator, self.device)
        bridge, steps = self.bridge(), max(2, self.sample_steps)
        point = self.evaluate(self.base.sample(n, generator))
        shown = {round(steps * j / 20) for j in range(1, 21)}
        states, labels = [point.x], ["base"]
        for i in range(1, steps + 1):
            point = bridge.move(point, min(1.0, 2 * i / steps), generator)
            if i in shown:
                states.append(point.x)
                labels.append(f"step {i}")
        return Trajectory(self.coloured(torch.stack(states)), "chain step", tuple(labels))

    def extra_repr(self) -> str:
        """Return how it is trained."""
        return f"chains={len(self.chains)}, k={self.k}, restart={self.restart}"


class TiltBridge(Bridge[Point]):
    r"""The path :math:`\log f_t(z) = \log q(z) - t E(z)`, moved by Metropolis-adjusted Langevin steps.

    The step runs geometrically from the base's to the model's: fixed before the anneal, so that each kernel is
    reversible.
    """

    def __init__(self, model: EBM) -> None:
        self.model = model

    def coefficients(self, t: float) -> Tensor:
        """Return the weights of base and tilt in the energy at t, (2,)."""
        weights = torch.ones_like(self.model.log_steps)
        weights[1] = t
        return weights

    def log_ratio(self, state: Point, t: float, u: float) -> Tensor:
        """Return log f_u - log f_t at the state, (batch,)."""
        return (t - u) * state.energies[1]

    def move(self, state: Point, t: float, generator: torch.Generator | None) -> Point:
        """Return the state after one step at t."""
        steps = self.model.log_steps
        step = torch.lerp(steps[0], steps[1], t).exp()
        return mala(state, self.model.evaluate, self.coefficients(t), step=step, generator=generator)[0]
