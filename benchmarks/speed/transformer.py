"""A Transformer beside a plain GPT in training; in sampling beside transformers' GPT-2, and itself without a cache."""

from __future__ import annotations

from typing import Any

import torch

import hexad
from benchmarks.speed.contest import Contest, Runner, clock, named, peer, task
from benchmarks.speed.training import PLAIN, bare_loop, our_loop
from benchmarks.text import BATCH, BLOCKS, CONTEXT, HEADS, WIDTH, peer_steps
from hexad.autoregressive import Transformer
from hexad.event import Event, Support

LEVELS = 65


@task("transformer-step")
def _(small: bool) -> Contest:
    steps = 20
    tokens = torch.randint(LEVELS, (40 * BATCH, CONTEXT), generator=torch.Generator().manual_seed(0))
    data = hexad.load_data(tokens.numpy(), layout="sequence", support="ordinal", levels=LEVELS)
    options: dict[str, Any] = {"layers": BLOCKS, "heads": HEADS, "width": WIDTH, "batch_size": BATCH, **PLAIN}
    return Contest(
        f"a training step, batches of {BATCH} pieces of {CONTEXT} characters, {BLOCKS} layers of {HEADS} heads, "
        f"{WIDTH} wide, {LEVELS} levels, without average; the peer clips, as it does by itself",
        our_loop("transformer", data, steps, **options),
        clock(lambda: peer_steps(tokens.flatten(), LEVELS, 0, steps)),
        bare_loop("transformer", data, steps, **options),
        "a plain GPT: learned positions, layer norms, AdamW",
        count=steps,
    )


def _ours(tokens: int, small: bool) -> Transformer:
    layers, width = (2, 16) if small else (BLOCKS, WIDTH)
    event = Event.of((tokens,), Support("ordinal", levels=LEVELS), "sequence")
    return Transformer(event, layers, HEADS, width).eval()


def _gpt2(tokens: int, n: int, small: bool) -> Runner | None:
    """Return the runner of GPT-2's own sampling, with its cache and without cuts of its law; None if not installed."""
    library = peer("transformers")
    if library is None:
        return None
    config = library.GPT2Config(
        vocab_size=LEVELS,
        n_positions=tokens + 1,
        n_embd=16 if small else WIDTH,
        n_layer=2 if small else BLOCKS,
        n_head=HEADS,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    model, begin = library.GPT2LMHeadModel(config).eval(), torch.zeros(n, 1, dtype=torch.long)
    options = {"max_new_tokens": tokens, "do_sample": True, "top_k": 0, "use_cache": True}
    return clock(lambda: model.generate(begin, attention_mask=torch.ones_like(begin), **options))


def _generation(small: bool, n: int) -> Contest:
    tokens = 8 if small else 128
    model = _ours(tokens, small)
    return Contest(
        f"{n} sequences of {tokens} tokens at once, {BLOCKS} layers, {WIDTH} wide, {LEVELS} levels, both with their "
        "keys and values kept",
        clock(torch.no_grad()(lambda: model.sample(n))),
        _gpt2(tokens, n, small),
        peer_name=named("transformers", "GPT2LMHeadModel.generate"),
        work="call",
        repeats=7,
    )


task("transformer-generation")(lambda small: _generation(small, 16))
task("transformer-generation-one")(lambda small: _generation(small, 1))


@torch.no_grad()
def _without_cache(model: Transformer, n: int) -> None:
    """Sample by a pass over all tokens so far, for every token."""
    x = torch.zeros(n, model.event.dims)
    for k in range(model.event.dims):
        column = slice(k, k + 1)
        outputs = model.outputs(model.network(model.inputs(x[:, :k]))[:, -1:], column)
        noise = model.head.noise(torch.rand(n, 1, 1, dtype=torch.float64), x.dtype)
        x[:, column] = model.head.draw(outputs, noise, column)


def _beside_itself(small: bool, n: int) -> Contest:
    tokens = 8 if small else 64
    model = _ours(tokens, small)
    return Contest(
        f"{n} sequences of {tokens} tokens at once, {BLOCKS} layers, {WIDTH} wide, {LEVELS} levels; peer: the same "
        "network, a pass over all tokens so far for every token",
        clock(torch.no_grad()(lambda: model.sample(n))),
        clock(lambda: _without_cache(model, n)),
        peer_name="the same network without a cache",
        work="call",
        repeats=7,
    )


task("transformer-sampling")(lambda small: _beside_itself(small, 16))
task("transformer-sampling-one")(lambda small: _beside_itself(small, 1))
