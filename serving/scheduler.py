"""Token-budget batches: the oldest text first, filled up with the nearest lengths, padded only within the batch.

A batch holds at most `budget` padded tokens (a longer text goes alone). Only the oldest WINDOW texts are looked at, so
that a text is passed over a bounded number of times. The queue lives on the event loop and needs no lock; batches run
in worker threads, one more than there are workers being ready, so that no worker waits for the loop to turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from serving.errors import Closed, QueueFull

WINDOW = 128

Ids = Sequence[int]
Vector = npt.NDArray[np.float32]
Run = Callable[[Sequence[Ids]], npt.NDArray[np.float32]]
Seen = Callable[[int, int, int], None]  # real tokens, padded tokens, tokens still waiting


@dataclass(eq=False, slots=True)
class Request:
    """The texts of one call: a slot a text, and the future of them all."""

    done: asyncio.Future[list[Vector]]
    vectors: list[Vector]
    missing: int


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """One text in the queue."""

    ids: Ids
    request: Request
    slot: int


def pick(lengths: Sequence[int], budget: int) -> list[int]:
    """Which of the waiting texts (oldest first) make the next batch: always the first, then the nearest lengths."""
    longest, chosen = lengths[0], [0]
    for index in sorted(range(1, min(len(lengths), WINDOW)), key=lambda i: (abs(lengths[i] - lengths[0]), i)):
        wider = max(longest, lengths[index])
        if wider * (len(chosen) + 1) > budget:
            break
        chosen.append(index)
        longest = wider
    return chosen


class Scheduler:
    """The queue of one model. Everything but `run` happens on the event loop."""

    def __init__(self, run: Run, *, budget: int, limit: int, workers: int, seen: Seen) -> None:
        """`limit`: queued tokens above which a new request is refused."""
        self._run, self._budget, self._limit, self._seen = run, budget, limit, seen
        self._items: list[Item] = []
        self._tokens = 0
        self._running = 0
        self._at_once = workers + 1
        self._pool: ThreadPoolExecutor | None = ThreadPoolExecutor(workers, "embed")

    async def submit(self, texts: Sequence[Ids]) -> list[Vector]:
        """Vectors in the order of the texts. Raises QueueFull, Closed, or what the model raised."""
        tokens = sum(map(len, texts))
        if self._pool is None:
            raise Closed("the service is stopping")
        # A request larger than the bound is still served when nothing waits; else it could never be.
        if self._tokens and self._tokens + tokens > self._limit:
            raise QueueFull(f"{self._tokens} tokens wait already, the bound is {self._limit}")
        slots = [np.empty(0, np.float32)] * len(texts)
        request = Request(asyncio.get_running_loop().create_future(), slots, len(texts))
        self._items += [Item(ids, request, slot) for slot, ids in enumerate(texts)]
        self._tokens += tokens
        self._pump()
        return await request.done

    def close(self) -> None:
        """Take no more work. Whoever still waits is told Closed."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        left, self._items = self._items, []
        deliver(left, Closed("the service is stopping"))

    def _pump(self) -> None:
        """Hand out batches while a worker is, or is about to be, free."""
        while self._items and self._pool is not None and self._running < self._at_once:
            batch = self._take()
            self._running += 1
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._run, [item.ids for item in batch])
            work.add_done_callback(partial(self._landed, batch))

    def _take(self) -> list[Item]:
        chosen = pick([len(item.ids) for item in self._items[:WINDOW]], self._budget)
        batch = [self._items[index] for index in chosen]
        for index in sorted(chosen, reverse=True):
            del self._items[index]
        self._tokens -= sum(len(item.ids) for item in batch)
        return batch

    def _landed(self, batch: Sequence[Item], work: asyncio.Future[npt.NDArray[np.float32]]) -> None:
        self._running -= 1
        self._pump()
        if work.cancelled():
            deliver(batch, Closed("the service is stopping"))
            return
        deliver(batch, work.exception() or work.result())
        lengths = [len(item.ids) for item in batch]
        self._seen(sum(lengths), len(lengths) * max(lengths), self._tokens)


def deliver(batch: Sequence[Item], outcome: npt.NDArray[np.float32] | BaseException) -> None:
    """Hand the rows of one batch to their requests. A request that is over (its client left) is left alone."""
    for row, item in enumerate(batch):
        request = item.request
        if request.done.done():
            continue
        if isinstance(outcome, BaseException):
            request.done.set_exception(outcome)
            continue
        request.vectors[item.slot] = outcome[row]
        request.missing -= 1
        if not request.missing:
            request.done.set_result(request.vectors)
