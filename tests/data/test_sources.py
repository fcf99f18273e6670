"""Built-in sources: their records follow the law whose logarithm they state."""

import math

import numpy as np
import pytest
import torch

from hexad.data import BUILTIN, list_data, load_data
from hexad.data.sources.ar2 import PHI, VARIANCE, log_prob
from hexad.data.sources.enumerated import states
from hexad.data.sources.markov import LETTERS, entropy_rate, stationary, transitions
from hexad.data.sources.markov import log_prob as log_prob_of_text

PLANAR = ("eight-gaussians", "grid", "checkerboard", "banana")
DISCRETE = {"tree": (2, 10), "ising": (2, 12), "copula": (7, 4)}


@pytest.mark.parametrize("name", BUILTIN)
def test_what_is_said_is_what_comes(name):
    data, said = load_data(name), BUILTIN[name]
    assert tuple(len(data.split(s)) for s in ("train", "valid", "test")) == said.splits
    assert repr(data.event) == f"Event({said.event})"
    if data.truth is not None:
        value = data.truth(data.tensor("test")[:50])
        assert value.shape == (50,)
        assert value.dtype == torch.float64


def test_records_do_not_move():
    assert load_data("tree").source["fingerprint"] == load_data("tree").source["fingerprint"]
    first, second = load_data("banana"), load_data("banana")
    assert (first.train == second.train).all()
    assert not (first.train[:100] == first.test[:100]).any()


@pytest.mark.parametrize("name", PLANAR)
def test_planar_densities_integrate_to_one_and_agree_with_their_samples(name):
    data = load_data(name)
    ends = {"banana": ((-11, 11), (-6, 40))}.get(name, ((-4, 4), (-4, 4)))
    axes = [torch.arange(low, high, 0.02, dtype=torch.float64) + 0.01 for low, high in ends]
    points = torch.cartesian_prod(*axes)
    p = data.truth(points).exp()
    assert float(p.sum()) * 0.02**2 == pytest.approx(1, abs=1e-5)
    entropy = -float(torch.special.xlogy(p, p).sum()) * 0.02**2
    drawn = -data.truth(torch.from_numpy(data.test))
    assert abs(float(drawn.mean()) - entropy) < 5 * float(drawn.std()) / math.sqrt(len(drawn)) + 1e-4
    mean = (p[:, None] * points).sum(0) * 0.02**2
    assert np.allclose(data.train.mean(0), mean, atol=5 * data.train.std(0).max() / math.sqrt(1e5))


def test_the_grid_has_unit_variance():
    assert np.allclose(load_data("grid").train.var(0), 1, atol=0.02)


@pytest.mark.parametrize("name", DISCRETE)
def test_masses_sum_to_one_and_agree_with_their_samples(name):
    data, every = load_data(name), states(*DISCRETE[name])
    p = data.truth(every).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    base = DISCRETE[name][0] ** np.arange(DISCRETE[name][1] - 1, -1, -1)
    counts = np.bincount(data.train.astype(int) @ base, minlength=len(p))
    frequent = (p * len(data.train) > 5).numpy()
    expected = p.numpy()[frequent] * len(data.train)
    square = ((counts[frequent] - expected) ** 2 / expected).sum()
    assert abs(square - frequent.sum()) < 6 * math.sqrt(2 * frequent.sum())


def test_gaussian():
    data = load_data("gaussian")
    x = torch.from_numpy(data.train)
    assert np.corrcoef(data.train.T)[0, 1] == pytest.approx(-0.7, abs=0.03)
    from scipy.stats import multivariate_normal

    from hexad.data.sources.gaussian import MEAN, SCALE

    power = np.abs(np.subtract.outer(range(6), range(6)))
    cov = np.outer(SCALE, SCALE) * (-0.7) ** power
    assert np.allclose(data.truth(x), multivariate_normal(MEAN, cov).logpdf(data.train))


def test_ar2_is_stationary_and_its_log_density_is_that_of_the_joint_gaussian():
    x = torch.from_numpy(load_data("ar2").train)
    assert float(x.var()) == pytest.approx(VARIANCE, rel=0.15)
    rho = [1.0, PHI[0] / (1 - PHI[1])]
    for _ in range(20):
        rho.append(PHI[0] * rho[-1] + PHI[1] * rho[-2])
    cov = VARIANCE * torch.tensor([[rho[abs(i - j)] for j in range(20)] for i in range(20)], dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(torch.zeros(20, dtype=torch.float64), cov)
    assert float(log_prob(x[:20]).sum()) == pytest.approx(float(law.log_prob(x[:20, 0])), abs=1e-8)


def test_markov_text_is_a_chain_in_its_stationary_law():
    p, pairs = transitions(), stationary()
    assert torch.allclose(p.sum(-1), torch.ones(5, 5, dtype=torch.float64))
    assert torch.allclose(torch.einsum("ab,abc->bc", pairs, p), pairs, atol=1e-14)
    assert torch.allclose(pairs.sum(0), pairs.sum(1), atol=1e-14)
    every = states(5, 5)
    mass = log_prob_of_text(every).exp()
    assert float(mass.sum()) == pytest.approx(1, abs=1e-12)
    later = mass.reshape((5,) * 5).sum(0)  # of the letters 2 to 5, as of 1 to 4
    assert torch.allclose(later.flatten(), log_prob_of_text(states(5, 4)).exp(), atol=1e-14)


def test_markov_text_has_the_entropy_that_is_stated():
    data = load_data("markov-text")
    assert data.format.alphabet == LETTERS
    x = data.tensor("train")
    log_p = data.truth(x)
    first = -float(torch.special.xlogy(stationary(), stationary()).sum())
    entropy = first + 62 * entropy_rate()
    assert abs(float(log_p.mean()) + entropy) < 4 * float(log_p.std()) / math.sqrt(len(x))
    together = float(log_prob_of_text(x.flatten()[None])) / x.numel()  # the whole text is one path
    assert together == pytest.approx(-entropy_rate(), abs=0.005)
    moves = torch.zeros(5, 5, 5, dtype=torch.float64)
    text = x.flatten().long()
    moves.index_put_((text[:-2], text[1:-1], text[2:]), torch.ones(len(text) - 2, dtype=torch.float64), accumulate=True)
    seen = moves.sum(-1, keepdim=True)
    assert ((moves / seen - transitions()).abs() < 5 * (transitions() / seen).sqrt()).all()


def test_markov_text_is_known_at_any_length():
    data = load_data("markov-text", length=10)
    assert data.event.dims == 10
    assert torch.equal(data.truth(data.tensor("test")), log_prob_of_text(data.tensor("test")))


def test_the_truth_holds_for_the_records_as_defined_only():
    assert load_data("banana").truth is not None
    assert load_data("banana", step=0.1).truth is None
    assert load_data("copula", drop="x0").truth is None
    assert load_data("copula", layout="series").truth is None


def test_columns_seen_as_a_sequence_keep_their_law():
    vectors, sequences = load_data("copula"), load_data("copula", layout="sequence")
    assert sequences.event.layout == "sequence"
    assert torch.equal(sequences.truth(sequences.tensor("test")), vectors.truth(vectors.tensor("test")))


def test_columns_seen_as_pixels_keep_their_law():
    vectors, pictures = load_data("copula"), load_data("copula", layout="image")
    assert pictures.event.shape == (1, 2, 2)
    truth = pictures.truth(pictures.tensor("test"))
    assert torch.equal(truth, vectors.truth(vectors.tensor("test")))


def test_list():
    listed = list_data()
    assert {entry["name"] for entry in listed["data"]} == set(BUILTIN)
    assert any(".csv" in entry["ending"] for entry in listed["forms"])
