"""The only poll loop. A wait names what it waits for, its deadline, and the states in which waiting is pointless.

Standard library only: the rehearsal imports this inside another virtual environment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from provision import say
from provision.errors import DeadlineExceeded, DeadState

T = TypeVar("T")
HEARTBEAT_S = 30.0


def wait_until(
    what: str,
    probe: Callable[[], T],
    done: Callable[[T], bool],
    dead: Callable[[T], bool],
    *,
    deadline_s: float,
    every_s: float = 2.0,
    next: str = "",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Probe until `done`, and return that state.

    `dead` names the states from which `done` cannot be reached (never lambda-True it away without a reason:
    `never` below says so explicitly). Says a line every 30 s. Raises DeadState or DeadlineExceeded with the last state.
    """
    start = clock()
    told = start
    while True:
        state = probe()
        if done(state):
            return state
        now = clock()
        if dead(state):
            raise DeadState(f"{what}: will not get there", why=f"state {state!r} after {now - start:.0f} s", next=next)
        if now - start >= deadline_s:
            raise DeadlineExceeded(f"{what}: not within {deadline_s:.0f} s", why=f"last state {state!r}", next=next)
        if now - told >= HEARTBEAT_S:
            told = now
            say.line("tandem", "wait", f"{what}: {_short(state)} ({now - start:.0f} of {deadline_s:.0f} s)")
        sleep(min(every_s, max(0.0, deadline_s - (now - start))))


def pause(why: str, seconds: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait because somebody else said how long. Says so, since nothing else shows meanwhile."""
    say.line("tandem", "wait", f"{why}: again in {seconds:.0f} s")
    sleep(seconds)


def never(_state: object) -> bool:
    """For `dead`, where every state seen can still turn good (a port that does not answer yet)."""
    return False


def _short(state: object) -> str:
    text = repr(state)
    return text if len(text) <= 100 else text[:97] + "..."
