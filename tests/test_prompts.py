"""Samples that begin with a prompt, have a length, or are drawn otherwise: from Python and from the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import hexad
from conftest import source

SENTENCE = "the cat sat on the mat, and the dog sat on the log.\n"


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Return the folder of a run of n-grams on a short text."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "play.txt").write_text(SENTENCE * 60)
    hexad.fit("ngram", hexad.load_data(folder / "play.txt", length=16), out=folder / "run", progress=False)
    return folder / "run"


def test_texts_begin_with_the_prompt_and_have_the_length(play):
    fitted = hexad.load(play)
    texts = fitted.sample(3, seed=0, prompt="the dog", length=90)
    assert [len(text) for text in texts] == [90] * 3
    assert all(text.startswith("the dog ") for text in texts)
    greedy = fitted.sample(2, seed=0, prompt="the cat sat on the mat, ", length=60, top_k=1)
    assert greedy.tolist() == [(SENTENCE * 2)[:60]] * 2
    assert len(fitted.sample(1, seed=0, prompt="the ")[0]) == 16
    assert len(fitted.sample(1, seed=0, length=5)[0]) == 5


def test_a_sample_depends_on_the_seed_and_its_number_alone_and_goes_on_as_it_is_longer(play):
    fitted = hexad.load(play)
    many = fitted.sample(40, seed=3, length=50, temperature=2.0)
    assert len(set(many.tolist())) > 20
    assert fitted.sample(2, seed=3, length=50, temperature=2.0).tolist() == many[:2].tolist()
    assert [text[:30] for text in many] == fitted.sample(40, seed=3, length=30, temperature=2.0).tolist()


def test_users_tokens_as_whole_numbers():
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 6, (400, 12)).astype(np.int32)
    tokens[:, 1::2] = (tokens[:, ::2] + 1) % 6  # every second token follows from the one before it
    fitted = hexad.fit("ngram", hexad.load_data(tokens, layout="sequence"), order=3, progress=False)
    x = fitted.sample(5, seed=0, prompt=[4, 5, 2], length=30, top_k=1)
    assert x.dtype == np.int32
    assert x.shape == (5, 30)
    assert (x[:, :4] == [4, 5, 2, 3]).all()
    assert fitted.sample(5, seed=0, prompt=np.array([1])).shape == (5, 12)
    with pytest.raises(hexad.InputError, match="element 2 is 9; expected whole numbers from 0 to 5"):
        fitted.sample(1, prompt=[0, 9])
    with pytest.raises(hexad.InputError, match="expected a list of whole numbers"):
        fitted.sample(1, prompt=[0.5])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prompt": "the \u00e0"}, "prompt: character 5 is '\u00e0', which is none of the"),
        ({"prompt": 3}, "prompt 3: expected a text"),
        ({"prompt": SENTENCE}, "length 16: expected a whole number above 52, the prompt's length"),
        ({"length": 0}, "length 0: expected a positive whole number"),
        ({"length": 10**10}, "expected at most 0 records of 10000000000 columns"),
        ({"temperature": -1}, "temperature -1: expected a positive number"),
        ({"top_k": 0}, "top_k 0"),
        ({"top_p": 2}, "top_p 2"),
    ],
)
def test_what_a_text_cannot_be_is_said(play, options, words):
    with pytest.raises(hexad.InputError, match=words):
        hexad.load(play).sample(1, **options)


@pytest.mark.parametrize(
    ("model", "kind"), [("realnvp", "real"), ("vae", "binary"), ("made", "real"), ("eonade", "binary")]
)
def test_models_that_draw_no_levels_one_by_one_say_so(run, model, kind):
    fitted = run(model, kind)
    for options in ({"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.5}):
        with pytest.raises(hexad.InputError, match=f"temperature, top_k, top_p: {model} on these columns is no law"):
            fitted.sample(1, **options)
    for options in ({"prompt": [0]}, {"length": 3}):
        with pytest.raises(hexad.InputError, match=f"prompt, length: {model} was trained on vector data"):
            fitted.sample(1, **options)


def test_a_table_of_levels_is_sharpened(run):
    fitted = run("made", "binary")
    greedy = np.asarray(fitted.sample(20, seed=0, top_k=1))
    assert (greedy == greedy[0]).all()
    same = [np.asarray(fitted.sample(20, seed=0, **options)) for options in ({}, {"temperature": 1.0, "top_p": None})]
    assert np.array_equal(*same)


@pytest.mark.parametrize(("model", "options"), [("lstm", {"width": 2}), ("ngram", {"order": 1})])
def test_a_model_of_fewer_numbers_than_a_record_has_places_is_loaded(model, options, tmp_path):
    tokens = hexad.load_data(np.random.default_rng(0).integers(0, 3, (40, 300)), layout="sequence")
    fitted = hexad.fit(model, tokens, steps=1, out=tmp_path / "run", progress=False, **options)
    assert model == "ngram" or fitted.parameters < 300
    assert np.array_equal(hexad.load(tmp_path / "run").sample(2, seed=0), fitted.sample(2, seed=0))


def test_a_table_with_names_keeps_its_columns():
    frame = pd.DataFrame(source("copula").train[:500], columns=list("abcd"))
    fitted = hexad.fit("ngram", hexad.load_data(frame, layout="sequence", support="ordinal"), progress=False)
    assert list(fitted.sample(2, seed=0, prompt=[1, 2]).columns) == list("abcd")
    with pytest.raises(hexad.InputError, match="length 9: a record of these data has 4 columns"):
        fitted.sample(2, length=9)


def test_the_command_line(play, command, tmp_path):
    said = ("--temperature", "0.8", "--top-k", "40", "--top-p", "0.9", "--seed", "1")
    status, out, _ = command("sample", play, "-n", "3", "--prompt", "the dog", "--length", "70", *said)
    assert status == 0
    texts = out.split("\n--------\n")
    assert [len(text) for text in texts] == [70, 70, 70, 0]
    assert all(text.startswith("the dog") for text in texts[:3])
    for name in ("s.txt", "s.csv", "s.npz"):
        path = tmp_path / name
        argv = ("sample", play, "-n", "3", "--prompt", "the dog", "--length", "70", *said, "--out", path)
        assert command(*argv)[0] == 0
    assert (tmp_path / "s.txt").read_text() == out
    assert np.load(tmp_path / "s.npz")["x"].tolist() == texts[:3]
    assert pd.read_csv(tmp_path / "s.csv")["text"].tolist() == texts[:3]
    status, out, err = command("sample", play, "-n", "3", "--prompt", "th\u00e0")
    assert (status, out) == (2, "")
    assert "character 3" in err


def test_numbers_are_not_printed(command, tmp_path):
    hexad.fit("independent", source("tree"), out=tmp_path / "run", progress=False)
    status, out, err = command("sample", tmp_path / "run", "-n", "3")
    assert (status, out) == (2, "")
    assert "--out FILE" in err
