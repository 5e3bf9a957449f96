"""Texts to vectors on one model: known ones from the cache, one run for all who ask for the same text, the rest queued.

Lives on the event loop. Long texts are tokenized in threads of their own, a piece at a time, so that a request of many
long ones neither holds the loop nor goes on after its client left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from serving.admission import Admission, Guess, Rate
from serving.backlog import Backlog, Claim, Job, Lane, Vector
from serving.cache import Cache, Keys, Known
from serving.config import Config
from serving.errors import DeadlinePassed, Draining
from serving.metrics import Metrics, Standing
from serving.model import Encoded, Model
from serving.scheduler import Batch, Scheduler

SHORT_CHARS = 1024  # below this tokenizing costs less than changing threads
PIECE_CHARS = 64 << 10  # tokenized in one go: a few hundredths of a second
TOKENIZERS = 2

Wanted = dict[bytes, Known | Job]


@dataclass(frozen=True, slots=True)
class Answer:
    """Vectors of one request, what they cost, and the model that gave them."""

    vectors: list[Vector]
    tokens: int
    truncated: int
    model: Model


@dataclass(frozen=True, slots=True)
class Speed:
    """What warming up measured: real tokens, and the seconds of one worker they took."""

    tokens: int
    seconds: float


class Embedder:
    """One proven model with its workers."""

    def __init__(self, model: Model, config: Config, metrics: Metrics, cache: Cache, speed: Speed) -> None:
        self.model = model
        self._metrics, self._cache = metrics, cache
        about = model.manifest
        self._keys = Keys(about.model_dump_json())  # whatever changes the model is in its manifest
        self._on_the_way: dict[bytes, Job] = {}
        self._rate = Rate(config.workers, speed.tokens, speed.seconds)
        targets_s = {
            Lane.INTERACTIVE: config.latency_target_ms / 1000,
            Lane.BULK: config.bulk_target_ms / 1000,
        }
        self._admission = Admission(self._rate, targets_s, config.max_queue_tokens)
        self._guess = Guess(about.max_tokens)
        self._pool = ThreadPoolExecutor(TOKENIZERS, "tokenize")
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._scheduler = Scheduler(
            model.run,
            Backlog(model.batch_tokens(config), model.engine.padding),
            workers=config.workers,
            landed=self._landed,
            clock=self._loop.time,
        )

    async def embed(self, texts: Sequence[str], claim: Claim) -> Answer:
        """Vectors in the order of the texts. Raises QueueFull, Draining, what the model raised, or why it was given up.

        A claim whose deadline passes is given up here; one whose client leaves, by whoever notices.
        """
        timer = self._loop.call_at(claim.deadline_s, claim.give_up, DeadlinePassed("the time for this request is over"))
        keys = [self._keys.of(text) for text in texts]
        wanted: Wanted = {}
        claim.began_s = claim.began_s or self._loop.time()
        claim.missing = 1  # until all are in line: the first must not end the wait before the last is asked for
        try:
            await self._gather(dict(zip(keys, texts, strict=True)), claim, wanted)
            claim.received()
            await claim.settled.wait()
            _stop_if_over(claim)
            if claim.estimate_s:
                self._admission.took(claim.lane, claim.estimate_s, self._loop.time() - claim.taken_s)
        finally:
            timer.cancel()
            claim.is_over = True
            self._release([found for found in wanted.values() if isinstance(found, Job)])
        return self._answer([_known(wanted[key]) for key in keys])

    def standing(self, held_bytes: int) -> Standing:
        """What waits now."""
        waiting = self._scheduler.waiting()
        return Standing(
            interactive_tokens=waiting.interactive,
            bulk_tokens=waiting.bulk,
            running_tokens=waiting.running,
            oldest_s=self._scheduler.oldest_s(),
            rate=self._rate.all(),
            doubt=self._admission.doubt,
            cache_bytes=self._cache.size,
            held_bytes=held_bytes,
        )

    def busy_s(self) -> float:
        """Until what waits now would be done, as estimated."""
        return self._admission.estimate_s(Lane.BULK, self._scheduler.waiting())

    def faster(self, speed: Speed) -> Speed:
        """This speed, or the one that was measured here, whichever is higher."""
        return Speed(speed.tokens, min(speed.seconds, speed.tokens / self._rate.one()))

    def close(self) -> None:
        """Take no more work; who waits in line is told Draining."""
        self._is_closed = True
        self._scheduler.close()
        self._pool.shutdown(wait=False)

    def wait(self, deadline_s: float) -> None:
        """Until the workers have ended; blocks."""
        self._scheduler.wait(deadline_s)

    async def _gather(self, named: Mapping[bytes, str], claim: Claim, wanted: Wanted) -> None:
        """Fill `wanted` for every text: known, on its way, or put in line."""
        new = self._find(named, claim, wanted)
        if new:
            texts = [named[key] for key in new]
            self._admit(claim, self._guess.of(texts))  # before the work of reading them
            encoded = await self._tokenize(texts, claim)
            self._guess.was(texts, [len(one.ids) for one in encoded])
            read = dict(zip(new, encoded, strict=True))
            # Another request may have brought some of them meanwhile.
            self._enqueue({key: read[key] for key in self._find(new, claim, wanted)}, claim, wanted)

    def _find(self, keys: Iterable[bytes], claim: Claim, wanted: Wanted) -> list[bytes]:
        """Those of the texts that are neither known nor on their way."""
        new = []
        for key in keys:
            known, job = self._cache.get(key), self._on_the_way.get(key)
            if known is not None:
                wanted[key] = known
                self._metrics.found("hit")
            elif job is not None and self._scheduler.join(job, claim):
                wanted[key] = job
                claim.missing += 1
                self._metrics.found("joined")
            else:
                new.append(key)
        return new

    async def _tokenize(self, texts: Sequence[str], claim: Claim) -> list[Encoded]:
        began_s = self._loop.time()
        if sum(map(len, texts)) <= SHORT_CHARS:
            encoded = self.model.tokenize(texts)
        else:
            encoded = []
            for piece in pieces(texts):
                _stop_if_over(claim)
                if self._is_closed:
                    raise Draining("the process stops")
                encoded += await self._loop.run_in_executor(self._pool, self.model.tokenize, piece)
        self._metrics.took("tokenize", self._loop.time() - began_s)
        return encoded

    def _enqueue(self, read: Mapping[bytes, Encoded], claim: Claim, wanted: Wanted) -> None:
        _stop_if_over(claim)
        claim.estimate_s = self._admit(claim, sum(len(one.ids) for one in read.values()))
        claim.taken_s = self._loop.time()
        jobs = {key: Job(key, one.ids, one.was_cut, claim.lane, [claim]) for key, one in read.items()}
        claim.missing += len(jobs)
        self._scheduler.push(list(jobs.values()))
        wanted |= jobs
        self._on_the_way |= jobs
        self._metrics.found("new", len(jobs))

    def _admit(self, claim: Claim, tokens: int) -> float:
        now_s = self._loop.time()
        left_s, used_s = claim.deadline_s - now_s, now_s - claim.began_s
        return self._admission.admit(claim.lane, self._scheduler.waiting(), tokens, left_s, used_s)

    def _release(self, jobs: Sequence[Job]) -> None:
        """One waits less for them; those that nobody waits for are forgotten."""
        self._forget(self._scheduler.release(jobs))

    def _landed(self, batch: Batch) -> None:
        self._rate.ran(batch.lane, batch.tokens, batch.busy_s, batch.bulk_waits)
        self._metrics.batch(batch.tokens, batch.padded, batch.run_s, batch.waited_s)
        for job in batch.jobs:
            if job.vector is not None:
                self._cache.put(job.key, Known(job.vector, len(job.ids), job.was_cut))
        self._forget(batch.jobs)

    def _forget(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            if self._on_the_way.get(job.key) is job:
                del self._on_the_way[job.key]

    def _answer(self, found: Sequence[Known]) -> Answer:
        tokens, truncated = sum(one.tokens for one in found), sum(one.was_cut for one in found)
        self._metrics.embedded(tokens, truncated)
        return Answer([one.vector for one in found], tokens, truncated, self.model)


def pieces(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, in lists of PIECE_CHARS characters or one text."""
    piece: list[str] = []
    chars = 0
    for text in texts:
        if piece and chars + len(text) > PIECE_CHARS:
            yield piece
            piece, chars = [], 0
        piece.append(text)
        chars += len(text)
    if piece:
        yield piece


def _stop_if_over(claim: Claim) -> None:
    if claim.error is not None:
        raise claim.error


def _known(found: Known | Job) -> Known:
    if isinstance(found, Known):
        return found
    if found.vector is None:
        raise RuntimeError("a text counts as done but has no vector")
    return Known(found.vector, len(found.ids), found.was_cut)
