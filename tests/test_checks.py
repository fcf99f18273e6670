"""Words of errors: one line, with the nearest name."""

from __future__ import annotations

import pytest

from hexad.checks import InputError, choose, hint, one_line


@pytest.mark.parametrize(
    ("name", "names", "words"),
    [
        ("relnvp", ["realnvp", "made"], "; did you mean 'realnvp'?"),
        ("RealNVP", ["realnvp", "made"], "; did you mean 'realnvp'?"),
        ("zzz", ["realnvp", "made"], "; expected one of made, realnvp"),
        ("", ["b", "a"], "; expected one of a, b"),
        ("x", [], ""),
    ],
)
def test_hint(name, names, words):
    assert hint(name, names) == words


def test_one_line_folds_all_white_space():
    assert one_line(ValueError("a\n\n  b\tc\r\nd ")) == "a b c d"


def test_choose():
    assert choose("a", iter(["a", "b"]), "letter") == "a"
    for wrong in ("aa", 3, None):
        with pytest.raises(InputError, match=rf"^unknown letter {wrong!r}") as caught:
            choose(wrong, ["a", "b"], "letter")
        assert "\n" not in str(caught.value)
    assert issubclass(InputError, ValueError)
