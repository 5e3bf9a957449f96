"""What every load of a summarizer must repeat: its recorded summaries, and how likely it found them.

Two processors may round differently in the last place, which can turn a near tie between two summaries. So a load is
held against the log-probability of every recorded token, and only loosely against the words of a new search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from serving.errors import GoldenMismatch
from serving.summarizer.batch import summarize
from serving.summarizer.engine import Engine
from serving.summarizer.folder import Golden
from serving.summarizer.generation import Generation
from serving.summarizer.rouge import rouge_l

TOLERANCE = {"fp32": 0.01, "int8": 0.1}  # nats a recorded log-probability may move; a rounding step of int8 shows
LEAST_REPEATED = 0.9  # ROUGE-L of a new search against the recorded summary


def prove(engine: Engine, tokenizer: Tokenizer, golden: Golden, precision: str) -> float:
    """The largest change of a recorded log-probability, in nats. Raises GoldenMismatch naming the text."""
    worst = 0.0
    sources = [tokenizer.encode(entry.text).ids for entry in golden.texts]
    again = summarize(engine, sources, golden.generation)
    for entry, source, summary in zip(golden.texts, sources, again, strict=True):
        now = log_probs(engine, source, entry.summary, golden.generation)
        moved = float(np.abs(np.subtract(now, entry.log_probs)).max())
        if not moved <= TOLERANCE[precision]:  # also when it is not a number
            raise GoldenMismatch(f"a log-probability moved by {moved:.4f} nats for the text {entry.text[:40]!r}")
        if rouge_l(summary, entry.summary) < LEAST_REPEATED:
            raise GoldenMismatch(f"another summary than the recorded one for the text {entry.text[:40]!r}")
        worst = max(worst, moved)
    return worst


def log_probs(engine: Engine, source: Sequence[int], summary: Sequence[int], settings: Generation) -> list[float]:
    """What the engine says of every token of a summary, if all before it are said."""
    rows = engine.log_probs(source, [settings.decoder_start_token_id, *summary[:-1]])
    return [float(row[token]) for row, token in zip(rows, summary, strict=True)]
