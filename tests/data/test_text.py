"""Text: pieces of a file, its alphabet, and back; a model of it from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import hexad
from hexad import cli
from hexad.data import Format
from hexad.data.text import alphabet_of, characters, codes, pieces, strings

SENTENCE = "the cat sat on the mat, and the dog sat on the log.\n"


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "play.txt"
    path.write_text(SENTENCE * 60 + "caf\u00e9")
    return path


def test_pieces_follow_each_other_and_are_the_text(play):
    data = hexad.load_data(play, length=16)
    text = play.read_text()
    cut = [len(text) * 7 // 10, len(text) - -(-len(text) * 2 // 10)]
    for split, whole in zip(
        ("train", "valid", "test"), (text[: cut[0]], text[cut[0] : cut[1]], text[cut[1] :]), strict=True
    ):
        assert "".join(data.split(split)) == whole[: len(whole) // 16 * 16]
    assert data.event == hexad.Event.of((16,), hexad.Support("ordinal", levels=len(set(text))), "sequence")
    assert "texts" in repr(data)


def test_codes_are_places_in_the_sorted_alphabet_and_lead_back():
    alphabet = alphabet_of([characters("banana"), characters("c\u00e9")])
    assert alphabet == "abcn\u00e9"
    texts = pieces(characters("banana"), 3)
    places = codes(texts, alphabet, 3, "here")
    assert places.tolist() == [[1, 0, 3], [0, 3, 0]]
    assert strings(places, alphabet).tolist() == ["ban", "ana"]


def test_a_format_goes_through_json_and_keeps_texts(play):
    form = hexad.load_data(play).format
    again = Format.from_json(json.loads(json.dumps(form.to_json())))
    assert again == form
    texts = np.array([SENTENCE[:48] + "1234567890abcdef"[:16].translate(str.maketrans("1234567890bf", "aaaaaaaaaaaa"))])
    assert again.decode(again.encode(texts)).tolist() == texts.tolist()
    with pytest.raises(ValueError, match="not sorted"):
        Format.from_json({**form.to_json(), "alphabet": form.alphabet[::-1]})
    with pytest.raises(ValueError, match="alphabet"):
        Format.from_json({**form.to_json(), "alphabet": form.alphabet[1:]})


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["the c\u00e0t "], "text 1 holds '\u00e0' as its character 6, which is none of the"),
        (["the cat ", "dog"], "text 2 has 3 characters; expected 8"),
        (np.zeros((2, 8)), "expected texts of 8 characters"),
    ],
)
def test_what_is_no_text_of_these_is_said_in_one_line(play, texts, said):
    form = hexad.load_data(play, length=8).format
    with pytest.raises(hexad.InputError, match=said) as caught:
        form.encode(texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (SENTENCE, {}, "fewer than a record of 64"),
        ("a" * 400, {}, "one character alone"),
        (SENTENCE * 9, {"length": 1}, "length"),
        (SENTENCE * 9, {"drop": "x0"}, "--data drop does not apply to text"),
        (SENTENCE * 9, {"layout": "series"}, "--data layout does not apply to text"),
        ("1 2\n" * 40, {"length": 8}, "--data length is for text"),
    ],
)
def test_a_text_that_cannot_be_cut_is_refused(tmp_path, content, options, said):
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(hexad.InputError, match=said):
        hexad.load_data(path, **options)


def test_gaps_of_a_text_are_refused_in_words(play):
    with pytest.raises(hexad.InputError, match="a text has no mark for what is missing"):
        hexad.load_data(play, length=8).format.encode_missing(["the cat "])


def test_splits_in_a_folder_stay_what_they_are(tmp_path):
    for split, word in (("train", "ab"), ("valid", "ba"), ("test", "aa")):
        (tmp_path / f"{split}.txt").write_text((word + " ") * 40)
    data = hexad.load_data(tmp_path, length=6)
    assert data.train[0] == "ab ab "
    assert data.valid[0] == "ba ba "
    assert data.test[0] == "aa aa "


def test_a_text_from_training_to_samples(play, tmp_path, capsys):
    small = ["--set", "layers=1", "--set", "width=16", "--set", "heads=2"]
    assert (
        cli.main(
            [
                "train",
                "transformer",
                str(play),
                "--steps",
                "60",
                "--data",
                "length=16",
                *small,
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    for name in ("s.txt", "s.csv", "s.npz"):
        assert cli.main(["sample", str(tmp_path / "run"), "-n", "3", "--seed", "0", "--out", str(tmp_path / name)]) == 0
    fitted = hexad.load(tmp_path / "run")
    texts = fitted.sample(3, seed=None).tolist()
    assert all(isinstance(text, str) and len(text) == 16 for text in texts)
    written = np.load(tmp_path / "s.npz")["x"].tolist()
    assert (tmp_path / "s.txt").read_text().split("\n--------\n")[:3] == written
    capsys.readouterr()
    assert cli.main(["evaluate", str(tmp_path / "run"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["log_likelihood"]
    assert told["kind"] == "exact"
    again = fitted.log_likelihood(hexad.load_data(play, length=16).test).value.mean()
    torch.testing.assert_close(torch.tensor(told["nats"], dtype=torch.float64), again)
    letters = np.array(list(play.read_text()))
    counts = np.unique(letters, return_counts=True)[1] / len(letters)
    assert told["nats"] / 16 > float((counts * np.log(counts)).sum())  # better than its letters drawn alone
    assert cli.main(["sample", str(tmp_path / "run"), "-n", "3", "--out", str(tmp_path / "s.png")]) == 2


def test_the_page_shows_texts(play, tmp_path):
    data = hexad.load_data(play, length=16)
    done = hexad.compare(data, models=["independent", "resample"], steps=1, out=tmp_path / "page", progress=False)
    assert "texts of 16 characters" in done.report.read_text()
