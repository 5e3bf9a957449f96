"""The search for one text's summary, between steps: which beams run, what has ended, when to stop.

Takes only the best continuations of every beam, as many as can matter: twice the beams, and one more for each token
that is known beforehand not to be allowed. A forced token needs no scores at all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from serving.summarizer.generation import Generation
from serving.summarizer.slots import Ints

Scores = npt.NDArray[np.floating]


class _Ended(NamedTuple):
    score: float
    ids: list[int]


class Beams:
    """Mutable; one per text. `done` says that `summary` is final."""

    def __init__(self, settings: Generation) -> None:
        self.settings = settings
        self.done = False
        self._ids: Ints = np.array([[settings.decoder_start_token_id]], np.int64)  # [running, length]
        self._scores: npt.NDArray[np.float64] = np.zeros(1)
        self._ended: list[_Ended] = []
        self._banned: list[Ints] = []
        self._forced: int | None = None
        self._look_ahead()

    @property
    def last(self) -> Ints:
        """The last token of every beam, [num_beams]. Places without a beam yet repeat the first one."""
        return self._filled(self._ids[:, -1])

    @property
    def fed(self) -> int:
        """How many tokens came before the last ones."""
        return int(self._ids.shape[1]) - 1

    @property
    def width(self) -> int:
        """Continuations wanted per beam."""
        return 2 * self.settings.num_beams + max(map(len, self._banned), default=0)

    @property
    def summary(self) -> list[int]:
        """The best that has ended, without the start token."""
        return self._ended[0].ids

    def advance(self, scores: Scores, ids: Ints) -> Ints:
        """Take each beam's best continuations, [num_beams, >= width], best first; give every beam's parent."""
        running = len(self._ids)
        if self._forced is not None:
            return self._take(self._scores, np.arange(running), np.full(running, self._forced))
        total = self._scores[:, None] + scores[:running].astype(np.float64)
        for beam, banned in enumerate(self._banned):
            total[beam, (ids[beam, :, None] == banned).any(axis=1)] = -np.inf
        flat = total.ravel()
        best = np.argsort(-flat, kind="stable")[: 2 * self.settings.num_beams]
        best = best[flat[best] > -np.inf]
        return self._take(flat[best], best // ids.shape[1], ids[:running].ravel()[best])

    def _take(self, scores: npt.NDArray[np.float64], parents: Ints, tokens: Ints) -> Ints:
        """Ranked continuations: end those that end, go on with the others. Gives the parents of those that go on."""
        settings, length = self.settings, self._ids.shape[1]
        ends = (tokens == settings.eos_token_id) | (length + 1 == settings.max_length)
        for rank in np.flatnonzero(ends[: settings.num_beams]):
            ids = [*self._ids[parents[rank], 1:].tolist(), int(tokens[rank])]
            self._ended.append(_Ended(float(scores[rank]) / length**settings.length_penalty, ids))
        self._ended.sort(key=lambda ended: -ended.score)
        del self._ended[settings.num_beams :]
        on = np.flatnonzero(~ends)[: settings.num_beams]
        self.done = not on.size or self._cannot_improve(float(scores[on[0]]))
        if self.done:
            return np.zeros(settings.num_beams, np.int64)
        self._ids = np.concatenate([self._ids[parents[on]], tokens[on, None]], axis=1)
        self._scores = scores[on]
        self._look_ahead()
        return self._filled(parents[on])

    def _cannot_improve(self, best: float) -> bool:
        """Whether enough has ended and no beam that runs can still beat the worst of it."""
        settings = self.settings
        if len(self._ended) < settings.num_beams:
            return False
        if settings.early_stopping is True or settings.num_beams == 1:  # one beam is a greedy search
            return True
        longest = settings.early_stopping == "never" and settings.length_penalty > 0
        length = settings.max_length - 1 if longest else self._ids.shape[1]
        return bool(best / length**settings.length_penalty <= self._ended[-1].score)

    def _look_ahead(self) -> None:
        """What is known of the next token before any score: forced, or banned for some beams."""
        settings, length = self.settings, self._ids.shape[1]
        self._forced = settings.forced_bos_token_id if length == 1 else None
        if length == settings.max_length - 1 and settings.forced_eos_token_id is not None:
            self._forced = settings.forced_eos_token_id
            running = len(self._ids)
            if self._forced == settings.eos_token_id:  # everything ends here, and no score is needed for it
                self._take(self._scores, np.arange(running), np.full(running, self._forced))
                return
        self._banned = [] if self._forced is not None else [self._not_next(ids) for ids in self._ids]

    def _not_next(self, ids: Ints) -> Ints:
        """Tokens that may not follow: the end before the least length, and what would repeat an n-gram."""
        settings, size = self.settings, self.settings.no_repeat_ngram_size
        early = np.full(int(len(ids) < settings.min_length), settings.eos_token_id, np.int64)
        if not size or len(ids) < size:
            return early
        grams = np.lib.stride_tricks.sliding_window_view(ids, size)
        again = (grams[:, :-1] == ids[len(ids) - size + 1 :]).all(axis=1)
        return np.unique(np.concatenate([early, grams[again, -1]]))

    def _filled(self, values: Ints) -> Ints:
        """One value per beam; places without a beam yet repeat the first."""
        out = np.full(self.settings.num_beams, values[0], np.int64)
        out[: len(values)] = values
        return out
