from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from serving.backlog import Claim, Lane
from serving.errors import Draining
from serving.summaries.pool import Load, Pool, Stepped, Wish
from tests.summaries_doubles import SETTINGS, FakeSummaries


class Around:
    """A pool whose steps are let on one by one."""

    def __init__(self, workers: int = 1, slots: int = 4) -> None:
        self.model, self.landed = FakeSummaries(), list[Stepped]()
        self.model.is_gated = True
        self._workers, self._slots = workers, slots
        self.pool: Pool

    def __call__(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        async def go() -> Any:
            clock = asyncio.get_running_loop().time
            self.pool = Pool(
                self.model.start, self.landed.append, workers=self._workers, slots=self._slots, clock=clock
            )
            try:
                async with asyncio.timeout(20):
                    return await ask()
            finally:
                self.pool.close()
                self.model.let(1000)
                await asyncio.to_thread(self.pool.wait, 10)

        return asyncio.run(go())

    def wish(self, text: str) -> Wish:
        """In line."""
        claim = Claim(Lane.BULK, asyncio.get_running_loop().time() + 60, missing=1)
        wish = Wish([ord(letter) for letter in text], SETTINGS, claim)
        self.pool.push([wish])
        return wish


def test_texts_join_and_leave_between_steps() -> None:
    around = Around(slots=2)

    async def ask() -> None:
        first = around.wish("abc")
        await around.model.entered()
        others = [around.wish("de"), around.wish("f")]
        assert around.pool.load() == Load(2, (0,))
        for _ in range(3):
            around.model.let()
            await around.model.entered()
        around.model.let()
        for wish in (first, *others):
            await wish.claim.settled.wait()

    around(ask)
    assert around.model.steps == [["abc"], ["abc", "de"], ["abc", "de"], ["f"]]
    assert [stepped.texts for stepped in around.landed] == [1, 2, 2, 1]


def test_texts_that_come_at_once_are_shared_among_free_workers() -> None:
    around = Around(workers=2)

    async def ask() -> None:
        while around.pool._idle < 2:
            await asyncio.sleep(0)
        claim = Claim(Lane.BULK, asyncio.get_running_loop().time() + 60, missing=4)
        around.pool.push([Wish([ord(letter)], SETTINGS, claim) for letter in "abcd"])
        await around.model.entered(2)
        around.model.let(2)
        await claim.settled.wait()

    around(ask)
    assert sorted(around.model.steps) == [["a", "b"], ["c", "d"]]
    assert around.model.threads == {"summary-0", "summary-1"}


def test_what_nobody_waits_for_is_never_begun() -> None:
    around = Around(slots=1)

    async def ask() -> Load:
        first, left = around.wish("a"), around.wish("b")
        await around.model.entered()
        left.claim.give_up(TimeoutError())
        load = around.pool.load()
        last = around.wish("c")
        around.model.let(2)
        await first.claim.settled.wait()
        await last.claim.settled.wait()
        return load

    assert around(ask) == Load(0, (0,))
    assert around.model.steps == [["a"], ["c"]]


def test_after_a_failed_step_each_text_is_tried_alone() -> None:
    around = Around()

    async def ask() -> list[Wish]:
        blocker = around.wish("x")
        await around.model.entered()
        wishes = [around.wish(text) for text in ("a", "b!", "c")]
        around.model.let(1000)
        for wish in (blocker, *wishes):
            await wish.claim.settled.wait()
        return wishes

    one, broken, other = around(ask)
    assert around.model.steps == [["x"], ["a", "b!", "c"], ["a"], ["b!"], ["c"]]
    assert (one.claim.error, other.claim.error) == (None, None)
    assert isinstance(broken.claim.error, ZeroDivisionError)


def test_closing_ends_what_is_in_the_making_and_refuses_the_rest() -> None:
    around = Around(slots=1)

    async def ask() -> tuple[Wish, Wish]:
        running, waiting = around.wish("ab"), around.wish("c")
        await around.model.entered()
        around.pool.close()
        with pytest.raises(Draining):
            around.wish("d")
        around.model.let(2)
        await running.claim.settled.wait()
        await asyncio.to_thread(around.pool.wait, 10)
        return running, waiting

    running, waiting = around(ask)
    assert running.claim.error is None and running.summary == [ord("a"), ord("b")]
    assert isinstance(waiting.claim.error, Draining)
