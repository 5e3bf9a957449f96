"""What many cases came to, and whether that is what the rules allow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fuzz.rules import Phase, is_allowed
from fuzz.wire import Outcome

SHOWN = 5  # of the cases that went wrong; each can be made again from its number


@dataclass
class Tally:
    """Of one phase of one of our processes."""

    who: str
    phase: Phase
    ends: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds, of those that ended by themselves
    wrong: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of both."""
        return f"{self.who} {self.phase}"

    @property
    def cases(self) -> int:
        """That reached the service."""
        return sum(count for end, count in self.ends.items() if end != "refused")

    def add(self, number: int, outcome: Outcome) -> None:
        """One more."""
        self.ends[outcome.end] += 1
        if outcome.end == "answered":
            self.statuses[outcome.status] += 1
        if outcome.end in ("answered", "closed"):
            self.slowest = max(self.slowest, outcome.seconds)
        if outcome.end == "hung" or not is_allowed(outcome.status, self.phase):
            self.wrong.append(f"case {number}: {outcome.status or outcome.end} after {outcome.seconds:.1f} s")

    def lines(self) -> list[str]:
        """For people."""
        statuses = ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items())) or "none"
        ends = ", ".join(f"{end} {count}" for end, count in sorted(self.ends.items()))
        told = [f"bytes, {self.name}: {self.cases} cases ({ends}); answers: {statuses}; slowest {self.slowest:.2f} s"]
        return told + [f"bytes, {self.name}: WRONG {one}" for one in self.wrong[:SHOWN]]
