"""What waits for a worker: two lines of texts, and the rule by which the next batch is chosen. No threads, no clock.

Interactive texts go first. Bulk ones go when no interactive text waits, and once their oldest has waited PATIENCE_S
they are given one token of SHARE even while interactive texts keep coming: neither line can starve the other.
Within a line the oldest text is always in the batch; it is filled with lengths near it among the oldest WINDOW, as
long as that wastes little and the batch stays within its budget of padded tokens (a longer text goes alone). So a
text is passed over at most as often as there were texts before it in its line.
A text leaves the line when nobody waits for it any more: every client left, or every deadline has passed.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

import numpy as np
import numpy.typing as npt

from serving.engine import Ids

WINDOW = 128
PATIENCE_S = 1.0
SHARE = 4
OWN_PART = 32  # what a batch costs by itself is this part of its budget: on a CPU as much as 8 tokens of 256

Vector = npt.NDArray[np.float32]


class Lane(StrEnum):
    """Which line a text stands in."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Place(Enum):
    """Where a job is; it only moves forward."""

    WAITING = auto()
    TAKEN = auto()
    GONE = auto()  # left the line unrun, since nobody waited for it


@dataclass(eq=False, slots=True)
class Claim:
    """One request's wait for its texts. deadline_s: on the scheduler's clock."""

    lane: Lane
    deadline_s: float
    missing: int = 0
    began_s: float = 0.0  # when the request came
    taken_s: float = 0.0  # when it was let in line
    estimate_s: float = 0.0  # and how long it would take from there
    error: BaseException | None = None
    is_over: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def is_live(self, now_s: float) -> bool:
        """Whether somebody still wants the answer."""
        return not self.is_over and now_s < self.deadline_s

    def give_up(self, error: BaseException) -> None:
        """End the wait with an error; the first one stands."""
        if not self.is_over:
            self.error, self.is_over = error, True
            self.settled.set()

    def received(self) -> None:
        """One more text is done."""
        self.missing -= 1
        if not self.missing:
            self.settled.set()


@dataclass(eq=False, slots=True)
class Job:
    """One text on its way to its vector, for everybody who asked for it meanwhile."""

    key: bytes
    ids: Ids
    was_cut: bool
    lane: Lane
    claims: list[Claim]
    born_s: float = 0.0
    place: Place = Place.WAITING
    vector: Vector | None = None

    def is_wanted(self, now_s: float) -> bool:
        """Whether anybody still waits for it."""
        return any(claim.is_live(now_s) for claim in self.claims)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tokens in the lines, and on the workers."""

    interactive: int
    bulk: int
    running: int = 0

    def of(self, lane: Lane) -> int:
        """Tokens of one line."""
        return self.interactive if lane is Lane.INTERACTIVE else self.bulk


def pick(lengths: Sequence[int], budget: float, at_most: int = WINDOW, padding: float = 1.0) -> list[int]:
    """Which of the waiting texts (oldest first) make the next batch: the oldest one, among its like.

    Of all runs of neighbouring lengths that hold the oldest, the one of which most is real tokens, and least padding
    and what a batch costs by itself. padding: what a token of it costs, as a part of a real one.
    """
    order = sorted(range(min(len(lengths), WINDOW)), key=lambda i: (-lengths[i], i))
    ordered, place = [lengths[i] for i in order], order.index(0)
    starts = [at for at in range(place + 1) if not at or ordered[at] != ordered[at - 1]]
    _, count, start = max((*_run(ordered[at:], place - at + 1, budget, at_most, padding), at) for at in starts)
    return order[start : start + count]


def _run(lengths: Sequence[int], must: int, budget: float, at_most: int, padding: float) -> tuple[float, int]:
    """Of texts, longest first: how much of the best batch that holds the first `must` is real, and its size."""
    longest, own = lengths[0], budget / OWN_PART
    count, real, cost = 1, longest, float(longest)
    for length in lengths[1 : max(1, at_most)]:
        more = cost + length + padding * (longest - length)
        if more > budget or (count >= must and (real + length) * (own + cost) <= real * (own + more)):
            break  # too much, or its padding would cost more than it shares
        count, real, cost = count + 1, real + length, more
    return (real / (own + cost), count) if count >= must else (0.0, 0)


class Backlog:
    """Both lines. The caller sees to it that one thread at a time is inside."""

    def __init__(self, budget: int, padding: float = 1.0) -> None:
        self._budget, self._padding = budget, padding
        self._lines: dict[Lane, OrderedDict[Job, None]] = {lane: OrderedDict() for lane in Lane}
        self._tokens = dict.fromkeys(Lane, 0)
        self._owed = 0.0  # tokens that bulk texts may run before interactive ones

    def push(self, job: Job, now_s: float) -> None:
        """To the end of its line."""
        job.born_s = now_s
        self._lines[job.lane][job] = None
        self._tokens[job.lane] += len(job.ids)

    def join(self, job: Job, claim: Claim) -> bool:
        """One more waits for this job; False when it left unrun. An interactive request takes a bulk text along."""
        if job.place is Place.GONE:
            return False
        job.claims.append(claim)
        if job.place is Place.WAITING and job.lane is Lane.BULK and claim.lane is Lane.INTERACTIVE:
            self._leave(job)
            job.lane = Lane.INTERACTIVE
            self._lines[job.lane][job] = None
            self._tokens[job.lane] += len(job.ids)
        return True

    def release(self, job: Job, now_s: float) -> bool:
        """Take it out of its line if nobody waits for it; whether it is out, unrun."""
        if job.place is Place.WAITING and not job.is_wanted(now_s):
            self._leave(job)
            job.place = Place.GONE
        return job.place is Place.GONE

    def take(self, now_s: float, idle: int = 1) -> list[Job]:
        """The next batch, shared fairly among `idle` workers; empty when nothing waits."""
        interactive = self._window(Lane.INTERACTIVE, now_s)
        oldest_bulk = next(iter(self._window(Lane.BULK, now_s, 1)), None)
        patient = oldest_bulk if oldest_bulk and now_s - oldest_bulk.born_s >= PATIENCE_S else None
        leads_bulk = not interactive or (patient is not None and self._owed >= len(patient.ids))
        line = self._window(Lane.BULK, now_s) if leads_bulk else interactive
        if not line:
            return []
        chosen = pick([len(job.ids) for job in line], self._budget, -(-len(line) // idle), self._padding)
        batch = [line[index] for index in chosen]
        for job in batch:
            self._leave(job)
            job.place = Place.TAKEN
        tokens = sum(len(job.ids) for job in batch)
        if not interactive or patient is None:
            self._owed = 0.0
        else:
            self._owed += -tokens if leads_bulk else tokens / (SHARE - 1)
        return batch

    def clear(self) -> list[Job]:
        """Everything that waits, which then waits no longer."""
        left = [job for line in self._lines.values() for job in line]
        for job in left:
            self._leave(job)
            job.place = Place.GONE
        return left

    def waiting(self) -> Waiting:
        """Tokens in the lines."""
        return Waiting(self._tokens[Lane.INTERACTIVE], self._tokens[Lane.BULK])

    def oldest_s(self, now_s: float) -> float:
        """How long the oldest text has waited, in seconds; 0 when none waits."""
        return max((now_s - next(iter(line)).born_s for line in self._lines.values() if line), default=0.0)

    def _window(self, lane: Lane, now_s: float, most: int = WINDOW) -> list[Job]:
        """The oldest of a line that somebody still waits for; the others leave it on the way."""
        found: list[Job] = []
        unwanted: list[Job] = []
        for job in self._lines[lane]:
            if len(found) == most:
                break
            (found if job.is_wanted(now_s) else unwanted).append(job)
        for job in unwanted:
            self._leave(job)
            job.place = Place.GONE
        return found

    def _leave(self, job: Job) -> None:
        del self._lines[job.lane][job]
        self._tokens[job.lane] -= len(job.ids)
