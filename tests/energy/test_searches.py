"""Searches for the answer of least energy: all against the exhaustive one, and gradient descent in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hexad.checks import InputError
from hexad.energy.searches import SEARCHES, Answers, codes, gradient, search_answers, size_in_words
from hexad.energy.searches.annealing import gibbs
from hexad.energy.searches.base import BestTwo
from hexad.energy.searches.beam import beam
from hexad.energy.searches.coordinate import coordinate
from hexad.energy.searches.exhaustive import exhaustive
from hexad.randomness import stream

BATCH, LEVELS = 40, (3, 2, 4, 2, 3)


def table(levels: tuple[int, ...], batch: int = BATCH, seed: int = 0) -> tuple[Answers, Tensor]:
    """Return answers whose energies are independent normals, the hardest there are, and all energies (batch, size)."""
    energies = torch.randn(batch, math.prod(levels), generator=stream(seed), dtype=torch.float64)

    def energy(y: Tensor) -> Tensor:
        place = torch.zeros_like(y[..., 0])
        for column, count in enumerate(levels):
            place = place * count + y[..., column]
        return energies.gather(1, place.expand(batch, -1))

    return Answers(energy, levels, batch), energies


def smooth(levels: tuple[int, ...], batch: int = BATCH, seed: int = 0) -> tuple[Answers, Tensor]:
    """Return answers with unary and weak pairwise energies, as models have them, and all energies."""
    draw, width = stream(seed), sum(levels)
    unary = torch.randn(batch, width, generator=draw, dtype=torch.float64)
    pairs = 0.3 * torch.randn(batch, width, width, generator=draw, dtype=torch.float64)
    starts = torch.tensor([0, *levels[:-1]]).cumsum(0)

    def energy(y: Tensor) -> Tensor:
        bits = torch.zeros(*y.shape[:2], width, dtype=torch.float64).scatter_(2, y + starts, 1.0)
        return (bits * unary[:, None]).sum(2) + ((bits @ pairs) * bits).sum(2)

    answers = Answers(energy, levels, batch)
    return answers, energy(codes(0, answers.size, levels)[None].expand(batch, -1, -1))


def test_codes_are_all_answers_in_order() -> None:
    every = codes(0, 24, (3, 2, 4))
    assert every.unique(dim=0).tolist() == every.tolist()
    assert torch.equal(codes(5, 9, (3, 2, 4)), every[5:9])
    assert every.amax(0).tolist() == [2, 1, 3]


@pytest.mark.parametrize("held", [2**22, 300, 1])
def test_exhaustive_is_the_two_least_whatever_the_chunks(held: int) -> None:
    answers, energies = table(LEVELS)
    found, least = exhaustive(answers, held=held), energies.sort(1)
    every = codes(0, answers.size, LEVELS).double()
    assert torch.equal(found.energy, least.values[:, 0])
    assert torch.equal(found.runner_up_energy, least.values[:, 1])
    assert torch.equal(found.answer, every[least.indices[:, 0]])
    assert torch.equal(found.runner_up, every[least.indices[:, 1]])


def test_too_many_answers_are_refused_in_one_line_with_their_number_and_what_to_do() -> None:
    answers = Answers(lambda y: y.sum(2).double(), (2,) * 40, 1)
    with pytest.raises(InputError) as caught:
        exhaustive(answers)
    told = str(caught.value)
    assert "1,099,511,627,776 answers of 40 columns" in told
    assert "at most 1,048,576" in told
    assert all(name in told for name in SEARCHES if name != "exhaustive")
    assert "\n" not in told
    assert size_in_words((256,) * 3072) == "about 10^7398"


@pytest.mark.parametrize(("name", "share"), [("coordinate", 0.95), ("beam", 1), ("annealing", 1)])
def test_searches_find_what_the_exhaustive_one_finds(name: str, share: float) -> None:
    answers, _ = smooth(LEVELS)
    found, sure = search_answers(name, answers, generator=stream(1)), exhaustive(answers)
    met = (found.answer == sure.answer).all(1)
    assert met.double().mean() >= share
    assert torch.allclose(found.energy[met], sure.energy[met])
    assert (found.energy >= sure.energy - 1e-9).all()
    # what is returned is what it says: energies of these answers, the runner-up another one and no better
    for y, energy in ((found.answer, found.energy), (found.runner_up, found.runner_up_energy)):
        assert torch.allclose(answers.energy(y.long()[:, None])[:, 0], energy)
    assert (found.runner_up != found.answer).any(1).all()
    assert (found.runner_up_energy >= found.energy).all()
    assert (found.runner_up_energy - sure.runner_up_energy).abs().median() < 1e-9


@pytest.mark.parametrize("name", ["coordinate", "annealing"])
def test_local_searches_end_where_no_column_can_be_bettered(name: str) -> None:
    answers, _ = table((4,) * 6, batch=10)
    found = search_answers(name, answers, generator=stream(2))
    for column in range(6):
        assert (answers.walk(found.answer.long()[:, None]).energies(column) >= found.energy[:, None, None]).all()


def test_a_beam_that_holds_all_beginnings_is_exhaustive_and_a_narrow_one_is_not() -> None:
    answers, _ = table(LEVELS)
    sure, wide = exhaustive(answers), beam(answers, width=48)
    for a, b in zip(vars(sure).values(), vars(wide).values(), strict=True):
        assert torch.equal(a, b)
    assert (beam(answers, width=2).energy > sure.energy).any()


def test_more_restarts_are_no_worse_and_one_misses_the_best() -> None:
    answers, _ = table((4,) * 6)
    few, many = (coordinate(answers, restarts=n, generator=stream(3)).energy.mean() for n in (1, 32))
    assert many < few - 0.1


def test_a_question_does_not_change_the_answer_to_another() -> None:
    answers, _ = smooth(LEVELS)
    half = Answers(lambda y: answers.energy(y.repeat(2, 1, 1) if len(y) > 1 else y)[: BATCH // 2], LEVELS, BATCH // 2)
    for name in ("exhaustive", "beam"):
        whole, part = search_answers(name, answers), search_answers(name, half)
        assert torch.equal(whole.answer[: BATCH // 2], part.answer)


@pytest.mark.parametrize("name", SEARCHES)
def test_one_answer_or_numbers_that_are_none(name: str) -> None:
    bad = Answers(lambda y: torch.full(y.shape[:2], torch.nan).expand(2, -1), (2, 2), 2)
    with pytest.raises(ValueError, match="no energy is a number, of 2 of 2 questions"):
        search_answers(name, bad, generator=stream(0))
    part = Answers(lambda y: torch.where(y[..., 0] == 1, 1.0 + y[..., 1], torch.nan).expand(2, -1), (2, 2), 2)
    assert search_answers(name, part, generator=stream(0)).answer.tolist() == [[1, 0]] * 2


def test_a_banned_answer_is_not_found() -> None:
    answers, _ = smooth(LEVELS)
    sure = exhaustive(answers)
    others = answers.without(sure.answer.long())
    for name in SEARCHES:
        found = search_answers(name, others, generator=stream(4))
        assert (found.answer != sure.answer).any(1).all()
        assert (found.energy >= sure.runner_up_energy - 1e-9).all()
        assert torch.isclose(found.energy, sure.runner_up_energy).double().mean() >= 0.8, name


def test_the_best_two_are_different_answers() -> None:
    answers = Answers(lambda y: y[..., 0].double(), (5,), 1)
    best = BestTwo(answers)
    best.meet(torch.tensor([[[3], [3], [4]]]), torch.tensor([[3.0, 3.0, 4.0]]))
    assert best.decision().runner_up.tolist() == [[4.0]]
    best.meet(torch.tensor([[[3], [2], [2]]]), torch.tensor([[3.0, 2.0, 2.0]]))
    found = best.decision()
    assert (found.answer.item(), found.runner_up.item()) == (2.0, 3.0)


def test_no_runner_up_is_nan_at_an_infinite_energy() -> None:
    answers = Answers(lambda y: torch.where(y[..., 0] == 2, 0.5, torch.inf), (3,), 1)
    found = exhaustive(answers)
    assert found.answer.item() == 2
    assert found.runner_up.isnan().all()
    assert found.runner_up_energy.item() == torch.inf


def test_gibbs_sweeps_leave_the_law_as_it_is() -> None:
    answers, energies = smooth((3, 2, 2), batch=1)
    p = torch.softmax(-0.7 * energies[0], 0)
    n, draw = 20_000, stream(5)
    walk = answers.walk(codes(0, 12, answers.levels)[torch.multinomial(p, n, True, generator=draw)][None])
    gibbs(walk, 3, 0.7, draw)
    seen = torch.bincount((walk.y[0] * torch.tensor([4, 2, 1])).sum(1), minlength=12).double() / n
    assert ((seen - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-12).all()


def test_an_unknown_search_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown search 'exhaustiv'; did you mean 'exhaustive'"):
        search_answers("exhaustiv", table(LEVELS)[0])


# -- answers that are real -------------------------------------------------------------------------------------------


def quadratic(batch: int = 6, dims: int = 3) -> tuple[Tensor, Tensor]:
    draw = stream(6)
    root = torch.randn(batch, dims, dims, generator=draw, dtype=torch.float64)
    return root @ root.mT + 0.3 * torch.eye(dims), torch.randn(batch, dims, generator=draw, dtype=torch.float64)


def test_gradient_descent_on_a_quadratic_is_its_closed_form() -> None:
    a, b = quadratic()

    def energy(y: Tensor) -> Tensor:
        return 0.5 * torch.einsum("bki,bij,bkj->bk", y, a, y) - (b[:, None] * y).sum(2)

    found = gradient(energy, torch.zeros_like(b), steps=800, tolerance=1e-9, generator=stream(7))
    best = torch.linalg.solve(a, b)
    assert torch.allclose(found.answer, best, atol=1e-5)
    assert torch.allclose(found.energy, -0.5 * (b * best).sum(1))
    assert found.runner_up.isnan().all()  # one minimum
    assert found.runner_up_energy.isinf().all()


def test_gradient_descent_is_projected_to_the_bounds() -> None:
    centre = torch.tensor([[2.0, -3.0, 0.2], [0.1, 0.3, 5.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    found = gradient(
        lambda y: (weight * (y - centre[:, None]).square()).sum(2), torch.zeros(2, 3).double(), low=-1.0, high=1.0
    )
    assert torch.allclose(found.answer, centre.clamp(-1, 1), atol=1e-5)
    with pytest.raises(ValueError, match="a lower bound lies above"):
        gradient(lambda y: y.sum(2), torch.zeros(1, 1), low=1.0, high=0.0)


def test_restarts_find_the_lower_of_two_wells_and_the_other_is_the_runner_up() -> None:
    tilt = torch.tensor([0.2, -0.2], dtype=torch.float64)

    def energy(y: Tensor) -> Tensor:
        return (y[..., 0].square() - 1).square() + tilt[:, None] * y[..., 0]

    start = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)  # of each question in the higher well
    found = gradient(energy, start, low=-2.0, high=2.0, generator=stream(8))
    assert found.answer.sign()[:, 0].tolist() == [-1, 1]
    assert (found.runner_up.sign() == -found.answer.sign()).all()
    slope = 4 * found.answer**3 - 4 * found.answer + tilt[:, None]
    assert slope.abs().max() < 1e-4
    assert gradient(energy, start, restarts=1).answer.sign()[:, 0].tolist() == [1, -1]
    with pytest.raises(ValueError, match="not numbers"):
        gradient(lambda y: y.sum(2) * torch.nan, start)
