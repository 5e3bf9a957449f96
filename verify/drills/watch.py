"""A service asked over and over while something is done to it, and how long it did not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

EVERY_S = 0.25


@dataclass
class Watch:
    """Asks in a thread of its own between `with` and its end. asked: (seconds since the begin, whether it answered)."""

    ask: Callable[[], bool]
    asked: list[tuple[float, bool]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> Watch:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        if self.thread:
            self.thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        while not self.over.wait(EVERY_S):
            answered = self.ask()
            self.asked.append((time.monotonic() - begun, answered))

    def told(self) -> str:
        """For a figure."""
        refused = sum(not answered for _, answered in self.asked)
        return f"{len(self.asked)} questions, {refused} without an answer, {self.silence_s:.1f} s at most"

    @property
    def silence_s(self) -> float:
        """The longest time without an answer."""
        return longest_s(self.asked)


def longest_s(asked: Sequence[tuple[float, bool]]) -> float:
    """The longest time between two answers with a question in between that had none; to the end where none follows."""
    longest, last = 0.0, 0.0
    missed = False
    for moment, answered in asked:
        if missed:
            longest = max(longest, moment - last)
        if answered:
            last, missed = moment, False
        else:
            missed = True
    return longest
