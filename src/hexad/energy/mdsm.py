r"""A normalised energy at every level of noise, by denoising (Li, Chen and Sommer, 2019; Guth, Kadkhodaie and
Simoncelli, 2025).

.. math:: E(y, \sigma) \approx -\log p_\sigma(y),\qquad y = x + \sigma\epsilon

Both of its derivatives are means of what is known of the noise, given y (Vincent, 2011; Choi et al., 2022):

.. math:: \nabla_y E = \frac1\sigma E[\epsilon | y],\qquad
          \frac{\partial E}{\partial \log\sigma} = D - E[|\epsilon|^2 | y],

so both are learned by regression, without chains and without a normaliser. The first alone is blind to how much of the
mass lies in each of two far modes; the second carries their weights down from the high levels, where they are one. The
scalings are those of Karras et al. (2022), integrated,

.. math:: E(y, \sigma) = \frac{|y|^2}{2 (1 + \sigma^2)} + \frac D2 \log 2\pi(1 + \sigma^2)
          - \frac{1}{\sqrt{\sigma^2 + 1/D}}\, G\Big(\frac{y}{\sqrt{1 + \sigma^2}}, \sigma\Big):

where columns are many, the gradient of the network G in its own input then has about unit variance at every level; and
an energy whose noise has gone is a sum over the columns and no more.

The model is :math:`p_\sigma` at the *lowest* level: the law of records with that little noise. The levels above lead
there from a normal law, in sampling and in annealing log Z.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn

from hexad.energy.base import EnergyModel, Partition
from hexad.energy.quadrature import quadrature
from hexad.event import Event
from hexad.mcmc import Bridge, Point, anneal, mala, sandwich
from hexad.model import Score, Trajectory, Validation
from hexad.nn.scalar import ScalarMLP
from hexad.nn.scalar_conv import ScalarConv
from hexad.randomness import fresh

__all__ = ["LevelBridge", "MultiscaleEnergy"]

_QUADRATURE = 2  # the most columns that are integrated over
_RAMP = 0.1  # part of the anneal in which G comes in at the highest level
# cosines of the level that the network is given: few, as its derivative in the level is fitted, too
_WAVES = {"mlp": 3, "conv": 6}
_CONDITION = 64  # width of what a convolutional network is told of the level
_SPREAD = 3.0  # of the columns that a fully connected network is given: beside the level they are to count
_ROWS = 1_000  # the most records that a checkpoint is judged by
_BATCH = 256  # records of a pass outside of training
_GOLDEN = (5**0.5 - 1) / 2


class MultiscaleEnergy(EnergyModel, Score):
    r"""An energy that a network gives for every level of noise, trained by denoising, see above.

    Inside, records are centred a column and divided by one scale for all, the root of their mean variance; levels are
    in units of that scale.

    Args:
        event: real columns without cells.
        hidden: widths of the network's hidden layers, or of the levels of a convolutional one.
        network: ``mlp``, or ``conv`` for pictures, see :class:`~hexad.nn.scalar_conv.ScalarConv`.
        blocks: residual blocks a level of a convolutional network.
        noise: the lowest level and the highest.
        sample_levels: levels that a sample passes on its way down.
        sample_steps: Langevin steps that it then takes at the lowest.

    Raises:
        ValueError: columns that are not real, or have cells; levels that do not rise; ``conv`` on other than pictures.
    """

    compilable = False
    shift: Tensor
    scale: Tensor
    extent: Tensor

    def __init__(
        self,
        event: Event,
        hidden: Sequence[int] = (128, 128),
        network: str = "mlp",
        blocks: int = 1,
        noise: tuple[float, float] = (0.02, 20.0),
        sample_levels: int = 60,
        sample_steps: int = 10,
    ) -> None:
        super().__init__(event)
        if event.kind != "real" or event.measure != "density":
            raise ValueError(f"a multiscale energy takes a real event without steps, got {event}: dequantise first")
        if not 0 < noise[0] < noise[1] or sample_levels < 2:
            raise ValueError(f"levels of noise: expected 0 < lowest < highest and at least 2, got {noise}")
        if network == "conv" and event.layout != "image":
            raise ValueError(f"network=conv takes pictures, not {event.layout} data: use network=mlp")
        self.noise, self.sample_levels, self.sample_steps = tuple(noise), sample_levels, sample_steps
        self.hidden, self.blocks, dims = tuple(hidden), blocks, event.dims
        self.network: ScalarConv | ScalarMLP = (
            ScalarConv(event.shape, hidden, blocks, condition=_CONDITION)
            if network == "conv"
            else ScalarMLP(dims + _WAVES[network], hidden)
        )
        self.embedding = nn.Linear(_WAVES[network], _CONDITION) if network == "conv" else None
        self.register_buffer("shift", torch.zeros(dims))
        self.register_buffer("scale", torch.ones(()))
        # the least and the largest value of each column
        self.register_buffer("extent", torch.tensor([[-1.0], [1.0]]).expand(2, dims).clone())

    @property
    def work(self) -> int:
        """Multiplications of a pass and of the gradient that it is always taken with."""
        own = self.network.work if isinstance(self.network, ScalarConv) else super().work
        return 3 * own

    @torch.no_grad()
    def prepare(self, x: Tensor, *, generator: torch.Generator | None = None) -> None:
        """Fit the centre and the scale, and note how far the records reach."""
        x = x.flatten(1)
        mean = x.mean(0, dtype=torch.float64)
        variance = x.var(0, correction=0).mean(dtype=torch.float64)
        self.shift.copy_(mean)
        self.scale.copy_(variance.sqrt() if float(variance) > 0 else torch.ones(()))
        self.extent.copy_(torch.stack([self.scaled(x.amin(0)[None])[0], self.scaled(x.amax(0)[None])[0]]))

    def scaled(self, x: Tensor) -> Tensor:
        """Return y of records x (batch, \\*event.shape), (batch, D)."""
        return (x.flatten(1) - self.shift) / self.scale

    def unscaled(self, y: Tensor) -> Tensor:
        """Return the records of y (..., D)."""
        return (y * self.scale + self.shift).unflatten(-1, self.event.shape)

    def potential(self, u: Tensor, sigma: Tensor) -> Tensor:
        """Return G of scaled inputs u (batch, D) at levels sigma (batch,), (batch,)."""
        low, high = self.noise
        place = torch.log(sigma / low) / math.log(high / low)
        pictures = isinstance(self.network, ScalarConv)
        turns = math.pi * torch.arange(1, _WAVES["conv" if pictures else "mlp"] + 1, device=place.device)
        waves = torch.cos(place[:, None] * turns)
        if pictures:
            assert self.embedding is not None
            condition = nn.functional.silu(self.embedding(waves))
            return self.network(u.unflatten(1, self.event.shape), condition)
        return self.network(torch.cat([_SPREAD * u, waves], 1))

    def noised_energy(self, y: Tensor, log_sigma: Tensor, weight: float = 1.0) -> Tensor:
        """Return E(y, sigma), (batch,), of noised records y (batch, D) at levels (batch,).

        Args:
            y: (batch, D).
            log_sigma: logarithms of the levels, (batch,).
            weight: of G; at 0 the law is normal, and its normaliser 1.
        """
        sigma = log_sigma.exp()
        v = 1 + sigma.square()
        normal = y.square().sum(1) / (2 * v) + 0.5 * y.shape[1] * (2 * math.pi * v).log()
        reach = (sigma.square() + 1 / y.shape[1]).sqrt()
        return normal - weight * self.potential(y / v.sqrt()[:, None], sigma) / reach

    def value_and_gradient(self, y: Tensor, sigma: Tensor, weight: float = 1.0) -> tuple[Tensor, Tensor]:
        """Return E(y, sigma), (batch,), and its gradient in y, (batch, D), without a graph."""
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            energy = self.noised_energy(y, sigma.log(), weight)
            (gradient,) = torch.autograd.grad(energy.sum(), y)
        return energy.detach(), gradient

    def denoised(self, y: Tensor, sigma: Tensor) -> Tensor:
        r"""Return :math:`E[x | y] = y - \sigma^2 \nabla E(y, \sigma)`, (batch, D)."""
        return y - sigma.square()[:, None] * self.value_and_gradient(y, sigma)[1]

    def energy(self, x: Tensor) -> Tensor:
        """Return E at the lowest level, (batch,), in the units of model space."""
        low = math.log(self.noise[0])
        parts = [self.noised_energy(y, torch.full_like(y[:, 0], low)) for y in self.scaled(x).split(_BATCH)]
        return torch.cat(parts) + self.event.dims * self.scale.log()

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Return the gradient of log p of records with noise, shaped as x.

        Args:
            x: (batch, \\*event.shape).
            t: their levels sigma (batch,), from the lowest to the highest.
        """
        gradient = self.value_and_gradient(self.scaled(x), t)[1]
        return (-gradient / self.scale).unflatten(1, self.event.shape)

    def loss(
        self,
        x: Tensor,
        *,
        player: str = "model",
        context: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the errors of both derivatives, each record at a level of its own, (batch,).

        Levels are uniform in their logarithm, and spread over the batch by a golden-ratio sequence.
        """
        generator, (low, high) = fresh(generator, x.device), self.noise
        clean = self.scaled(x)
        start = torch.rand((), generator=generator, device=x.device, dtype=torch.float64)
        place = ((start + _GOLDEN * torch.arange(len(x), device=x.device)) % 1).to(clean.dtype)
        eps = torch.randn(clean.shape, generator=generator, device=x.device, dtype=clean.dtype)
        return self.errors(clean, math.log(low) + place * math.log(high / low), eps).sum(0)

    def errors(self, clean: Tensor, log_sigma: Tensor, eps: Tensor) -> Tensor:
        """Return the squared errors of the derivatives in y and in the logarithm of the level, a column, (2, batch).

        Args:
            clean: records as :meth:`scaled` gives them, (batch, D).
            log_sigma: (batch,).
            eps: the noise, (batch, D).
        """
        graph, dims = torch.is_grad_enabled(), clean.shape[1]
        sigma = log_sigma.exp()[:, None]
        with torch.enable_grad():
            y = (clean + sigma * eps).detach().requires_grad_()
            level = log_sigma.detach().requires_grad_()
            energy = self.noised_energy(y, level)
            in_y, in_level = torch.autograd.grad(energy.sum(), (y, level), create_graph=graph)
        error = (1 + sigma.square()).sqrt() * (sigma * in_y - eps)
        return torch.stack([error.square().mean(1), ((in_level - dims + eps.square().sum(1)) / dims).square()])

    @torch.no_grad()
    def validate(
        self, x: Tensor, *, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Validation:
        """Return the mean loss of at most 1,000 records, which is lower the better each level denoises."""
        generator = fresh(generator, self.device)
        losses = [self.loss(part, generator=generator).double() for part in x[:_ROWS].split(_BATCH)]
        return Validation("denoising error", float(torch.cat(losses).mean()), "lower")

    def bridge(self) -> LevelBridge:
        """Return the path from a normal law (t = 0) down the levels to the model (t = 1)."""
        return LevelBridge(self)

    @torch.no_grad()
    def log_partition(
        self, *, generator: torch.Generator | None = None, budget: int | None = None, effort: float = 1.0
    ) -> Partition:
        """Return log Z at the lowest level: by quadrature in one and two dimensions, else annealed along the levels."""
        if self.event.dims <= _QUADRATURE:
            low, high = self.extent
            reach = (high - low) / 4 + 10 * self.noise[0]
            points = int((2048 if self.event.dims == 1 else 640) * effort ** (1 / self.event.dims))
            log_scale = self.event.dims * self.scale.log()
            return quadrature(lambda y: log_scale - self.energy(self.unscaled(y)), low - reach, high + reach, points)
        generator = fresh(generator, self.device)
        runs, bridge = max(2, min(32, budget or 32)), self.bridge()
        # a level takes two passes a run and direction; at most a minute or so of one core in all
        count = max(20, int(effort * min(200, 1e12 / (4 * runs * self.work))))
        times = torch.linspace(0, 1, count + 1, dtype=torch.float64).tolist()
        forward, _ = anneal(bridge, bridge.base(runs, generator), times, generator=generator)
        end = LevelState(self.scaled(self.sample(runs, generator=generator)))
        for _ in range(count // 4):
            end = bridge.move(end, 1.0, generator)
        reverse, _ = anneal(bridge, end, times, reverse=True, generator=generator)
        return Partition.annealed(sandwich(forward, reverse), 0.0, f"{count} levels of noise")

    def sample(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return the last state of :meth:`path`."""
        return self.path(n, context=context, generator=generator).states[-1]

    @torch.no_grad()
    def path(self, n: int, *, context: Tensor | None = None, generator: torch.Generator | None = None) -> Trajectory:
        r"""Return the way down the levels, of which 20 states are shown, and the Langevin steps at the lowest.

        From level a to b: denoise, and put noise back,

        .. math:: y_b = \hat x + \frac{b^2}{a^2}(y_a - \hat x) + b\sqrt{1 - b^2/a^2}\,\xi,

        where the denoised record is carried on by half of its last change, which makes it a step of second order (Lu et
        al., 2022). The steps at the lowest are Metropolis-adjusted: they leave the model as it is.
        """
        generator = fresh(generator, self.device)
        levels = self._ladder()
        noise = torch.randn(n, self.event.dims, generator=generator, device=self.device, dtype=self.dtype)
        y = noise * math.sqrt(1 + levels[0] ** 2)
        shown = {round((len(levels) - 1) * j / 20) for j in range(1, 21)}
        states, labels, before = [y], [f"level {levels[0]:.3g}"], (y, 0.0)
        for i, (a, b) in enumerate(pairwise(levels), 1):
            clean = torch.cat([self.denoised(part, torch.full_like(part[:, 0], a)) for part in y.split(_BATCH)])
            ratio = math.log(a / b)
            clean, before = clean + (before[1] and 0.5 * ratio / before[1]) * (clean - before[0]), (clean, ratio)
            xi = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
            y = clean + (b / a) ** 2 * (y - clean) + b * math.sqrt(1 - (b / a) ** 2) * xi
            if i in shown:
                states.append(y)
                labels.append(f"level {b:.3g}")
        bridge, state = self.bridge(), LevelState(y)
        for _ in range(self.sample_steps):
            state = bridge.move(state, 1.0, generator)
        if self.sample_steps:
            states.append(state.y)
            labels.append(f"{self.sample_steps} Langevin steps")
        return Trajectory(self.unscaled(torch.stack(states)), "noise level", tuple(labels))

    def _ladder(self) -> list[float]:
        """Return the levels of a sample from the highest to the lowest, evenly spaced in their fifth roots: closer
        together where they are low, as Karras et al. (2022) have them.
        """
        low, high = (end**0.2 for end in self.noise)
        count = self.sample_levels - 1
        return [(high + i / count * (low - high)) ** 5 for i in range(count + 1)]

    def extra_repr(self) -> str:
        """Return the levels."""
        return f"noise={self.noise[0]:g} to {self.noise[1]:g}, sample_levels={self.sample_levels}"


@dataclass(frozen=True)
class LevelState:
    """Noised records, and what is known of them at places of the path.

    Args:
        y: (batch, D).
        points: energies and gradients by place.
    """

    y: Tensor
    points: dict[float, Point] = field(default_factory=dict)


class LevelBridge(Bridge[LevelState]):
    r"""The path of energies :math:`E(y, \sigma_t)` with a weight :math:`w_t` before G, moved by Metropolis-adjusted
    Langevin steps.

    In its first tenth the level stays the highest and w rises from 0 to 1; then the level falls geometrically. No
    direction of :math:`p_\sigma` is narrower than the noise, so the step is in proportion to :math:`\sigma_t^2`.
    """

    def __init__(self, model: MultiscaleEnergy) -> None:
        self.model = model

    def level(self, t: float) -> tuple[float, float]:
        """Return the level and the weight of G at t."""
        low, high = self.model.noise
        down = max(0.0, (t - _RAMP) / (1 - _RAMP))
        return high * (low / high) ** down, min(1.0, t / _RAMP)

    def base(self, n: int, generator: torch.Generator | None) -> LevelState:
        """Return n exact draws at t = 0, whose normaliser is 1."""
        model = self.model
        noise = torch.randn(n, model.event.dims, generator=generator, device=model.device, dtype=model.dtype)
        return LevelState(noise * math.sqrt(1 + self.level(0.0)[0] ** 2))

    def evaluate(self, y: Tensor, t: float) -> Point:
        """Return the point at y (batch, D) for the law at t."""
        sigma, weight = self.level(t)
        parts = [self.model.value_and_gradient(p, torch.full_like(p[:, 0], sigma), weight) for p in y.split(_BATCH)]
        return Point(y, torch.cat([e for e, _ in parts])[None], torch.cat([g for _, g in parts])[None])

    def point(self, state: LevelState, t: float) -> Point:
        """Return the state's point for the law at t, evaluated once."""
        if t not in state.points:
            state.points[t] = self.evaluate(state.y, t)
        return state.points[t]

    def log_ratio(self, state: LevelState, t: float, u: float) -> Tensor:
        """Return log f_u - log f_t at the state, (batch,)."""
        return (self.point(state, t).energies - self.point(state, u).energies)[0]

    def move(self, state: LevelState, t: float, generator: torch.Generator | None) -> LevelState:
        """Return the state after one step at t."""
        one = state.y.new_ones(1)
        step = 1.65**2 * self.model.event.dims ** (-1 / 3) * self.level(t)[0] ** 2
        at = self.point(state, t)
        moved, _ = mala(at, lambda y: self.evaluate(y, t), one, step=step, generator=generator)
        return LevelState(moved.x, {t: moved})
