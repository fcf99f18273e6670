"""Texts that go on from a prompt: n-grams, an LSTM and a Transformer that have read a text that is always at hand.

python examples/text_from_a_prompt.py [STEPS]        # 400 steps are some minutes on a core

The text is the source of Hexad's own energy models. What each model says of the held-out end of it is exact, so that
the three numbers can be compared: nats a character, and the bits that they would compress it to. The samples are drawn
sharper than the models' laws.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import hexad

LENGTH, STEPS, PROMPT = 64, 400, "def energy("
MODELS = {"ngram": {}, "lstm": {"width": 128}, "transformer": {"layers": 2, "width": 64}}


def own_source() -> str:
    """Return the source of the energy models, the files in the order of their names."""
    files = sorted((Path(hexad.__file__).parent / "energy").rglob("*.py"))
    return "".join(path.read_text(encoding="utf-8") for path in files)


def main(steps: str = str(STEPS)) -> None:
    """Fit the three models, and print what they say of the text's end and how they go on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "source.txt"
        path.write_text(own_source(), encoding="utf-8")
        data = hexad.load_data(path, length=LENGTH)
    print(f"{data!r}\n")
    for name, options in MODELS.items():
        fitted = hexad.fit(name, data, steps=int(steps), progress=False, **options)
        stated = fitted.log_likelihood(data.test)
        nats = -float(stated.value.mean()) / LENGTH
        print(f"{name}: {nats:.3f} nats a character, {nats / math.log(2):.2f} bits, {stated.kind}; {PROMPT!r} goes on")
        text = fitted.sample(1, seed=0, prompt=PROMPT, length=300, temperature=0.7, top_p=0.95)[0]
        print("".join(f"    | {line}\n" for line in text.splitlines()))


if __name__ == "__main__":
    main(*sys.argv[1:2])
