"""What the rehearsal's toy is trained on: made-up texts whose "summary" is their first sentence, and its tokenizer.

Half of the sentences are made of words, half of any tokens at all, so that the toy copies what it never saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from serving.summarizer.hf_tokenizer import SPECIAL, byte_level

START, PAD, END = 0, 1, 2
VOCABULARY = 768
SENTENCE = (3, 40)  # tokens, without the full stop
LEXICON = (
    "the a of and to in is on for with as by at from that this it was are be not or an has its have new one two three "
    "four more all can will their which first last time year day night week month people city town river mountain sea "
    "road house garden school market bridge harbour train ship plane car street field forest island water air light "
    "fire stone wood glass paper metal food bread milk fish bird horse dog cat tree flower seed leaf book letter word "
    "story song picture film game work job trade price money tax law vote court police army war peace science method "
    "model data result test paper study system network machine computer program code memory core battery engine tool "
    "small large long short high low old young early late fast slow hot cold warm dry wet dark bright open closed full "
    "empty strong weak simple hard soft heavy clear quiet loud cheap dear rich poor good bad better best worse local "
    "made said went came took gave found built sold bought opened closed began ended grew fell rose lost won kept held "
    "shows runs reads writes waits stays leaves brings carries holds needs means says makes takes gives finds builds"
)
WORDS = LEXICON.split()

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded with PAD: sources [texts, source] between their marks, summaries [texts, target] that begin and end."""

    sources: Ids
    summaries: Ids


def tokenizer(seed: int) -> Tokenizer:
    """Byte pairs learnt from sentences of WORDS."""
    rng = np.random.default_rng(seed)
    sentences = (_words(rng, int(rng.integers(*SENTENCE))) for _ in range(4000))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    found = byte_level(models.BPE(), START, END)
    found.train_from_iterator(sentences, trainer)
    return found


def batches(made: Tokenizer, texts: int, tokens: int, seed: int) -> Iterator[Batch]:
    """Without end. Sources of at most `tokens` tokens."""
    rng = np.random.default_rng(seed)
    (stop,) = made.encode(".", add_special_tokens=False).ids
    while True:
        pairs = [_pair(made, rng, tokens, stop) for _ in range(texts)]
        yield Batch(
            _padded([source for source, _ in pairs], tokens), _padded([lead for _, lead in pairs], SENTENCE[1] + 4)
        )


def _pair(made: Tokenizer, rng: np.random.Generator, tokens: int, stop: int) -> tuple[list[int], list[int]]:
    lead = _sentence(made, rng, stop)
    body = list(lead)
    while len(body) < tokens - 2 and rng.random() < 0.8:
        body += _sentence(made, rng, stop)
    return [START, *body[: tokens - 2], END], [START, *lead, END]


def _sentence(made: Tokenizer, rng: np.random.Generator, stop: int) -> list[int]:
    length = int(rng.integers(*SENTENCE))
    if rng.random() < 0.5:
        found = made.encode(_words(rng, length), add_special_tokens=False).ids[:length]
    else:
        found = rng.integers(len(SPECIAL), VOCABULARY, length).tolist()
    return [*(token for token in found if token != stop), stop]


def _words(rng: np.random.Generator, count: int) -> str:
    text = " ".join(rng.choice(WORDS, count))
    return (" " if rng.random() < 0.8 else "") + (text.capitalize() if rng.random() < 0.8 else text) + "."


def _padded(rows: list[list[int]], width: int) -> Ids:
    out = np.full((len(rows), width), PAD, np.int64)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = ids
    return out
