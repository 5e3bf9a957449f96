"""A tiny BART with seeded weights that ends its summaries now and then, and a tokenizer over single bytes."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

from serving.summarizer import made
from serving.summarizer.engine import Engine, load
from serving.summarizer.export import write_graphs
from serving.summarizer.generation import Generation
from serving.summarizer.hf_tokenizer import SPECIAL, byte_level
from serving.summarizer.reference import Reference, Wide
from serving.summarizer.weights import Bart

SEED, SPREAD = 3, 0.3
SOURCES = tuple(
    [0, *np.random.default_rng(5 + length).integers(5, made.TINY.vocabulary, length).tolist(), 2]
    for length in (5, 12, 20, 31)
)
SETTINGS = Generation(
    num_beams=4,
    min_length=4,
    max_length=16,
    length_penalty=2.0,
    no_repeat_ngram_size=3,
    early_stopping=True,
    decoder_start_token_id=2,
    eos_token_id=2,
    forced_bos_token_id=0,
    forced_eos_token_id=2,
)


@cache
def bart(*, scaled: bool = False) -> Bart:
    """Two layers and two; the bias towards the end token makes summaries of many lengths."""
    found = made.random_bart(dataclasses.replace(made.TINY, scaled=scaled), SEED, SPREAD)
    bias = np.random.default_rng(9).normal(0, 1, (1, made.TINY.vocabulary)).astype(np.float32)
    bias[0, 2] = 6.0
    return Bart(found.shape, found.tensors | {"final_logits_bias": bias})


def tokenizer() -> Tokenizer:
    """One token a byte, after BART's five special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    numbers = {token: number for number, token in enumerate([*SPECIAL, *alphabet])}
    found = byte_level(models.BPE(numbers, []), numbers["<s>"], numbers["</s>"])
    found.add_special_tokens(list(SPECIAL))
    return found


def write_source(folder: Path) -> Path:
    """A Hugging Face folder of the tiny model."""
    made.write(bart(), SETTINGS, tokenizer(), folder)
    return folder


def engine(folder: Path, precision: str = "fp32", *, scaled: bool = False) -> Engine:
    """The tiny model's sessions, without an export's gate."""
    folder.mkdir(parents=True, exist_ok=True)
    write_graphs(bart(scaled=scaled), folder, "int8" if precision == "int8" else "fp32")
    return load(folder)


class Remembered:
    """The reference, which forgets no answer: a grid of searches asks much the same again and again."""

    def __init__(self) -> None:
        self._reference = Reference(bart())
        self._memories = [self._reference.encode(source) for source in SOURCES]
        self._known: dict[tuple[int, tuple[int, ...]], Wide] = {}

    def next_token(self, source: int, ids: tuple[int, ...]) -> Wide:
        """Log-probabilities after `ids` for SOURCES[source]."""
        key = (source, ids)
        if key not in self._known:
            self._known[key] = self._reference.log_probs(self._memories[source], ids)[-1]
        return self._known[key]
