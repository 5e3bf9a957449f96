"""Train the toy that stands in for a summarizer in a rehearsal: `python -m serving.summarizer.rehearsal --out DIR`.

`rehearsal-bart-tiny` copies the first sentence of a text, more or less, and is good for nothing else. It has the
layout of a real one, so everything from the loader to the beam search is the code a real one goes through. Needs jax,
which the serving image does not have; a few minutes on one core.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import GateFailed, ServingError
from serving.summarizer import made, rehearsal_text
from serving.summarizer.generation import Generation
from serving.summarizer.rehearsal_text import END, PAD, START, VOCABULARY, Batch
from serving.summarizer.weights import EPSILON, POSITION_OFFSET, Bart, Shape

NAME = "rehearsal-bart-tiny"
SHAPE = Shape(2, 2, 4, 4, 128, 128, 64, VOCABULARY, 128)
SETTINGS = Generation(
    num_beams=4,
    min_length=4,
    max_length=48,
    length_penalty=2.0,
    no_repeat_ngram_size=3,
    early_stopping=True,
    decoder_start_token_id=END,
    eos_token_id=END,
    forced_bos_token_id=START,
    forced_eos_token_id=END,
)
SEED = 0
TEXTS = 32  # of a training batch
TOKENS = 64  # of a source while training; what comes later in a text is not in its first sentence
STEPS = 1000
SPREAD = 0.08  # of the weights it starts from; with the usual 0.02 so small a model learns ten times slower
RATE, WARM_UP = 3e-3, 200
LEAST = 0.97  # share of right tokens in texts that were not trained on

log = logging.getLogger("serving.summarizer.rehearsal")


def main(argv: Sequence[str] | None = None) -> int:
    """0 trained and written · 1 it did not learn its task."""
    parser = argparse.ArgumentParser(prog="python -m serving.summarizer.rehearsal", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help=f"where the folder {NAME} is written")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="rehearsal > %(message)s", stream=sys.stderr)
    try:
        make(args.out / NAME, args.steps)
    except ServingError as error:
        log.error("FAILED  %s", error)
        return 1
    return 0


def make(folder: Path, steps: int = STEPS) -> None:
    """Train, look at texts that were not trained on, write a Hugging Face folder. Raises GateFailed."""
    words = rehearsal_text.tokenizer(SEED)
    examples = rehearsal_text.batches(words, TEXTS, TOKENS, SEED + 1)
    bart = train(made.random_bart(SHAPE, SEED, SPREAD), islice(examples, steps), steps)
    share = accuracy(bart, list(islice(rehearsal_text.batches(words, TEXTS, TOKENS, SEED + 2), 4)))
    log.info("learnt  %.2f %% of the tokens of new texts are right", 100 * share)
    if not share >= LEAST:
        raise GateFailed(f"{NAME}: only {share:.4f} of the tokens of new texts are right, expected {LEAST}")
    made.write(bart, SETTINGS, words, folder)
    log.info("wrote   %s", folder)


def train(bart: Bart, examples: Any, steps: int) -> Bart:
    """Adam with a warm-up and a falling rate, over one batch a step."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_platforms", "cpu")
    params = {name: jax.numpy.asarray(value) for name, value in bart.tensors.items()}
    first = {name: jax.numpy.zeros_like(value) for name, value in params.items()}
    second = dict(first)

    def update(params: Any, first: Any, second: Any, step: Any, sources: Any, summaries: Any) -> Any:
        loss, slopes = jax.value_and_grad(_loss)(params, bart.shape, sources, summaries)
        first = {name: 0.9 * first[name] + 0.1 * slopes[name] for name in params}
        second = {name: 0.98 * second[name] + 0.02 * slopes[name] ** 2 for name in params}
        rate = RATE * jax.numpy.minimum(step / WARM_UP, 0.5 + 0.5 * jax.numpy.cos(math.pi * step / steps))
        scale = jax.numpy.sqrt(1 - 0.98**step) / (1 - 0.9**step)
        params = {
            name: value - rate * scale * first[name] / (jax.numpy.sqrt(second[name]) + 1e-8)
            for name, value in params.items()
        }
        return params, first, second, loss

    compiled = jax.jit(update)
    for step, batch in enumerate(examples, 1):
        params, first, second, loss = compiled(params, first, second, float(step), batch.sources, batch.summaries)
        if step % 250 == 0:
            log.info("trained %d of %d batches, loss %.4f", step, steps, loss)
    return Bart(bart.shape, {name: np.asarray(value) for name, value in params.items()})


def accuracy(bart: Bart, examples: Sequence[Batch]) -> float:
    """Share of tokens, the end included, that the model would say next if all before were right."""
    jax = importlib.import_module("jax")
    right = all_ = 0
    for batch in examples:
        log_probs = jax.jit(_log_probs, static_argnums=1)(bart.tensors, bart.shape, batch.sources, batch.summaries)
        there = batch.summaries != PAD
        right += int(((np.asarray(log_probs).argmax(axis=2) == batch.summaries) & there).sum())
        all_ += int(there.sum())
    return right / all_


def _loss(params: Any, shape: Shape, sources: Any, summaries: Any) -> Any:
    """Mean surprise at every token of the summaries."""
    jnp = importlib.import_module("jax.numpy")
    log_probs = _log_probs(params, shape, sources, summaries)
    said = jnp.take_along_axis(log_probs, summaries[:, :, None], axis=2)[:, :, 0]
    there = summaries != PAD
    return -(said * there).sum() / there.sum()


def _log_probs(params: Any, shape: Shape, sources: Any, summaries: Any) -> Any:
    """Of every token of the summaries, told all before it: [texts, target, vocabulary]."""
    jax = importlib.import_module("jax")
    jnp = jax.numpy
    padding = jnp.where(sources == PAD, -1e9, 0.0)[:, None, None, :]
    state = _embed(params, "encoder", sources)
    for layer in range(shape.encoder_layers):
        at = f"encoder.layers.{layer}."
        attended = _attention(params, at + "self_attn", shape.encoder_heads, state, state, padding)
        state = _feed_forward(params, at, _norm(params, at + "self_attn_layer_norm", state + attended))
    memory = state
    told = jnp.concatenate([jnp.full_like(summaries[:, :1], END), summaries[:, :-1]], axis=1)
    later = jnp.triu(jnp.full((told.shape[1], told.shape[1]), -1e9), 1)
    state = _embed(params, "decoder", told)
    for layer in range(shape.decoder_layers):
        at = f"decoder.layers.{layer}."
        attended = _attention(params, at + "self_attn", shape.decoder_heads, state, state, later)
        state = _norm(params, at + "self_attn_layer_norm", state + attended)
        attended = _attention(params, at + "encoder_attn", shape.decoder_heads, state, memory, padding)
        state = _feed_forward(params, at, _norm(params, at + "encoder_attn_layer_norm", state + attended))
    return jax.nn.log_softmax(state @ params["shared.weight"].T + params["final_logits_bias"])


def _embed(params: Any, side: str, ids: Any) -> Any:
    places = params[f"{side}.embed_positions.weight"][POSITION_OFFSET : POSITION_OFFSET + ids.shape[1]]
    return _norm(params, f"{side}.layernorm_embedding", params["shared.weight"][ids] + places)


def _attention(params: Any, at: str, heads: int, state: Any, memory: Any, bias: Any) -> Any:
    jax = importlib.import_module("jax")

    def split(name: str, x: Any) -> Any:
        y = _linear(params, f"{at}.{name}_proj", x)
        return y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    query, key, value = split("q", state), split("k", memory), split("v", memory)
    weights = jax.nn.softmax(query @ key.transpose(0, 1, 3, 2) / math.sqrt(query.shape[3]) + bias)
    return _linear(params, at + ".out_proj", (weights @ value).transpose(0, 2, 1, 3).reshape(state.shape))


def _feed_forward(params: Any, at: str, state: Any) -> Any:
    jax = importlib.import_module("jax")
    inner = jax.nn.gelu(_linear(params, at + "fc1", state), approximate=False)
    return _norm(params, at + "final_layer_norm", state + _linear(params, at + "fc2", inner))


def _linear(params: Any, name: str, state: Any) -> Any:
    return state @ params[name + ".weight"].T + params[name + ".bias"]


def _norm(params: Any, name: str, state: Any) -> Any:
    centred = state - state.mean(axis=-1, keepdims=True)
    scaled = centred / ((centred**2).mean(axis=-1, keepdims=True) + EPSILON) ** 0.5
    return scaled * params[name + ".weight"] + params[name + ".bias"]


if __name__ == "__main__":
    raise SystemExit(main())
