"""A text as overlapping pieces that the model reads whole. Pure, and the same for the same text.

The model (MiniLM) reads 256 tokens. Counting tokens would need its tokenizer here, so pieces are bounded by words:
120 words of English prose are about 160 tokens. Formulas and tables have more tokens a word; what the stage had to cut
is counted in the report.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

LONGEST_WORD = 40  # what has no spaces (addresses, glued lines of a table) is cut into pieces of this length


def split(text: str, *, words: int, overlap: int) -> list[str]:
    """Pieces of `words` words; each begins with the last `overlap` words of the one before."""
    found = list(_words(text))
    starts = range(0, max(len(found) - overlap, 1), words - overlap)
    return [" ".join(found[start : start + words]) for start in starts if found]


def clean(text: str) -> str:
    """Text as PostgreSQL and the model take it: ligatures spelt out, words hyphenated at a line's end joined again.

    No NUL and no half of a surrogate pair, both of which come out of damaged fonts.
    """
    whole = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()).replace("\0", "")
    return whole.replace("\u00ad", "").replace("-\n", "")


def _words(text: str) -> Iterator[str]:
    for word in clean(text).split():
        for start in range(0, len(word), LONGEST_WORD):
            yield word[start : start + LONGEST_WORD]
