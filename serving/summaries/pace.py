"""How long summaries take, measured, and whether more of them would be done in time. No threads, no clock.

A step costs about as much for four texts as for one. So the unit is what a text's step cost a worker in the batches
that were really run, times the steps that a text needed: the seconds of one worker that a text takes. All that waits
and what is left of that in the making, by that, shared among the workers, is when the next text would begin; to be
done it then takes as long as texts took from their first step to their last. What a batch gains when more join it, and
a text that is longer than those before it, are seen only when they were run: the measure fades with the texts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from serving.errors import QueueFull
from serving.summaries.pool import Load

FADE = 0.9  # what a finished text leaves of the weight of all before it


@dataclass(frozen=True, slots=True)
class Seed:
    """What was measured before: steps that a text needs, its seconds from first to last, and those of one worker."""

    steps: float
    seconds: float
    text_s: float

    def or_faster(self, other: Seed) -> Seed:
        """The one by which more is let in."""
        return self if self.text_s <= other.text_s else other


class Pace:
    """Of one model's workers."""

    def __init__(self, workers: int, seed: Seed) -> None:
        self.workers = workers
        self._ended = 1.0
        self._steps, self._seconds = max(seed.steps, 1.0), max(seed.seconds, 1e-6)
        self._run_steps, self._run_s = self._steps, max(seed.text_s, 1e-6)

    def seen(self) -> Seed:
        """What was measured so far, to begin the next model with."""
        return Seed(self.steps, self.making_s, self.text_s)

    @property
    def text_s(self) -> float:
        """Seconds of one worker that a text takes."""
        return self.step_s * self.steps

    @property
    def step_s(self) -> float:
        """Seconds of one worker that a step of one text takes."""
        return self._run_s / self._run_steps

    @property
    def steps(self) -> float:
        """That a text needs."""
        return self._steps / self._ended

    @property
    def making_s(self) -> float:
        """From a text's first step to its last."""
        return self._seconds / self._ended

    def ran(self, texts: int, seconds: float) -> None:
        """One turn of a worker with so many texts."""
        self._run_steps += texts
        self._run_s += seconds

    def ended(self, steps: int, seconds: float) -> None:
        """A text is done."""
        self._ended = self._ended * FADE + 1.0
        self._steps = self._steps * FADE + steps
        self._seconds = self._seconds * FADE + seconds
        self._run_steps *= FADE
        self._run_s *= FADE

    def ahead_s(self, load: Load) -> float:
        """Until a text that comes now would begin."""
        left = sum(max(1.0, self.steps - done) for done in load.steps)
        return (load.waiting * self.text_s + left * self.step_s) / self.workers

    def estimate_s(self, load: Load, texts: int) -> float:
        """Until so many more would be done."""
        return self.ahead_s(load) + max(self.making_s, texts * self.text_s / self.workers)


def admit(pace: Pace, load: Load, texts: int, *, within_s: float, most: int) -> None:
    """Raises QueueFull when they would not be done `within_s`, or more than `most` would wait.

    When nothing waits a request is taken, else one that is slow by itself never could be."""
    estimate_s = pace.estimate_s(load, texts)
    over_s = (load.waiting + texts - most) * pace.text_s / pace.workers
    late_s = max(estimate_s - within_s, over_s)
    if late_s <= 0 or not load.waiting:
        return
    raise QueueFull(
        f"{load.waiting} texts wait; these summaries would be done in {estimate_s:.1f} s",
        max(1, math.ceil(min(late_s, pace.ahead_s(load)))),
    )
