"""A labelled retrieval set from real English text that every Python brings: the language reference's help topics.

A passage is some paragraphs of one topic. A query is a sentence taken out of a passage, and that passage is its answer:
the rest of the text has to be found by one sentence that it no longer contains (inverse cloze). Nothing is downloaded,
and the text differs a little from one Python version to the next; figures are compared within one run.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pydoc_data import topics

SEED = 0
LEAST_CHARS, MOST_CHARS = 300, 1400  # of a passage
SENTENCE_CHARS = (30, 100)
WORDY = 0.85  # share of letters and spaces of a paragraph: the rest is code and grammar


@dataclass(frozen=True, slots=True)
class Labelled:
    """Passages, and queries with the place of the passage that answers them."""

    passages: tuple[str, ...]
    queries: tuple[str, ...]
    answers: tuple[int, ...]


def make(limit: int) -> Labelled:
    """The first `limit` passages in a fixed random order, a query for each."""
    rng = random.Random(SEED)
    found = [cut for text in _texts(rng) if (cut := _cut(text, rng)) is not None]
    rng.shuffle(found)
    chosen = found[:limit]
    passages, queries = tuple(rest for rest, _ in chosen), tuple(query for _, query in chosen)
    return Labelled(passages, queries, tuple(range(len(chosen))))


def _texts(rng: random.Random) -> Iterator[str]:
    """Paragraphs of a topic joined to texts of different lengths."""
    for topic in sorted(topics.topics):
        text, wanted = "", rng.randint(LEAST_CHARS, MOST_CHARS)
        for paragraph in _paragraphs(topics.topics[topic]):
            text = f"{text} {paragraph}".strip()
            if len(text) >= wanted:
                yield text
                text, wanted = "", rng.randint(LEAST_CHARS, MOST_CHARS)


def _paragraphs(topic: str) -> Iterator[str]:
    for block in topic.split("\n\n"):
        text = " ".join(block.split())
        if len(text) > SENTENCE_CHARS[1] and sum(c.isalpha() or c == " " for c in text) / len(text) > WORDY:
            yield text


def _cut(text: str, rng: random.Random) -> tuple[str, str] | None:
    """The text without one of its sentences, and that sentence."""
    sentences: Sequence[str] = re.split(r"(?<=[.!?]) ", text)
    fit = [n for n, s in enumerate(sentences) if _is_query(s, text)]
    if not fit or len(sentences) < 3:
        return None
    place = rng.choice(fit)
    return " ".join([*sentences[:place], *sentences[place + 1 :]]), sentences[place]


def _is_query(sentence: str, text: str) -> bool:
    """Of the right length, and said once only."""
    return SENTENCE_CHARS[0] <= len(sentence) <= SENTENCE_CHARS[1] and text.count(sentence) == 1
