"""Summaries in the making: texts come and go between steps, each with its own settings and its own clock.

A step costs about as much for four texts as for one, because it reads every weight once. So a caller adds what waits,
steps, takes what is finished, drops what nobody waits for any more, and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.summarizer import cross, slots
from serving.summarizer.beams import Beams
from serving.summarizer.engine import Engine, step_feed
from serving.summarizer.generation import Generation
from serving.summarizer.slots import Ints


@dataclass(slots=True)
class _Text:
    """One text: its search, its line of descent, and where it stood in the last step (0 before its first)."""

    ticket: int
    beams: Beams
    line: Ints
    place: int = 0


class Batch:
    """Belongs to one thread. All texts of a batch have the same number of beams. After an error of the runtime a batch
    is of no more use: its texts have to be added to a new one."""

    def __init__(self, engine: Engine, num_beams: int) -> None:
        self._engine = engine
        self._num_beams = num_beams
        self._tickets = 0
        self._texts: list[_Text] = []
        self._cross: list[cross.Cross] = []  # together the rows of `_texts`; one element while nobody came or went
        self._given: dict[str, Any] = {}
        self._cache = engine.empty_cache()

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, ids: Sequence[int], settings: Generation) -> int:
        """Encode a text and have it decoded from the next step on; gives its ticket.

        Raises TextInvalid for what cannot be encoded, ValueError for another number of beams than the batch's."""
        if settings.num_beams != self._num_beams:
            raise ValueError(f"expected {self._num_beams} beams, got {settings.num_beams}")
        self._cross.append(self._engine.encode(ids))
        self._given = {}
        self._tickets += 1
        self._texts.append(_Text(self._tickets, Beams(settings), slots.start(self._num_beams)))
        return self._tickets

    def drop(self, ticket: int) -> None:
        """Give up a text; silent if it is not there any more."""
        self._keep([text.ticket != ticket for text in self._texts])

    def step(self) -> dict[int, list[int]]:
        """One token for every text. Gives the summaries that are finished, by ticket; those texts are gone then."""
        if any(not text.beams.done for text in self._texts):
            self._decode()
        finished = {text.ticket: text.beams.summary for text in self._texts if text.beams.done}
        if finished:
            self._keep([not text.beams.done for text in self._texts])
        return finished

    def _keep(self, kept: list[bool]) -> None:
        rows = [row for row, keep in enumerate(kept) if keep]
        if len(rows) == len(kept):
            return
        self._texts = [self._texts[row] for row in rows]
        self._given = {}
        self._cross = [cross.gathered(self._cross, rows)] if rows else []

    def _decode(self) -> None:
        if not self._given:
            self._cross = [cross.gathered(self._cross)]
            self._given = self._engine.put_cross(self._cross[0])
        plan = slots.plan([text.line for text in self._texts])
        feed = step_feed(
            plan,
            np.stack([text.beams.last for text in self._texts]),
            np.array([text.beams.fed for text in self._texts]),
            np.array([text.place for text in self._texts]),
            min(max(text.beams.width for text in self._texts), self._engine.vocabulary),
        )
        past = dict(zip(self._engine.cache_names("past"), self._cache, strict=True))
        scores, ids, self._cache = self._engine.step(feed, self._given | past)
        for row, text in enumerate(self._texts):
            own = slice(row * self._num_beams, (row + 1) * self._num_beams)
            parents = text.beams.advance(scores[own], ids[own])
            text.line = slots.descend(plan.lines[row], parents, plan.kept)
            text.place = row


def summarize(engine: Engine, texts: Sequence[Sequence[int]], settings: Generation) -> list[list[int]]:
    """Summaries of all texts, decoded together: token ids without the start token."""
    batch = Batch(engine, settings.num_beams)
    tickets = [batch.add(ids, settings) for ids in texts]
    found: dict[int, list[int]] = {}
    while batch:
        found |= batch.step()
    return [found[ticket] for ticket in tickets]
