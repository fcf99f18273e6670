"""Recipes of normalizing flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from hexad.checks import InputError
from hexad.event import Event
from hexad.flow import (
    FFJORD,
    IAF,
    MAF,
    NICE,
    NSF,
    Flow,
    GaussianizationFlow,
    Glow,
    Mixture,
    MultiscaleRealNVP,
    PlanarFlow,
    RadialFlow,
    RealNVP,
    ResidualFlow,
    Student,
    SurjectiveFlow,
    SylvesterFlow,
)
from hexad.model import Density, GenerativeModel
from hexad.recipes.base import Recipe
from hexad.recipes.surjection import UNIFORM, Dequantise, on_reals, scheme
from hexad.transforms import AffineMap, Integral, Sigmoidal, Spline

__all__ = ["RECIPES"]

Count = Annotated[int, Field(ge=1)]
Widths = Annotated[tuple[Count, ...], Field(min_length=1)]
Bins = Annotated[int, Field(ge=2, le=500)]
Bound = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Base = Literal["normal", "student", "mixture", "learned"]

EXACT = 256  # most columns of a residual flow, whose determinants cost their cube


def realnvp(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    base: Base = "normal",
    dequantise: Dequantise | None = None,
    multiscale: bool = False,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a RealNVP whose networks are as wide as the record wants; few columns want more couplings instead.

    ``multiscale``: of a picture, couplings by convolution on several levels, ``hidden=[channels]`` inside.
    """
    if multiscale:
        _check_multiscale(event, hidden, base)

    def flow(event: Event) -> Flow:
        if multiscale:
            width = hidden[0] if hidden else 32
            return MultiscaleRealNVP(event, transforms or 4, _levels(*event.shape[1:]), width, context=context)
        count = transforms or (12 if event.dims <= 4 else 8)
        return RealNVP(event, count, hidden or _coupling(event), context, _base(event, base))

    return on_reals(event, dequantise, flow, context)


def nsf(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    linear: bool | None = None,
    dropout: Fraction | None = None,
    base: Base = "normal",
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a neural spline flow of couplings: finer bins for few columns, linear maps unless they are the bulk, and
    dropout on tables of more columns, as in its paper.
    """

    def flow(event: Event) -> NSF:
        mixed = event.dims <= 256 if linear is None else linear
        count = transforms or (4 if event.dims <= 4 else 6)
        widths, fine = hidden or _coupling(event), bins or _bins(event)
        dropped = _dropout(event, dropout)
        return NSF(event, count, widths, fine, bound, mixed, context, _base(event, base), dropped)

    return on_reals(event, dequantise, flow, context)


def maf(
    event: Event,
    *,
    transforms: Count = 5,
    hidden: Widths | None = None,
    dropout: Fraction | None = None,
    base: Base = "normal",
    sampling: Literal["incremental", "jacobi"] = "incremental",
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a masked autoregressive flow with affine maps, and dropout on tables of more than a few columns."""

    def flow(event: Event) -> MAF:
        widths, dropped = hidden or _masked(event), _dropout(event, dropout)
        return MAF(event, transforms, widths, None, context, _base(event, base), dropped, sampling)

    return on_reals(event, dequantise, flow, context)


def nsf_ar(
    event: Event,
    *,
    transforms: Count = 3,
    hidden: Widths | None = None,
    bins: Bins | None = None,
    bound: Bound = 3.0,
    dropout: Fraction | None = None,
    base: Base = "normal",
    sampling: Literal["incremental", "jacobi"] = "incremental",
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return an autoregressive neural spline flow, with dropout on tables of more than a few columns."""

    def flow(event: Event) -> MAF:
        spline = Spline(bins or _bins(event), bound)
        widths, dropped = hidden or _masked(event), _dropout(event, dropout)
        return MAF(event, transforms, widths, spline, context, _base(event, base), dropped, sampling)

    return on_reals(event, dequantise, flow, context)


def glow(
    event: Event,
    *,
    transforms: Count = 8,
    levels: Count | None = None,
    hidden: Count = 32,
    blocks: Annotated[int, Field(ge=0)] = 1,
    coupling: Literal["affine", "spline"] = "affine",
    bins: Bins = 8,
    bound: Bound = 3.0,
    dequantise: Dequantise | None = None,
    context: int = 0,
) -> Flow | SurjectiveFlow:
    """Return a Glow of as many levels as leave at least 2 pixels a side."""

    def flow(event: Event) -> Glow:
        elementwise = AffineMap() if coupling == "affine" else Spline(bins, bound)
        return Glow(event, transforms, levels or _levels(*event.shape[1:]), hidden, blocks, elementwise, context)

    return on_reals(event, dequantise, flow, context)


def nice(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    context: int = 0,
) -> NICE:
    """Return additive couplings with scales behind them, as wide as those of ``realnvp``."""
    return NICE(event, transforms or (8 if event.dims <= 4 else 6), hidden or _coupling(event), context)


def iaf(
    event: Event,
    *,
    transforms: Count = 4,
    hidden: Widths | None = None,
    context: int = 0,
) -> IAF:
    """Return an inverse autoregressive flow: a pass a sample, but in training as many as there are columns."""
    return IAF(event, transforms, hidden or _masked(event), context)


def naf(
    event: Event,
    *,
    transforms: Count = 3,
    hidden: Widths | None = None,
    terms: Count | None = None,
    monotone: Literal["sigmoidal", "integral"] = "sigmoidal",
    context: int = 0,
) -> MAF:
    """Return a neural autoregressive flow, of deep sigmoidal maps or of integrals of positive networks."""
    kind = Sigmoidal if monotone == "sigmoidal" else Integral
    return MAF(event, transforms, hidden or _masked(event), kind(terms or _bins(event)), context)


def gaussianization(
    event: Event,
    *,
    transforms: Count | None = None,
    components: Annotated[int, Field(ge=2)] | None = None,
    reflections: Count | None = None,
    hidden: Widths = (64,),
    context: int = 0,
) -> GaussianizationFlow:
    """Return a Gaussianization flow: more layers and components for few columns."""
    transforms = transforms or (10 if event.dims <= 4 else 6)
    return GaussianizationFlow(event, transforms, components or _bins(event), reflections, hidden, context)


def ffjord(
    event: Event,
    *,
    hidden: Widths | None = None,
    ode_steps: Count = 5,
    trace: Literal["exact", "hutchinson"] | None = None,
    kinetic: Annotated[float, Field(ge=0)] = 1e-3,
    caution: Annotated[float, Field(ge=0)] = 10.0,
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 1e-5,
    context: int = 0,
) -> FFJORD:
    """Return a continuous flow with two hidden layers, whose trace is exact at any width."""
    width = min(256, max(64, 2 * event.dims))
    return FFJORD(event, hidden or (width, width), ode_steps, trace, kinetic, caution, tolerance, context)


def planar(event: Event, *, transforms: Count | None = None, base: Base = "normal", context: int = 0) -> PlanarFlow:
    """Return a planar flow, of more maps the more columns there are."""
    return PlanarFlow(event, transforms or min(32, max(16, 2 * event.dims)), context, _base(event, base))


def radial(event: Event, *, transforms: Count | None = None, base: Base = "normal", context: int = 0) -> RadialFlow:
    """Return a radial flow, of more maps the more columns there are."""
    return RadialFlow(event, transforms or min(32, max(16, 2 * event.dims)), context, _base(event, base))


def sylvester(
    event: Event,
    *,
    transforms: Count | None = None,
    directions: Count | None = None,
    base: Base = "normal",
    context: int = 0,
) -> SylvesterFlow:
    """Return a Sylvester flow that bends all columns, or 16 directions of many; few columns want more maps instead."""
    if directions is not None and directions > event.dims:
        raise InputError(
            f"option directions={directions} of sylvester: the data have {event.dims} columns, expected at most as many"
        )
    transforms = transforms or (16 if event.dims <= 4 else 8)
    return SylvesterFlow(event, transforms, directions, context, _base(event, base))


def residual(
    event: Event,
    *,
    transforms: Count | None = None,
    hidden: Widths | None = None,
    contraction: Annotated[float, Field(gt=0, lt=1)] = 0.9,
    base: Base = "normal",
    context: int = 0,
) -> ResidualFlow:
    """Return a residual flow, each map of which is a contraction away from the identity: few columns want more."""
    width = min(128, max(64, 4 * event.dims))
    transforms = transforms or (12 if event.dims <= 4 else 8)
    return ResidualFlow(
        event, transforms, hidden or (width, width), contraction, context=context, base=_base(event, base)
    )


def _dropout(event: Event, given: float | None) -> float:
    """Return what tables of more than a few columns want, which their networks else learn by heart."""
    return given if given is not None else 0.1 if event.layout == "vector" and event.dims > 4 else 0.0


def _base(event: Event, name: Base) -> Density | None:
    """Return the base of that name; None: the standard normal."""
    if name == "student":
        return Student(event.dims)
    if name == "normal":
        return None
    return Mixture(event.dims, 8 if name == "mixture" else 1)


def _check_multiscale(event: Event, hidden: tuple[int, ...] | None, base: Base) -> None:
    """Refuse what couplings on several levels do not take."""
    what = "option multiscale=true of realnvp"
    if event.layout != "image" or event.shape[1] % 2 or event.shape[2] % 2:
        raise InputError(f"{what}: takes pictures with even sides, not records of shape {event.shape}")
    if hidden is not None and len(hidden) > 1:
        raise InputError(f"{what}: hidden={list(hidden)}: expected one number of channels, such as hidden=[32]")
    if base != "normal":
        raise InputError(f"{what}: base={base}: expected normal")


def _levels(height: int, width: int) -> int:
    if height % 4 or width % 4 or min(height, width) < 8:
        return 1
    return 1 + _levels(height // 2, width // 2)


def _odd(event: Event) -> str | None:
    if event.shape[1] % 2 or event.shape[2] % 2:
        return f"glow takes pictures with even sides, not {event.shape[1]} x {event.shape[2]} pixels"
    return None


def _many(event: Event) -> str | None:
    if event.dims > EXACT:
        return (
            f"residual states exact likelihoods, by determinants that take too long beyond {EXACT} columns: "
            f"there are {event.dims}"
        )
    return None


def _bins(event: Event) -> int:
    return 16 if event.dims <= 4 else 8


def _coupling(event: Event) -> tuple[int, int]:
    width = min(256, max(64, 4 * event.dims))
    return width, width


def _masked(event: Event) -> tuple[int, ...]:
    # a masked layer has a unit for every degree or some columns see less than they may
    width = min(512, max(128, 4 * event.dims))
    return (width,) if event.dims > 256 else (width, width)


def _suited(event: Event, rows: int) -> dict[str, Any]:
    # a step on few columns costs the same for many records: less noise, which bears a larger rate
    return {"lr": 1e-2, "batch_size": 1024} if event.dims <= 4 else {}


def _masked_suited(event: Event, rows: int) -> dict[str, Any]:
    if event.dims > 256:  # a step's products are large: many small steps go further
        return {"lr": 5e-4, "batch_size": 64}
    return {"batch_size": 128} if event.layout == "vector" and event.dims > 4 else {}


def _steady(event: Event, rows: int) -> dict[str, Any]:
    return {"lr": 5e-3} if event.dims <= 4 else {}


def _recipe(name: str, build: Callable[..., GenerativeModel], **differences: Any) -> Recipe:
    usual: dict[str, Any] = {
        "schemes": {"ordinal": "logit", "real": "dequantise"},
        "can": ("log-likelihood", "exact inverse"),
        "settings": {"lr": 2e-3, "batch_size": 256},
    }
    return Recipe(name, "flow", build, **{**usual, **differences})


LEARNED: dict[str, Any] = {"schemes": UNIFORM, "scheme_by": scheme}  # those with the option dequantise

RECIPES = (
    _recipe("nsf", nsf, min_dims=2, first_up_to=256, suited=_suited, **LEARNED),
    _recipe("maf", maf, suited=_masked_suited, alpha=1e-6, first_up_to=1024, **LEARNED),
    _recipe("realnvp", realnvp, min_dims=2, **LEARNED),
    _recipe("nsf-ar", nsf_ar, **LEARNED),
    _recipe("glow", glow, layouts=("image",), unfit=_odd, settings={"lr": 1e-3, "batch_size": 64}, **LEARNED),
    _recipe("nice", nice, min_dims=2),
    _recipe("iaf", iaf),
    _recipe("naf", naf),
    _recipe("gaussianization", gaussianization),
    _recipe("ffjord", ffjord, suited=_steady),
    _recipe("planar", planar),
    _recipe("radial", radial),
    _recipe("sylvester", sylvester),
    _recipe("residual", residual, unfit=_many, suited=_steady),
)
