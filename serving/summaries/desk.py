"""Texts to summaries on one model: read in a thread, let in when they can be done in time, then waited for.

Lives on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.backlog import Claim
from serving.config import Config
from serving.errors import DeadlinePassed, Draining
from serving.metrics import Metrics, SummaryStanding
from serving.summaries.model import Read, SummaryModel
from serving.summaries.pace import Pace, Seed, admit
from serving.summaries.pool import Pool, Stepped, Wish
from serving.summarizer.generation import Generation


@dataclass(frozen=True, slots=True)
class Answer:
    """Summaries of one request, what they cost, and the model that gave them."""

    summaries: list[str]
    tokens: int  # read
    written: int
    truncated: int
    model: SummaryModel


class Summaries:
    """One proven model with its workers."""

    def __init__(self, model: SummaryModel, config: Config, metrics: Metrics, seed: Seed) -> None:
        self.model = model
        self._config, self._metrics = config, metrics
        self._pace = Pace(config.summary_workers, seed)
        self._reader = ThreadPoolExecutor(1, "summary-read")
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(
            model.start,
            self._landed,
            workers=config.summary_workers,
            slots=config.summary_slots,
            nice=config.summary_nice,
            clock=self._loop.time,
        )

    async def summarize(self, texts: Sequence[str], settings: Generation, claim: Claim) -> Answer:
        """In the order of the texts. Raises QueueFull, Draining, what the model raised, or why it was given up.

        A claim whose deadline passes is given up here; one whose client leaves, by whoever notices."""
        timer = self._loop.call_at(claim.deadline_s, claim.give_up, DeadlinePassed("the time for this request is over"))
        try:
            self._admit(len(texts), claim)  # before the work of reading them
            read = await self._read(texts)
            _stop_if_over(claim)
            self._admit(len(texts), claim)
            wishes = [Wish(ids, settings, claim) for ids, _ in read]
            claim.missing = len(wishes)
            self._pool.push(wishes)
            await claim.settled.wait()
            _stop_if_over(claim)
        finally:
            timer.cancel()
            claim.is_over = True
        return self._answer(wishes, sum(was_cut for _, was_cut in read))

    def standing(self) -> SummaryStanding:
        """What waits now."""
        load = self._pool.load()
        return SummaryStanding(waiting=load.waiting, making=len(load.steps), text_s=self._pace.text_s)

    def busy_s(self) -> float:
        """Until what waits now would be done, as estimated."""
        return self._pace.estimate_s(self._pool.load(), 0)

    def seen(self) -> Seed:
        """How fast it was."""
        return self._pace.seen()

    def close(self) -> None:
        """Take no more work; who waits in line is told Draining."""
        self._is_closed = True
        self._pool.close()
        self._reader.shutdown(wait=False)

    def wait(self, deadline_s: float) -> None:
        """Until the workers have ended; blocks."""
        self._pool.wait(deadline_s)

    def _admit(self, texts: int, claim: Claim) -> None:
        left_s = claim.deadline_s - self._loop.time()
        within_s = min(self._config.summary_target_ms / 1000, left_s)
        admit(self._pace, self._pool.load(), texts, within_s=within_s, most=self._config.max_summary_queue)

    async def _read(self, texts: Sequence[str]) -> Read:
        if self._is_closed:
            raise Draining("the process stops")
        return await self._loop.run_in_executor(self._reader, self.model.tokenize, texts)

    def _landed(self, stepped: Stepped) -> None:
        self._pace.ran(stepped.texts, stepped.seconds)
        now_s = self._loop.time()
        for wish in stepped.done:
            self._pace.ended(wish.steps, now_s - wish.began_s)
        self._metrics.stepped(
            stepped.texts,
            stepped.seconds,
            [(wish.began_s - wish.born_s, now_s - wish.began_s) for wish in stepped.done],
        )

    def _answer(self, wishes: Sequence[Wish], truncated: int) -> Answer:
        found = [_summary(wish) for wish in wishes]
        tokens, written = sum(len(wish.ids) for wish in wishes), sum(map(len, found))
        self._metrics.summarized(tokens, written, truncated)
        return Answer([self.model.text(ids) for ids in found], tokens, written, truncated, self.model)


def _summary(wish: Wish) -> Sequence[int]:
    if wish.summary is None:
        raise RuntimeError("a text counts as done but has no summary")
    return wish.summary


def _stop_if_over(claim: Claim) -> None:
    if claim.error is not None:
        raise claim.error
