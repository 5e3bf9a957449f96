"""What requests to one stage came to, over the last seconds. Bounded in time and in number."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MOST = 20_000  # outcomes kept; beyond, the oldest go first


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one window: latencies of what was answered, ms, and how many were not."""

    answered_ms: tuple[float, ...] = ()
    failed: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return len(self.answered_ms) + self.failed


class Window:
    """Outcomes by their time; times come from one clock, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._held: deque[tuple[float, float | None]] = deque(maxlen=MOST)

    def add(self, now: float, ms: float | None) -> None:
        """One outcome. ms: until the answer's head; None for a failure."""
        self._held.append((now, ms))

    def seen(self, now: float) -> Seen:
        """What is not too old."""
        while self._held and self._held[0][0] < now - self._seconds:
            self._held.popleft()
        answered = tuple(ms for _, ms in self._held if ms is not None)
        return Seen(answered, len(self._held) - len(answered))

    def clear(self) -> None:
        """What comes next is another version's."""
        self._held.clear()
