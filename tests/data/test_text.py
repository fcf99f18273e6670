"""Text: pieces of a file, its alphabet, and back; a model of it from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import hexad
from hexad import cli
from hexad.comparison.views import view_of
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


BOTH = "caf\u00e9 na\u00efve \u4e16\u754c \U0001f600 ends; "


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    path = tmp_path_factory.mktemp("bytes") / "wide.txt"
    path.write_text(BOTH * 80, encoding="utf-8")
    return path


def test_bytes_of_a_text_are_its_utf8_and_lead_back(wide):
    data = hexad.load_data(wide, length=10, tokens="bytes")
    assert data.event == hexad.Event.of((10,), hexad.Support("ordinal", levels=255), "sequence")
    content = wide.read_bytes()
    codes = np.concatenate([data.tensor(split).numpy().reshape(-1) for split in ("train", "valid", "test")])
    whole = data.tensor("train").numpy().reshape(-1)
    assert bytes((whole.astype(int) + 1).tolist()) == content[: len(whole)]
    assert len(content) - 30 < len(codes) <= len(content)
    assert "".join(data.train).encode("utf-8", "surrogateescape") == content[: len(whole)]
    form = Format.from_json(json.loads(json.dumps(data.format.to_json())))
    assert form == data.format
    places = torch.arange(250).reshape(25, 10).to(torch.uint8)  # any bytes at all, whatever they are as text
    assert torch.equal(form.encode(form.decode(places)), places)
    with pytest.raises(ValueError, match="alphabet"):
        Format.from_json({**form.to_json(), "alphabet": form.alphabet[:-1] + "\u0100"})


def test_a_model_of_bytes_from_training_to_samples(wide, tmp_path, capsys):
    run = tmp_path / "run"
    assert (
        cli.main(["train", "ngram", str(wide), "--data", "length=12", "--data", "tokens=bytes", "--out", str(run)]) == 0
    )
    fitted = hexad.load(run)
    text = fitted.sample(1, seed=0, prompt="caf\u00e9", length=len(BOTH.encode()), top_k=1)[0]
    assert text == BOTH  # what was learned, byte by byte, is characters again
    log_p = fitted.log_likelihood([BOTH.encode()[:12].decode("utf-8", "surrogateescape"), "Stra\u00dfe \u03b1\u03b2"])
    assert torch.isfinite(log_p.value).all()  # no character is unknown
    for name in ("s.txt", "s.csv", "s.npz"):
        assert cli.main(["sample", str(run), "-n", "20", "--seed", "0", "--out", str(tmp_path / name)]) == 0
    drawn = fitted.sample(20, seed=0)
    assert all(len(text.encode("utf-8", "surrogateescape")) == 12 for text in drawn)
    assert np.load(tmp_path / "s.npz")["x"].tolist() == drawn.tolist()
    written = (tmp_path / "s.txt").read_bytes().decode("utf-8", "surrogateescape")
    assert written.split("\n--------\n")[:20] == drawn.tolist()
    again = hexad.load_data(wide, length=12, tokens="bytes")
    assert torch.equal(fitted.log_likelihood(again.test).value, fitted.try_log_likelihood(again.tensor("test")).value)
    with pytest.raises(hexad.InputError, match="text 1 has 14 bytes; expected 12"):
        fitted.log_likelihood(["caf\u00e9 caf\u00e9 ca"])
    capsys.readouterr()
    assert cli.main(["train", "ngram", "copula", "--data", "tokens=bytes", "--out", str(tmp_path / "no")]) == 2
    assert "--data tokens is for text" in capsys.readouterr().err
    assert cli.main(["train", "ngram", str(wide), "--data", "tokens=byte", "--out", str(tmp_path / "no")]) == 2
    assert "did you mean 'bytes'" in capsys.readouterr().err


def test_the_page_shows_bytes(wide):
    data = hexad.load_data(wide, length=16, tokens="bytes")
    shown = "".join(data.format.letters[place] for place in data.tensor("train")[0].tolist())
    assert shown == "caf\ufffd\ufffd na\ufffd\ufffdve \ufffd\ufffd\ufffd"  # and the first character of three bytes
    view = view_of(data.event, data.tensor("train"), data.format.letters)
    assert view.records(data.tensor("train")[:5].double(), "black").startswith("data:image/png")
