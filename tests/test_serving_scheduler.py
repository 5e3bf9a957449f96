from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from serving.errors import Closed, QueueFull
from serving.scheduler import WINDOW, Ids, Scheduler, pick


def test_the_oldest_text_is_always_in_the_batch() -> None:
    assert pick([500, 3, 4], 256) == [0]


def test_the_nearest_lengths_fill_the_batch_up_to_the_budget() -> None:
    assert pick([10, 60, 11, 9, 12], 40) == [0, 2, 3]


def test_padded_tokens_never_exceed_the_budget_unless_one_text_does() -> None:
    rng = random.Random(1)
    for _ in range(200):
        lengths = [rng.randint(1, 512) for _ in range(rng.randint(1, 200))]
        chosen = pick(lengths, 256)
        assert chosen[0] == 0
        assert len(set(chosen)) == len(chosen)
        assert max(chosen) < WINDOW
        assert len(chosen) == 1 or len(chosen) * max(lengths[i] for i in chosen) <= 256


class Recorder:
    """A model that answers each text's first id, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, batch: Sequence[Ids]) -> npt.NDArray[np.float32]:
        self.batches.append([len(ids) for ids in batch])
        return np.asarray([[ids[0]] for ids in batch], np.float32)


def scheduler(run: Recorder, *, budget: int = 64, limit: int = 1000) -> Scheduler:
    return Scheduler(run, budget=budget, limit=limit, workers=1, seen=lambda real, padded, waiting: None)


def test_vectors_come_back_in_the_order_of_the_texts() -> None:
    async def ask() -> list[float]:
        texts = [[number] * (1 + number % 7) for number in range(100)]
        return [float(vector[0]) for vector in await scheduler(Recorder()).submit(texts)]

    assert asyncio.run(ask()) == list(map(float, range(100)))


def test_requests_share_batches_but_not_vectors() -> None:
    run = Recorder()

    async def ask() -> list[list[float]]:
        queue = scheduler(run)
        answers = await asyncio.gather(*(queue.submit([[n] * 4, [n + 100] * 4]) for n in range(20)))
        return [[float(vector[0]) for vector in answer] for answer in answers]

    assert asyncio.run(ask()) == [[float(n), float(n + 100)] for n in range(20)]
    assert max(map(len, run.batches)) > 2


def test_a_full_queue_refuses_and_says_how_full() -> None:
    async def ask() -> None:
        queue = scheduler(Recorder(), budget=1, limit=10)
        waiting = [asyncio.ensure_future(queue.submit([[1] * 4])) for _ in range(4)]
        await asyncio.sleep(0)  # let them queue; two are handed out, two wait with 8 tokens
        try:
            await queue.submit([[1] * 4])
        finally:
            await asyncio.gather(*waiting)

    with pytest.raises(QueueFull, match="8 tokens wait already, the bound is 10"):
        asyncio.run(ask())


def test_a_request_larger_than_the_bound_is_served_when_nothing_waits() -> None:
    assert len(asyncio.run(scheduler(Recorder(), limit=10).submit([[1] * 8] * 4))) == 4


def test_what_the_model_raises_reaches_its_requests_and_no_other() -> None:
    def run(batch: Sequence[Ids]) -> npt.NDArray[np.float32]:
        if batch[0][0] == 13:
            raise ValueError("no thirteen")
        return np.zeros((len(batch), 1), np.float32)

    async def ask() -> list[object]:
        queue = Scheduler(run, budget=1, limit=1000, workers=1, seen=lambda real, padded, waiting: None)
        return list(await asyncio.gather(*(queue.submit([[n]]) for n in (12, 13, 14)), return_exceptions=True))

    first, second, third = asyncio.run(ask())
    assert isinstance(second, ValueError)
    assert isinstance(first, list)
    assert isinstance(third, list)


def test_a_closed_scheduler_takes_nothing() -> None:
    async def ask() -> None:
        queue = scheduler(Recorder())
        queue.close()
        await queue.submit([[1]])

    with pytest.raises(Closed):
        asyncio.run(ask())


def test_a_client_that_left_is_left_alone() -> None:
    async def ask() -> list[object]:
        queue = scheduler(Recorder(), budget=4)
        leaving = asyncio.ensure_future(queue.submit([[1] * 4] * 3))
        staying = asyncio.ensure_future(queue.submit([[2] * 4]))
        await asyncio.sleep(0)
        leaving.cancel()
        return list(await asyncio.gather(leaving, staying, return_exceptions=True))

    left, stayed = asyncio.run(ask())
    assert isinstance(left, asyncio.CancelledError)
    assert isinstance(stayed, list)
