"""What a variant has to reach before it is published: every step near the fp64 reference's, and its summaries too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from serving.errors import GateFailed
from serving.summarizer import plain_search
from serving.summarizer.batch import summarize
from serving.summarizer.engine import Engine
from serving.summarizer.folder import Gate, Golden, GoldenText
from serving.summarizer.generation import Generation
from serving.summarizer.golden import log_probs
from serving.summarizer.reference import Reference, Wide
from serving.summarizer.rouge import rouge_l

TEXTS = (
    "The harbour of the old town was closed for three days after a storm had torn two cranes from their rails. Nobody "
    "was hurt, but eleven ships had to wait outside, and the fish market stayed empty. On Thursday the first ferry "
    "left with four hundred passengers. The port authority says that repairs will take until spring.",
    "We present a method that schedules batches by the number of their tokens. It needs no tuning. On two cores it "
    "doubles the rate of a service that pads every text to the same length, and the slowest answer comes sooner.",
    "A library in a mountain village lends out not only books but tools, sleds and seeds. What began in a garage is "
    "now open every day, and its founder, a retired teacher, says that the drill is what people ask for most.",
    "Yes.",
)
MAX_LENGTH = 32  # of a golden summary: the reference starts every step from the beginning
LEAST = {
    "fp32": Gate(cosine_mean=0.9999, cosine_min=0.9999, exact=1.0, rouge_l=1.0),
    "int8": Gate(cosine_mean=0.994, cosine_min=0.98, exact=0.0, rouge_l=0.9),
}


def settings_for(generation: Generation) -> Generation:
    """The model's own settings, cut to what the reference can follow in seconds."""
    longest = min(generation.max_length, MAX_LENGTH)
    return generation.changed(max_length=longest, min_length=min(generation.min_length, longest // 2))


def record(engine: Engine, tokenizer: Tokenizer, generation: Generation, texts: Sequence[str] = TEXTS) -> Golden:
    """This variant's summaries of the texts, and how likely it finds them."""
    settings = settings_for(generation)
    sources = [tokenizer.encode(text).ids for text in texts]
    found = []
    for text, source, summary in zip(texts, sources, summarize(engine, sources, settings), strict=True):
        sure = [round(value, 5) for value in log_probs(engine, source, summary, settings)]
        found.append(GoldenText(text=text, summary=summary, log_probs=sure))
    return Golden(generation=settings, texts=found)


def judge(engine: Engine, tokenizer: Tokenizer, golden: Golden, reference: Reference, precision: str) -> Gate:
    """Compare every step and every summary with the reference's. Raises GateFailed naming the figure."""
    cosines: list[float] = []
    scores: list[float] = []
    for entry in golden.texts:
        source = tokenizer.encode(entry.text).ids
        prefix = [golden.generation.decoder_start_token_id, *entry.summary[:-1]]
        wanted = reference.log_probs(reference.encode(source), prefix)
        cosines += _cosines(engine.log_probs(source, prefix).astype(np.float64), wanted)
        scores.append(rouge_l(entry.summary, plain_search.summarize(reference, source, golden.generation)))
    found = Gate(
        cosine_mean=float(np.mean(cosines)),
        cosine_min=float(np.min(cosines)),
        exact=float(np.mean([score == 1.0 for score in scores])),
        rouge_l=float(np.mean(scores)),
    )
    for figure, least in LEAST[precision].model_dump().items():
        if not getattr(found, figure) >= least:  # also when it is not a number
            raise GateFailed(f"{precision}: {figure} {getattr(found, figure):.6f} < {least} to the fp64 reference")
    return found


def _cosines(found: Wide, wanted: Wide) -> list[float]:
    """Between the centred rows: a constant that log-softmax adds to all words would hide every difference."""
    left, right = (rows - rows.mean(axis=1, keepdims=True) for rows in (found, wanted))
    lengths = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    return [float(cosine) for cosine in (left * right).sum(axis=1) / lengths]
