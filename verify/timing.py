"""How long something takes, on a machine that may be busy with something else.

What else runs can only add to a time, so the quickest of a few tries tells most about the thing itself, and one that
is within its bound tells enough (https://docs.python.org/3/library/timeit.html#timeit.Timer.repeat says the same).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def ms_of(work: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def tried(measure: Callable[[], T], good: Callable[[T], bool], tries: float) -> list[T]:
    """What each try measured, to the first good one or the last that is allowed: the bound is the last one's."""
    seen = [measure()]
    while not good(seen[-1]) and len(seen) < tries:
        seen.append(measure())
    return seen


def within(work: Callable[[], object], bound_ms: float, tries: float) -> tuple[bool, str]:
    """Whether one of the tries took no longer than the bound, and what all of them took, for the summary.

    The work asserts what it is about by itself: only its time is tried again.
    """
    seen = tried(lambda: ms_of(work), lambda ms: ms <= bound_ms, tries)
    return seen[-1] <= bound_ms, " then ".join(f"{ms:.0f}" for ms in seen) + f" ms, at most {bound_ms:.0f}"
