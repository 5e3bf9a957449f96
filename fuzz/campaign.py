"""Many cases, some side by side, until there were enough of them or the phase they belong to is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from fuzz import mutate, wire
from fuzz.tally import Tally

SIDE_BY_SIDE = 64  # most end at once; those that send half a request wait for its time to be over


def run(
    port: int, tally: Tally, seed: int, numbers: Iterator[int], goes_on: Callable[[], bool] = lambda: True
) -> Tally:
    """Cases by their numbers, while there are any and `goes_on` says so."""
    return asyncio.run(_run(port, tally, seed, numbers, goes_on))


async def _run(port: int, tally: Tally, seed: int, numbers: Iterator[int], goes_on: Callable[[], bool]) -> Tally:
    async def client() -> None:
        for number in numbers:
            outcome = await wire.send(port, mutate.case(seed, number))
            tally.add(number, outcome)
            if not goes_on():
                return
            if outcome.end == "refused":
                await asyncio.sleep(0.05)

    await asyncio.gather(*(client() for _ in range(SIDE_BY_SIDE)))
    return tally
