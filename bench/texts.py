"""The texts that everyone is asked for: help topics of the language reference, in abstracts and in queries."""

from __future__ import annotations

from serving import passages
from serving.passages import Labelled

WORDS = 120  # of an abstract: about 180 tokens
QUERY_WORDS = (4, 9)  # of a query: about 10 tokens
JUDGED = 150


def judged() -> Labelled:
    """What precision is judged on."""
    return passages.make(JUDGED)


def abstracts() -> list[str]:
    """Texts of WORDS words, every one different."""
    words = " ".join(passages.make(10_000).passages).split()
    return [" ".join(words[start : start + WORDS]) for start in range(0, len(words) - WORDS, WORDS)]


def queries() -> list[str]:
    """Short texts of QUERY_WORDS words, every one different."""
    words = " ".join(passages.make(10_000).passages).split()
    least, most = QUERY_WORDS
    found, start = [], 0
    while start + most <= len(words):
        size = least + start % (most - least + 1)
        found.append(" ".join(words[start : start + size]))
        start += size
    return list(dict.fromkeys(found))
