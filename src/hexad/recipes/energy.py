"""Recipes of energy-based models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.checks import InputError
from hexad.energy import (
    DBM,
    EBM,
    JEM,
    RBM,
    BoltzmannMachine,
    ClassRBM,
    ConditionalEnergy,
    DenoisingScoreMatching,
    EnergyDiscrepancy,
    GaussianRBM,
    ImplicitScoreMatching,
    MaximumLikelihood,
    MultiscaleEnergy,
    NoiseContrastive,
    Objective,
    PottsRBM,
    SlicedScoreMatching,
)
from hexad.energy.restricted import Chains, Start
from hexad.event import Event
from hexad.nn.scalar_conv import OnPictures, ScalarConv
from hexad.recipes.base import Recipe
from hexad.transforms import Scheme

__all__ = ["RECIPES"]

MOST_LEVELS = 65_536

Count = Annotated[int, Field(ge=1)]
Units = Count | Annotated[tuple[Count, ...], Field(min_length=1, max_length=1)] | None
Replicas = Annotated[int, Field(ge=2)]


def _units(hidden: int | tuple[int, ...] | None, event: Event) -> int:
    """Return the number of hidden units: about as many as there are columns, unless the user says."""
    return (hidden[0] if isinstance(hidden, tuple) else hidden) or min(256, max(32, event.dims))


def rbm(
    event: Event,
    *,
    hidden: Units = None,
    chains: Chains = "persistent",
    k: Count = 1,
    centred: bool = True,
    particles: Count = 100,
    start: Start = "columns",
    replicas: Replicas = 10,
) -> RBM:
    """Return a Bernoulli machine with about as many hidden units as there are columns."""
    units = _units(hidden, event)
    return RBM(event, units, chains, k, centred, particles, start=start, replicas=replicas)


def gaussian_rbm(
    event: Event,
    *,
    hidden: Units = None,
    chains: Chains = "tempered",
    k: Count = 1,
    centred: bool = False,
    particles: Count = 100,
    start: Start = "columns",
    replicas: Replicas = 10,
) -> GaussianRBM:
    """Return a Gaussian machine with 16 hidden units, which are enumerated, where columns are few; its chains are
    tempered, as its modes lie far apart.
    """
    units = 16 if hidden is None and event.dims <= 16 else _units(hidden, event)
    return GaussianRBM(event, units, chains, k, centred, particles, start=start, replicas=replicas)


def potts_rbm(
    event: Event,
    *,
    hidden: Units = None,
    chains: Chains = "persistent",
    k: Count = 1,
    centred: bool = True,
    particles: Count = 100,
    start: Start = "columns",
    replicas: Replicas = 10,
) -> PottsRBM:
    """Return a machine of softmax units with about as many hidden units as there are columns."""
    units = _units(hidden, event)
    return PottsRBM(event, units, chains, k, centred, particles, start=start, replicas=replicas)


def _too_many_levels(event: Event) -> str | None:
    levels = sum(support.levels for support in event.supports)
    if levels <= MOST_LEVELS:
        return None
    return f"potts-rbm takes up to {MOST_LEVELS:,} levels in all columns together, not {levels:,}; ebm takes more"


Positive = Annotated[float, Field(gt=0)]
CHAINS = ("k", "particles", "regularisation")

OBJECTIVES: dict[str, tuple[Callable[..., Objective], tuple[str, ...]]] = {
    "likelihood": (MaximumLikelihood, (*CHAINS, "restart")),
    "short-run": (partial(MaximumLikelihood, "short-run", k=20), CHAINS),
    "contrastive": (NoiseContrastive, ("draws", "regularisation")),
    "discrepancy": (EnergyDiscrepancy, ("sigma", "draws", "regularisation")),
    "denoising": (DenoisingScoreMatching, ("sigma", "draws", "regularisation")),
    "sliced": (SlicedScoreMatching, ("draws", "regularisation")),
    "implicit": (ImplicitScoreMatching, ("regularisation",)),
}  # what makes each, and the options that it takes


def _objective(name: str, few: bool, given: dict[str, Any]) -> Objective:
    """Return the objective of a name, with the options that were given.

    Raises:
        InputError: an option was given that this objective does not take.
    """
    make, takes = OBJECTIVES[name]
    for option in given:
        if option not in takes:
            raise InputError(f"option {option} of ebm: objective={name} takes {', '.join(takes)}; leave it out")
    if "particles" in takes:
        given = {"particles": 256 if few else 128} | given
    return make(**given)


def ebm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    objective: Literal["likelihood", "short-run", "contrastive", "discrepancy", "denoising", "sliced", "implicit"]
    | None = None,
    k: Count | None = None,
    particles: Count | None = None,
    restart: Annotated[float, Field(ge=0, le=1)] | None = None,
    sigma: Positive | Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None,
    draws: Count | None = None,
    regularisation: Annotated[float, Field(ge=0)] | None = None,
    spectral: bool = False,
    frequencies: Annotated[int, Field(ge=0)] | None = None,
    network: Literal["mlp", "conv"] | None = None,
) -> EBM:
    """Return a tilt of a mixture where columns are few, and of a Gaussian where they are many; pictures from 16 x 16 on
    are tilted by a convolutional network, whose levels ``hidden`` are then. In one or two columns it is told from draws
    of its base, unless what chains alone understand is asked for; in more it follows the likelihood by chains.
    """
    conv = _convolutional(event, network)
    if objective is None:
        chains = any(option is not None for option in (k, particles, restart))
        objective = "contrastive" if event.dims <= 2 and not chains else "likelihood"
    few = event.dims <= 4
    mixture = 32 if event.dims <= 2 else 16 if few else 8 if event.dims <= 16 else 1
    options = {
        "k": k,
        "particles": particles,
        "restart": restart,
        "sigma": sigma,
        "draws": draws,
        "regularisation": regularisation,
    }
    chosen = _objective(objective, few, {name: value for name, value in options.items() if value is not None})
    widths = hidden or ((128, 128) if few else (256, 256))
    if frequencies is None:  # sines are steep, which spectral=true is there to prevent
        frequencies = 64 if few and not spectral else 0
    own = OnPictures(ScalarConv(event.shape, hidden or (32, 64))) if conv else None
    return EBM(event, widths, components or mixture, chosen, spectral=spectral, frequencies=frequencies, network=own)


def _larger_steps(event: Event, rows: int) -> dict[str, Any]:
    """Return larger steps for the couplings of few columns, which add up to less."""
    return {"lr": 1e-2} if event.dims <= 32 else {}


def _larger_batches(event: Event, rows: int) -> dict[str, Any]:
    """Return larger batches where records are cheap and many."""
    return {"batch_size": 256} if event.dims <= 4 and rows >= 10_000 else {}


def boltzmann(
    event: Event,
    *,
    hidden: Annotated[int, Field(ge=0)] = 0,
    objective: Literal["likelihood", "pseudo"] = "likelihood",
    k: Count = 1,
    order: Literal["sequential", "random"] = "sequential",
    particles: Count = 100,
) -> BoltzmannMachine:
    """Return a machine with couplings between all units, fully visible unless hidden units are asked for."""
    return BoltzmannMachine(event, hidden, objective, k, order, particles)


def class_rbm(
    event: Event,
    *,
    hidden: Count | None = None,
    objective: Literal["hybrid", "generative", "discriminative"] = "hybrid",
    alpha: Annotated[float, Field(gt=0)] = 0.01,
    k: Count = 1,
    particles: Count = 100,
    context: int = 0,
) -> ClassRBM:
    """Return a machine of records and their labels with about as many hidden units as there are columns."""
    return ClassRBM(event, context, hidden or min(256, max(32, event.dims)), objective, alpha, k, particles)


def dbm(
    event: Event,
    *,
    hidden: tuple[Count, Count] | None = None,
    chains: Literal["persistent", "tempered"] = "persistent",
    k: Count = 1,
    centred: bool = True,
    particles: Count = 100,
    updates: Count = 10,
    pretrain: Annotated[int, Field(ge=0)] = 0,
) -> DBM:
    """Return a machine of two layers: as many units as there are columns, and half of it, within limits."""
    first = min(256, max(32, event.dims))
    return DBM(event, hidden or (first, first // 2), chains, k, centred, particles, updates=updates, pretrain=pretrain)


def decision(
    event: Event,
    *,
    loss: Literal[
        "nll",
        "mee",
        "hinge",
        "log",
        "mce",
        "square-square",
        "square-exponential",
        "perceptron",
        "lvq2",
        "energy",
    ] = "nll",
    margin: Annotated[float, Field(gt=0)] = 1.0,
    beta: Annotated[float, Field(gt=0)] = 1.0,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    rank: Annotated[int, Field(ge=0)] | None = None,
    search: Literal["exhaustive", "coordinate", "beam", "annealing"] | None = None,
    context: int = 0,
) -> ConditionalEnergy:
    """Return an energy of answers given questions; as many squares as values in all columns, up to 32."""
    squares = min(32, sum(support.levels for support in event.supports)) if rank is None else rank
    return ConditionalEnergy(event, context, loss, margin, beta, hidden or (128, 128), squares, search)


def _real_answers(event: Event) -> str | None:
    real = [support.kind == "real" for support in event.supports]
    names = [name for name, is_real in zip(event.names, real, strict=False) if is_real]
    columns = f"; real are {', '.join(names[:8])}" if names else ""
    return f"decision takes answers of binary and ordinal columns, not real ones{columns}" if any(real) else None


def _convolutional(event: Event, network: str | None) -> bool:
    """Return whether the tilt sees pictures."""
    return network == "conv" or (network is None and event.layout == "image" and event.dims >= 256)


def _ebm_scheme(event: Event, options: Mapping[str, Any]) -> Scheme:
    """Return the scheme: pixels that a convolution sees keep their one unit."""
    return "unit" if _convolutional(event, options.get("network")) else "dequantise"


def jem(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    components: Count | None = None,
    k: Count = 5,
    particles: Count = 128,
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05,
    regularisation: Annotated[float, Field(ge=0)] = 1e-4,
    weight: Annotated[float, Field(ge=0)] = 1.0,
    context: int = 0,
) -> JEM:
    """Return a classifier of the labels that are given as context, trained as a law of the records, too."""
    few = event.dims <= 4
    mixture = 16 if few else 8 if event.dims <= 16 else 1
    return JEM(
        event,
        context,
        hidden or ((128, 128) if few else (256, 256)),
        components or mixture,
        k,
        particles,
        restart,
        regularisation,
        weight,
    )


def mdsm(
    event: Event,
    *,
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None,
    network: Literal["mlp", "conv"] | None = None,
    blocks: Count = 1,
    noise: tuple[Positive, Positive] | None = None,
    sample_levels: Annotated[int, Field(ge=2)] = 60,
    sample_steps: Annotated[int, Field(ge=0)] = 10,
) -> MultiscaleEnergy:
    """Return a convolutional energy of pictures from 16 x 16 on, and a fully connected one of all else.

    The lowest level of pictures is some three of 256 grey levels, which no eye sees.
    """
    conv = _convolutional(event, network)
    widths = hidden or ((32, 64, 64) if conv else (256, 256))
    kind = "conv" if conv else "mlp"
    levels = noise or (0.05 if conv else 0.02, 20.0)
    return MultiscaleEnergy(event, widths, kind, blocks, levels, sample_levels, sample_steps)


RECIPES = (
    Recipe(
        "rbm",
        "energy",
        rbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 4e-3, "batch_size": 100, "schedule": "linear"},
        suited=_larger_steps,
    ),
    Recipe(
        "potts-rbm",
        "energy",
        potts_rbm,
        schemes={"ordinal": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 4e-3, "batch_size": 100, "schedule": "linear"},
        suited=_larger_steps,
        unfit=_too_many_levels,
    ),
    Recipe(
        "ebm",
        "energy",
        ebm,
        schemes={"real": "dequantise", "ordinal": "dequantise"},
        can=("log-likelihood", "energy"),
        settings={"lr": 5e-3},
        suited=_larger_batches,
        scheme_by=_ebm_scheme,
    ),
    Recipe(
        "gaussian-rbm",
        "energy",
        gaussian_rbm,
        schemes={"real": "dequantise"},
        can=("log-likelihood", "energy"),
        settings={"lr": 1e-2, "batch_size": 100},
    ),
    Recipe(
        "boltzmann",
        "energy",
        boltzmann,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 2e-2, "batch_size": 100, "schedule": "linear"},
    ),
    Recipe(
        "class-rbm",
        "energy",
        class_rbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy", "decide"),
        settings={"lr": 5e-3, "batch_size": 100},
        needs_context=True,
        needs_label=True,
    ),
    Recipe(
        "dbm",
        "energy",
        dbm,
        schemes={"binary": "identity"},
        can=("log-likelihood", "energy"),
        settings={"lr": 2e-3, "batch_size": 100},
    ),
    Recipe(
        "decision",
        "energy",
        decision,
        schemes={"binary": "identity", "ordinal": "identity", "mixed": "identity"},
        can=("log-likelihood", "decide"),
        unfit=_real_answers,
        needs_context=True,
    ),
    Recipe(
        "jem",
        "energy",
        jem,
        schemes={"real": "dequantise", "ordinal": "dequantise"},
        can=("log-likelihood", "energy", "decide"),
        settings={"lr": 5e-3},
        needs_context=True,
        needs_label=True,
    ),
    Recipe(
        "mdsm",
        "energy",
        mdsm,
        schemes={"real": "dequantise", "ordinal": "unit"},
        can=("log-likelihood", "energy", "score"),
        settings={"lr": 2e-3, "batch_size": 64, "ema": 0.999},
    ),
)
