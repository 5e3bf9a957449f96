"""The workers of one model: each takes a batch from the backlog when it is free, runs it, and hands the rows back.

A worker pulls for itself, in its own thread, so that no batch waits for the event loop to turn and none is chosen
before it can start: what came last may still go first, and what has expired by then is not run. One lock guards the
backlog; everything else that changes does so on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from serving.backlog import Backlog, Claim, Job, Lane, Vector, Waiting
from serving.engine import Ids, Vectors
from serving.errors import Draining

Run = Callable[[Sequence[Ids]], Vectors]
Clock = Callable[[], float]

log = logging.getLogger("serving")


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker did. busy_s: since it was free and something waited; run_s: in the engine; waited_s: each text."""

    jobs: Sequence[Job]
    busy_s: float
    run_s: float
    waited_s: Sequence[float]
    bulk_waits: bool  # in line, while this was chosen

    @property
    def lane(self) -> Lane:
        """The line they were taken from."""
        return self.jobs[0].lane

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return sum(len(job.ids) for job in self.jobs)

    @property
    def padded(self) -> int:
        """Real tokens and those of padding."""
        return len(self.jobs) * max(len(job.ids) for job in self.jobs)


Landed = Callable[[Batch], None]
Outcome = Sequence[Vector | Exception]


class Scheduler:
    """Threads around a backlog. Made, asked and closed on the event loop, to which results come back."""

    def __init__(self, run: Run, backlog: Backlog, *, workers: int, landed: Landed, clock: Clock = time.monotonic):
        self._run, self._backlog, self._landed, self._clock = run, backlog, landed, clock
        self._loop = asyncio.get_running_loop()
        self._ready = threading.Condition()
        self._idle = 0
        self._running = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"embed-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def push(self, jobs: Sequence[Job]) -> None:
        """To the end of the line, all at once. Raises Draining."""
        with self._ready:
            if self._is_closed:
                raise Draining("the process stops")
            now_s = self._clock()
            for job in jobs:
                self._backlog.push(job, now_s)
            self._ready.notify(len(jobs))

    def join(self, job: Job, claim: Claim) -> bool:
        """One more waits for this job; False when it left unrun."""
        with self._ready:
            return self._backlog.join(job, claim)

    def release(self, jobs: Sequence[Job]) -> list[Job]:
        """Those of the jobs that are out of line unrun, now that one waits less."""
        with self._ready:
            now_s = self._clock()
            return [job for job in jobs if self._backlog.release(job, now_s)]

    def waiting(self) -> Waiting:
        """Tokens that wait and run."""
        with self._ready:
            return replace(self._backlog.waiting(), running=self._running)

    def oldest_s(self) -> float:
        """How long the oldest text has waited."""
        with self._ready:
            return self._backlog.oldest_s(self._clock())

    def close(self) -> None:
        """Take no more work. Whoever still waits in line is told Draining; what runs ends."""
        with self._ready:
            self._is_closed = True
            left = self._backlog.clear()
            self._ready.notify_all()
        for claim in {claim for job in left for claim in job.claims}:
            claim.give_up(Draining("the process stops"))

    def wait(self, deadline_s: float) -> None:
        """Until the workers have ended, after `close`; blocks for `deadline_s` at most."""
        until = time.monotonic() + deadline_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        """What each thread does until the scheduler is closed."""
        free_s = self._clock()
        while jobs := self._take():
            began_s = self._clock()
            bulk_waits = self._backlog.waiting().bulk > 0
            outcome = self._outcome([job.ids for job in jobs])
            waited_s = [began_s - job.born_s for job in jobs]
            # What it takes to get from one batch to the next is a part of the rate; being idle is not.
            free_s, since_s = self._clock(), max(free_s, min(job.born_s for job in jobs))
            batch = Batch(jobs, free_s - since_s, free_s - began_s, waited_s, bulk_waits)
            try:
                self._loop.call_soon_threadsafe(self._land, batch, outcome)
            except RuntimeError:  # the loop is closed: nobody is left to be answered
                return

    def _take(self) -> list[Job]:
        """The next batch, as soon as there is one; empty once closed."""
        with self._ready:
            self._idle += 1
            while not self._is_closed:
                jobs = self._backlog.take(self._clock(), self._idle)
                if jobs:
                    self._idle -= 1
                    self._running += sum(len(job.ids) for job in jobs)
                    return jobs
                self._ready.wait()
            return []

    def _outcome(self, texts: Sequence[Ids]) -> Outcome:
        """A row or an error for every text. A batch that fails is run again, text by text."""
        try:
            # Copied: a row that is kept must not keep its whole batch.
            return [np.array(row) for row in self._run(texts)]
        except Exception as error:
            log.exception("a batch of %d texts failed", len(texts))
            return [error] if len(texts) == 1 else [self._outcome([text])[0] for text in texts]

    def _land(self, batch: Batch, outcome: Outcome) -> None:
        with self._ready:
            self._running -= batch.tokens
        for job, row in zip(batch.jobs, outcome, strict=True):
            if not isinstance(row, Exception):
                job.vector = row
        self._landed(batch)
        for job, row in zip(batch.jobs, outcome, strict=True):
            for claim in job.claims:
                if isinstance(row, Exception):
                    claim.give_up(row)
                else:
                    claim.received()
