"""Token-budget batches: the oldest text first, filled up with the nearest lengths, padded only within the batch.

A batch holds at most `budget` padded tokens (a longer text goes alone). Only the oldest WINDOW texts are looked at, so
that a text is passed over a bounded number of times. Worker threads take batches; answers return on the event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from serving.errors import Closed, QueueFull

WINDOW = 128

Ids = Sequence[int]
Vectors = npt.NDArray[np.float32]
Run = Callable[[Sequence[Ids]], Vectors]
Seen = Callable[[int, int, int], None]           # real tokens, padded tokens, tokens still waiting


@dataclass(eq=False, slots=True)
class Request:
    """The texts of one call: a slot a text, and the future of them all. Touched on the event loop only."""

    done: asyncio.Future[list[npt.NDArray[np.float32]]]
    vectors: list[npt.NDArray[np.float32]]
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


@dataclass(eq=False)
class Scheduler:
    """The queue and its worker threads. `submit` belongs to the event loop, the rest to the workers."""

    run: Run
    budget: int
    limit: int                                   # queued tokens above which a new request is refused
    seen: Seen = lambda real, padded, waiting: None
    _items: list[Item] = field(default_factory=list)
    _tokens: int = 0
    _closed: bool = False
    _wake: threading.Condition = field(default_factory=threading.Condition)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, workers: int) -> None:
        """Start the worker threads."""
        for number in range(workers):
            thread = threading.Thread(target=self._work, name=f"embed-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    async def submit(self, texts: Sequence[Ids]) -> list[npt.NDArray[np.float32]]:
        """Vectors in the order of the texts. Raises QueueFull, Closed, or what the model raised."""
        loop = asyncio.get_running_loop()
        request = Request(loop.create_future(), [np.empty(0, np.float32)] * len(texts), len(texts))
        self.put([Item(ids, request, slot) for slot, ids in enumerate(texts)])
        return await request.done

    def put(self, items: Sequence[Item]) -> None:
        """Queue all of them or none. A request that alone exceeds the limit is taken when nothing waits."""
        tokens = sum(len(item.ids) for item in items)
        with self._wake:
            if self._closed:
                raise Closed("the service is stopping")
            if self._tokens and self._tokens + tokens > self.limit:
                raise QueueFull(f"{self._tokens} tokens wait already, the bound is {self.limit}")
            self._items.extend(items)
            self._tokens += tokens
            self._wake.notify(len(items))

    def take(self) -> list[Item]:
        """The next batch; waits for one. Empty once closed and everything queued is taken."""
        with self._wake:
            self._wake.wait_for(lambda: self._items or self._closed)
            if not self._items:
                return []
            chosen = pick([len(item.ids) for item in self._items[:WINDOW]], self.budget)
            batch = [self._items[index] for index in chosen]
            for index in sorted(chosen, reverse=True):
                del self._items[index]
            self._tokens -= sum(len(item.ids) for item in batch)
            return batch

    def close(self, join_s: float) -> None:
        """Take no more work, finish what is queued, wait at most `join_s` for each worker."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(join_s)

    def _work(self) -> None:
        while batch := self.take():
            texts = [item.ids for item in batch]
            try:
                outcome: Vectors | BaseException = self.run(texts)
            except Exception as error:           # noqa: BLE001 - every failure belongs to the requests, not to the worker
                outcome = error
            self.seen(sum(map(len, texts)), len(texts) * max(map(len, texts)), self._tokens)
            loop = batch[0].request.done.get_loop()
            loop.call_soon_threadsafe(deliver, batch, outcome)


def deliver(batch: Sequence[Item], outcome: Vectors | BaseException) -> None:
    """Hand the rows of one batch to their requests (on the event loop). A request that is over is left alone."""
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
