"""Whether one more request can be answered in time, judged by what waits and how fast tokens have gone of late.

The rate is real tokens by seconds of work over the last batches (fading with FADE_S), times the workers; warming up
seeds it. A line gets only a part of it while the other one waits too: interactive texts all but one token of SHARE,
bulk ones what they were seen to get. What comes of that is doubted by as much as it took to be right in all but a few
of the last requests. A request is refused when its last token would come after the target of its line, or after its
own deadline; it is told in how many seconds the same request would be taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from serving.backlog import SHARE, Lane, Waiting
from serving.errors import QueueFull

FADE_S = 5.0
MOST_DOUBT = 4.0
MISSED, KEPT = 1.2, 0.999  # balance where one estimate in a hundred is missed
GUESSED_PART, GUESS_FADES = 0.8, 0.99
REQUEST_BYTES = 8 << 10  # what a request costs at least while it is held, however small its body


class Rate:
    """Tokens per second of one line, measured."""

    def __init__(self, workers: int, tokens: int, seconds: float) -> None:
        """Seeded by what was run so far."""
        self._workers = workers
        self._tokens, self._seconds = float(tokens), max(seconds, 1e-6)
        self._bulk = self._contended = 0.0

    def ran(self, lane: Lane, tokens: int, seconds: float, bulk_waits: bool) -> None:
        """One batch of one worker; `bulk_waits`: while it was chosen."""
        kept = math.exp(-seconds / FADE_S)
        self._tokens = self._tokens * kept + tokens
        self._seconds = self._seconds * kept + max(seconds, 1e-6)
        is_bulk = lane is Lane.BULK
        self._bulk = self._bulk * kept + tokens * is_bulk
        self._contended = self._contended * kept + tokens * (is_bulk or bulk_waits)

    def one(self) -> float:
        """Tokens per second of one worker."""
        return self._tokens / self._seconds

    def all(self) -> float:
        """Tokens per second of all workers."""
        return self._workers * self.one()

    def of(self, lane: Lane, waiting: Waiting) -> float:
        """What a line gets of it."""
        if lane is Lane.INTERACTIVE:
            return self.all() * (1.0 - 1.0 / SHARE if waiting.bulk else 1.0)
        doubt = self.all()  # a second's worth: a few batches say nothing of the share
        return self.all() * max(1.0 / SHARE, (self._bulk + doubt) / (self._contended + doubt))


class Admission:
    """The bound on what waits."""

    def __init__(self, rate: Rate, targets_s: Mapping[Lane, float], most_tokens: int) -> None:
        """`most_tokens`: queued tokens above which nothing is taken, however fast they go."""
        self._rate, self._targets_s, self._most = rate, targets_s, most_tokens
        self._doubt = 1.0

    @property
    def doubt(self) -> float:
        """What an estimate is multiplied by to hold in all but a few cases."""
        return self._doubt

    def took(self, lane: Lane, estimate_s: float, seconds: float) -> None:
        """A request that was taken is done. What a small estimate misses is not in the line, and teaches nothing."""
        missed_by = seconds / estimate_s
        if missed_by > self._doubt and estimate_s >= self._targets_s[lane] / 10:
            self._doubt = min(self._doubt * MISSED, missed_by, MOST_DOUBT)
        else:
            self._doubt = max(1.0, self._doubt * KEPT)

    def estimate_s(self, lane: Lane, waiting: Waiting, tokens: int = 0) -> float:
        """Until `tokens` more of this line would be done."""
        own = (waiting.of(lane) + waiting.running + tokens) / self._rate.of(lane, waiting)
        if lane is Lane.INTERACTIVE:
            return own
        return max(own, (waiting.interactive + waiting.bulk + waiting.running + tokens) / self._rate.all())

    def admit(self, lane: Lane, waiting: Waiting, tokens: int, left_s: float, used_s: float = 0.0) -> float:
        """The estimate, in seconds. Raises QueueFull. used_s: of the target; left_s: to the request's own deadline.

        When nothing of its line waits a request is taken, else a large one never could be.
        """
        estimate_s = self.estimate_s(lane, waiting, tokens)
        late_s = estimate_s - min(self._targets_s[lane] - used_s, left_s) / self._doubt
        over = waiting.interactive + waiting.bulk + tokens - self._most
        late_s = max(late_s, over / self._rate.all())
        if late_s <= 0 or not waiting.of(lane):
            return estimate_s
        empty_s = self.estimate_s(lane, waiting)
        raise QueueFull(
            f"{waiting.of(lane)} {lane} tokens wait; these would be done in {estimate_s * self._doubt:.1f} s",
            max(1, math.ceil(min(late_s, empty_s))),
        )


class Guess:
    """How many tokens texts will be, from those that were read before: enough to refuse before reading them."""

    def __init__(self, most_tokens: int) -> None:
        """`most_tokens`: where the model cuts a text."""
        self._most = most_tokens
        self._chars, self._tokens = 8.0, 1.0  # few tokens a character: nothing is refused for a guess at first

    def of(self, texts: Sequence[str]) -> int:
        """Rather too few than too many."""
        ratio = GUESSED_PART * self._tokens / self._chars
        return int(sum(min(self._most, len(text) * ratio) for text in texts))

    def was(self, texts: Sequence[str], tokens: Sequence[int]) -> None:
        """They were read. Texts that were cut say nothing of their length."""
        for text, found in zip(texts, tokens, strict=True):
            if found < self._most:
                self._chars = self._chars * GUESS_FADES + len(text)
                self._tokens = self._tokens * GUESS_FADES + found


class Memory:
    """A bound on the bytes of requests that are being read or answered."""

    def __init__(self, most_bytes: int, free_s: Callable[[], float]) -> None:
        """`free_s`: an estimate of when there will be room again."""
        self._most, self._free_s = most_bytes, free_s
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes, now."""
        return self._held

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Room for one request; what is given grows it. Both raise QueueFull when there is none."""
        own = 0

        def grow(size: int) -> None:
            nonlocal own
            if self._held + size > self._most:
                raise QueueFull(f"requests of {self._held} bytes are being answered", math.ceil(self._free_s()) or 1)
            self._held += size
            own += size

        try:
            grow(REQUEST_BYTES)
            yield grow
        finally:
            self._held -= own
