"""The workers of a summarizer: each has a batch of its own, which texts join and leave between two steps.

A worker pulls for itself, in its own thread, the oldest text that somebody still waits for. What nobody waits for any
more, because its client left or its deadline passed, leaves the batch before the next step. The threads are nicer than
those of embeddings: where both want a core, a summary of seconds waits for a vector of milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from serving.backlog import Claim
from serving.errors import Draining
from serving.summarizer.generation import Generation

log = logging.getLogger("serving")


class Steps(Protocol):
    """A batch of texts in the making; see serving.summarizer.batch."""

    def __len__(self) -> int: ...

    def add(self, ids: Sequence[int], settings: Generation, /) -> int:
        """One text more; gives its ticket."""
        ...

    def drop(self, ticket: int, /) -> None:
        """One text less."""
        ...

    def step(self) -> dict[int, list[int]]:
        """One token for every text; gives what is finished by it, by ticket."""
        ...


@dataclass(eq=False, slots=True)
class Wish:
    """One text on its way to its summary. Times on the pool's clock."""

    ids: Sequence[int]
    settings: Generation
    claim: Claim
    born_s: float = 0.0
    began_s: float = 0.0
    steps: int = 0
    is_suspect: bool = False  # was in a batch that failed
    summary: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Texts that wait, and how many steps each of those that are in the making has behind it."""

    waiting: int
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a worker did in one turn. texts: in the batch; seconds: since its last turn or since it had work."""

    texts: int
    seconds: float
    done: Sequence[Wish]
    gone: Sequence[Wish] = ()  # left, since nobody waited for them any more
    failed: Sequence[Wish] = ()
    error: Exception | None = None


@dataclass(eq=False, slots=True)
class _Bench:
    """One worker's own: its batch and whose texts are in it."""

    batch: Steps
    inside: dict[int, Wish] = field(default_factory=dict)


class Pool:
    """Made, asked and closed on the event loop, to which results come back."""

    def __init__(
        self,
        start: Callable[[], Steps],
        landed: Callable[[Stepped], None],
        *,
        workers: int,
        slots: int,
        nice: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`slots`: texts that a worker decodes side by side; `nice`: added to a worker's own niceness."""
        self._start, self._landed, self._slots, self._nice, self._clock = start, landed, slots, nice, clock
        self._loop = asyncio.get_running_loop()
        self._ready = threading.Condition()
        self._waiting: deque[Wish] = deque()
        self._making: dict[Wish, None] = {}
        self._idle = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"summary-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def push(self, wishes: Sequence[Wish]) -> None:
        """To the end of the line, all at once. Raises Draining."""
        with self._ready:
            if self._is_closed:
                raise Draining("the process stops")
            now_s = self._clock()
            for wish in wishes:
                wish.born_s = now_s
            self._waiting.extend(wishes)
            self._ready.notify(len(wishes))

    def load(self) -> Load:
        """What waits and what is in the making, of those that somebody waits for."""
        with self._ready:
            now_s = self._clock()
            making = tuple(wish.steps for wish in self._making if wish.claim.is_live(now_s))
            return Load(sum(wish.claim.is_live(now_s) for wish in self._waiting), making)

    def close(self) -> None:
        """Take no more work. Whoever still waits in line is told Draining; what is in the making is finished."""
        with self._ready:
            self._is_closed = True
            left = list(self._waiting)
            self._waiting.clear()
            self._ready.notify_all()
        for wish in left:
            wish.claim.give_up(Draining("the process stops"))

    def wait(self, deadline_s: float) -> None:
        """Until the workers have ended, after `close`; blocks for `deadline_s` at most."""
        until = time.monotonic() + deadline_s
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        """What each thread does until the pool is closed and its batch empty."""
        if self._nice:  # on Linux of this thread alone
            this = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, this, min(19, os.getpriority(os.PRIO_PROCESS, this) + self._nice))
        bench, free_s = _Bench(self._start()), self._clock()
        while (new := self._take(bench)) is not None:
            began_s = free_s if bench.inside else self._clock()
            stepped = self._turn(bench, new, began_s)
            free_s = self._clock()
            try:
                self._loop.call_soon_threadsafe(self._land, stepped)
            except RuntimeError:  # the loop is closed: nobody is left to be answered
                return

    def _take(self, bench: _Bench) -> list[Wish] | None:
        """The texts that join now; waits while there is nothing to do at all. None once there never will be."""
        with self._ready:
            self._idle += 1
            try:
                while not (self._waiting or bench.inside):
                    if self._is_closed:
                        return None
                    self._ready.wait()
                share = -(-len(self._waiting) // self._idle)  # of texts that came at once, every free worker has some
                new = self._oldest(bench, min(share, self._slots - len(bench.inside)))
                self._making |= dict.fromkeys(new)
                return new
            finally:
                self._idle -= 1

    def _oldest(self, bench: _Bench, most: int) -> list[Wish]:
        now_s, found = self._clock(), list[Wish]()
        while self._waiting and len(found) < most:
            wish = self._waiting[0]
            is_alone = not (bench.inside or found)
            if wish.claim.is_live(now_s):
                if wish.is_suspect and not is_alone:
                    break
                wish.began_s = now_s
                found.append(wish)
            self._waiting.popleft()
            if wish.is_suspect and found:
                break
        return found

    def _turn(self, bench: _Bench, new: Sequence[Wish], began_s: float) -> Stepped:
        """Let texts leave and join, then one step for all."""
        gone = self._leave(bench)
        here = [*bench.inside.values(), *new]
        try:
            for wish in new:
                bench.inside[bench.batch.add(wish.ids, wish.settings)] = wish
            finished = bench.batch.step()
        except Exception as error:
            log.exception("a step of %d summaries failed", len(here))
            bench.batch, bench.inside = self._start(), {}
            failed = here if len(here) == 1 else self._again(here)
            return Stepped(len(here), self._clock() - began_s, (), gone, failed, error)
        for wish in here:
            wish.steps += 1
        done = []
        for ticket, summary in finished.items():
            wish = bench.inside.pop(ticket)
            wish.summary = summary
            done.append(wish)
        return Stepped(len(here), self._clock() - began_s, done, gone)

    def _again(self, wishes: Sequence[Wish]) -> list[Wish]:
        """To the head of the line, to be tried alone; none of them has failed for good."""
        with self._ready:
            for wish in reversed(wishes):
                wish.steps, wish.is_suspect = 0, True
                self._making.pop(wish, None)
                self._waiting.appendleft(wish)
            self._ready.notify(len(wishes))
        return []

    def _leave(self, bench: _Bench) -> list[Wish]:
        now_s = self._clock()
        gone = {ticket: wish for ticket, wish in bench.inside.items() if not wish.claim.is_live(now_s)}
        for ticket in gone:
            bench.batch.drop(ticket)
            del bench.inside[ticket]
        return list(gone.values())

    def _land(self, stepped: Stepped) -> None:
        with self._ready:
            for wish in (*stepped.done, *stepped.gone, *stepped.failed):
                self._making.pop(wish, None)
        self._landed(stepped)
        for wish in stepped.failed:
            if stepped.error is not None:
                wish.claim.give_up(stepped.error)
        for wish in stepped.done:
            wish.claim.received()
