from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from serving.backlog import Backlog, Claim, Job, Lane
from serving.engine import Ids, Vectors
from serving.errors import Draining
from serving.scheduler import Batch, Run, Scheduler
from tests.serving_doubles import GatedEngine

FOREVER = float("inf")
Ask = Callable[[Scheduler], Awaitable[None]]


def first_ids(batch: Sequence[Ids]) -> Vectors:
    """A model that answers each text's first id."""
    return np.asarray([[ids[0]] for ids in batch], np.float32)


def jobs(*texts: Sequence[int]) -> tuple[list[Job], Claim]:
    claim = Claim(Lane.INTERACTIVE, FOREVER, missing=len(texts))
    return [Job(b"", ids, False, Lane.INTERACTIVE, [claim]) for ids in texts], claim


def around(run: Run, ask: Ask, *, budget: int = 64, workers: int = 1) -> list[Batch]:
    """Ask a scheduler, close it; what landed."""
    landed: list[Batch] = []

    async def go() -> None:
        scheduler = Scheduler(run, Backlog(budget), workers=workers, landed=landed.append)
        try:
            await asyncio.wait_for(ask(scheduler), 10)
        finally:
            scheduler.close()
            await asyncio.to_thread(scheduler.wait, 10)

    asyncio.run(go())
    return landed


def test_every_text_gets_its_own_row() -> None:
    async def ask(scheduler: Scheduler) -> None:
        texts, claim = jobs(*([number] * (1 + number % 7) for number in range(100)))
        scheduler.push(texts)
        await claim.settled.wait()
        assert [float(job.vector[0]) for job in texts if job.vector is not None] == list(map(float, range(100)))

    landed = around(first_ids, ask, workers=2)
    assert sum(len(batch.jobs) for batch in landed) == 100
    assert max(len(batch.jobs) for batch in landed) > 1


def test_a_row_that_is_kept_does_not_keep_its_batch() -> None:
    async def ask(scheduler: Scheduler) -> None:
        texts, claim = jobs([1], [2])
        scheduler.push(texts)
        await claim.settled.wait()
        assert all(job.vector is not None and job.vector.base is None for job in texts)

    around(first_ids, ask)


def test_what_comes_while_a_batch_runs_is_chosen_from_when_it_ends() -> None:
    engine = GatedEngine(64)
    engine.is_gated = True

    async def ask(scheduler: Scheduler) -> None:
        running, one = jobs([1] * 64)
        scheduler.push(running)
        await engine.entered()
        bulk, two = jobs(*[[1] * 60] * 3)
        for job in bulk:
            job.lane = Lane.BULK
        scheduler.push(bulk)
        query, three = jobs([1] * 5)
        scheduler.push(query)
        assert scheduler.waiting().running == 64
        engine.let(5)
        for claim in (one, two, three):
            await claim.settled.wait()

    around(engine.run, ask)
    assert engine.batches == [[64], [5], [60], [60], [60]]


def test_what_expired_or_was_left_while_it_waited_is_not_run() -> None:
    engine = GatedEngine(4)
    engine.is_gated = True

    async def ask(scheduler: Scheduler) -> None:
        running, one = jobs([1] * 4)
        scheduler.push(running)
        await engine.entered()
        expired, late = jobs([1] * 2)
        late.deadline_s = 0.0
        left, gone = jobs([1] * 3)
        stays, here = jobs([1] * 1)
        scheduler.push([*expired, *left, *stays])
        gone.is_over = True
        assert scheduler.release(left) == left
        engine.let(2)
        await one.settled.wait()
        await here.settled.wait()
        assert scheduler.waiting().interactive == 0

    around(engine.run, ask)
    assert engine.batches == [[4], [1]]


def test_two_workers_run_side_by_side() -> None:
    engine = GatedEngine(64)
    engine.is_gated = True

    async def ask(scheduler: Scheduler) -> None:
        texts, claim = jobs(*[[1] * 8] * 2)
        scheduler.push(texts)
        await engine.entered(2)
        engine.let(2)
        await claim.settled.wait()

    around(engine.run, ask, workers=2)
    assert engine.batches == [[8], [8]]


def test_what_the_model_raises_reaches_its_text_and_no_batch_mate() -> None:
    def run(batch: Sequence[Ids]) -> Vectors:
        if any(ids[0] == 13 for ids in batch):
            raise ValueError("no thirteen")
        return first_ids(batch)

    async def ask(scheduler: Scheduler) -> None:
        made = [jobs([number]) for number in (12, 13, 14)]
        scheduler.push([job for texts, _ in made for job in texts])
        for _, claim in made:
            await claim.settled.wait()
        assert [type(claim.error) for _, claim in made] == [type(None), ValueError, type(None)]

    around(run, ask)


def test_the_workers_outlive_a_failure() -> None:
    failures = iter([True, True, False])

    def run(batch: Sequence[Ids]) -> Vectors:
        if next(failures):
            raise MemoryError
        return first_ids(batch)

    async def ask(scheduler: Scheduler) -> None:
        for _ in range(3):
            texts, claim = jobs([1])
            scheduler.push(texts)
            await claim.settled.wait()
        assert claim.error is None

    around(run, ask)


def test_who_waits_when_it_closes_is_told_and_what_runs_ends() -> None:
    engine = GatedEngine(4)
    engine.is_gated = True

    async def ask(scheduler: Scheduler) -> None:
        running, one = jobs([1] * 4)
        waiting, two = jobs([1] * 4)
        scheduler.push(running)
        await engine.entered()
        scheduler.push(waiting)
        scheduler.close()
        await two.settled.wait()
        assert isinstance(two.error, Draining)
        with pytest.raises(Draining):
            scheduler.push(jobs([1])[0])
        engine.let()
        await one.settled.wait()
        assert one.error is None

    around(engine.run, ask)


def test_being_idle_is_no_part_of_what_a_batch_cost() -> None:
    now_s = [0.0]
    engine = GatedEngine()
    engine.is_gated = True
    landed: list[Batch] = []

    async def go() -> None:
        scheduler = Scheduler(engine.run, Backlog(4), workers=1, landed=landed.append, clock=lambda: now_s[0])
        await asyncio.sleep(0)
        now_s[0] = 100.0
        texts, claim = jobs([1] * 4, [1] * 3)
        scheduler.push(texts)
        for _ in range(2):
            await engine.entered()
            now_s[0] += 7.0
            engine.let()
        await claim.settled.wait()
        scheduler.close()
        await asyncio.to_thread(scheduler.wait, 10)

    asyncio.run(go())
    assert [(batch.busy_s, batch.run_s, batch.waited_s) for batch in landed] == [(7.0, 7.0, [0.0]), (7.0, 7.0, [7.0])]


def test_a_batch_says_what_it_cost() -> None:
    async def ask(scheduler: Scheduler) -> None:
        texts, claim = jobs([1] * 3, [1] * 4)
        scheduler.push(texts)
        await claim.settled.wait()

    (batch,) = around(first_ids, ask)
    assert (batch.tokens, batch.padded, batch.lane, batch.bulk_waits) == (7, 8, Lane.INTERACTIVE, False)
    assert batch.busy_s >= batch.run_s >= 0
    assert all(waited_s >= 0 for waited_s in batch.waited_s)
