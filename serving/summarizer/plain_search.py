"""The beam search that the engine is held against: one text, whole vocabulary, plain lists, nothing kept between steps.

It does what `generate` of Hugging Face does for one text (transformers 4.57): the 2K best continuations of all beams
are looked at in order; one that ends a summary counts only among the first K; the first K that do not end go on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.summarizer.generation import Generation
from serving.summarizer.reference import Reference

LogProbs = npt.NDArray[np.float64]


class Hypothesis(NamedTuple):
    """A beginning or a whole summary (with its start token) and its score: the sum of its log-probabilities,
    divided by its length to the power of the length penalty once it is whole."""

    score: float
    ids: tuple[int, ...]


def summarize(reference: Reference, source: Sequence[int], settings: Generation) -> list[int]:
    """Token ids of the best summary, without the start token."""
    memory = reference.encode(source)
    return search(lambda ids: reference.log_probs(memory, ids)[-1], settings)


def search(next_token: Callable[[tuple[int, ...]], LogProbs], settings: Generation) -> list[int]:
    """As `summarize`, over any function that gives the log-probabilities [vocabulary] of the token after some ids."""
    beams = [Hypothesis(0.0, (settings.decoder_start_token_id,))]
    finished: list[Hypothesis] = []
    while beams:
        ranked = _continuations(next_token, beams, settings)[: 2 * settings.num_beams]
        length = len(beams[0].ids)  # of a whole summary that ends now, without its start token
        ended = [found for found in ranked[: settings.num_beams] if _ends(found.ids, settings)]
        finished += [Hypothesis(score / length**settings.length_penalty, ids) for score, ids in ended]
        finished = sorted(finished, reverse=True, key=lambda found: found.score)[: settings.num_beams]
        beams = [found for found in ranked if not _ends(found.ids, settings)][: settings.num_beams]
        if len(finished) == settings.num_beams and beams and not _can_improve(beams[0], finished, settings):
            break
    return list(finished[0].ids[1:])


def _continuations(
    next_token: Callable[[tuple[int, ...]], LogProbs], beams: list[Hypothesis], settings: Generation
) -> list[Hypothesis]:
    """The allowed continuations of every beam, best first; of each beam as many as may be looked at."""
    found = []
    for beam in beams:
        scores = _allowed(next_token(beam.ids).copy(), beam.ids, settings)
        for token in np.argsort(-scores, kind="stable")[: 2 * settings.num_beams].tolist():
            if scores[token] > -np.inf:
                found.append(Hypothesis(beam.score + float(scores[token]), (*beam.ids, token)))
    return sorted(found, reverse=True, key=lambda found: found.score)


def _allowed(scores: LogProbs, ids: tuple[int, ...], settings: Generation) -> LogProbs:
    """The scores with what must not follow `ids` at minus infinity; a forced token costs nothing."""
    size = settings.no_repeat_ngram_size
    for start in range(len(ids) - size + 1 if size else 0):
        if ids[start : start + size - 1] == ids[len(ids) - size + 1 :]:
            scores[ids[start + size - 1]] = -np.inf
    if len(ids) < settings.min_length:
        scores[settings.eos_token_id] = -np.inf
    for forced, length in ((settings.forced_bos_token_id, 1), (settings.forced_eos_token_id, settings.max_length - 1)):
        if forced is not None and len(ids) == length:
            scores[:] = -np.inf
            scores[forced] = 0.0
    return scores


def _ends(ids: tuple[int, ...], settings: Generation) -> bool:
    return ids[-1] == settings.eos_token_id or len(ids) == settings.max_length


def _can_improve(best: Hypothesis, finished: list[Hypothesis], settings: Generation) -> bool:
    """Whether a beam may still end better than the worst that has ended. One beam is a greedy search: it may not."""
    if settings.early_stopping is True or settings.num_beams == 1:
        return False
    length = len(best.ids) - 1
    if settings.early_stopping == "never" and settings.length_penalty > 0:
        length = settings.max_length - 1
    return bool(best.score / length**settings.length_penalty > finished[-1].score)
