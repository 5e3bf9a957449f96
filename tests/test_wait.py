"""wait_until: returns the good state, names the last one on a deadline, stops early in a dead one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from provision.errors import DeadlineExceeded, DeadState
from provision.wait import never, wait_until


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def states(values: Iterable[str]) -> Callable[[], str]:
    """A probe that tells one state after another and then the last for ever."""
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def wait(
    probe: Callable[[], str], clock: Clock, *, deadline_s: float = 60.0, dead: Callable[[str], bool] = never
) -> str:
    return wait_until(
        "lease a: ACTIVE",
        probe,
        lambda state: state == "ACTIVE",
        dead,
        deadline_s=deadline_s,
        every_s=5.0,
        next="invoke provision.lease",
        clock=clock.read,
        sleep=clock.sleep,
    )


def test_the_good_state_is_returned_at_once() -> None:
    clock = Clock()
    assert wait(states(["ACTIVE"]), clock) == "ACTIVE"
    assert clock.slept == []


def test_it_polls_until_the_good_state() -> None:
    clock = Clock()
    assert wait(states(["PENDING", "STARTING", "ACTIVE"]), clock) == "ACTIVE"
    assert clock.slept == [5.0, 5.0]


def test_a_dead_state_ends_the_wait_early_and_is_named() -> None:
    clock = Clock()
    with pytest.raises(DeadState) as caught:
        wait(states(["PENDING", "ERROR"]), clock, dead=lambda state: state == "ERROR")
    assert clock.now == 5.0
    assert "'ERROR'" in caught.value.why
    assert caught.value.next == "invoke provision.lease"


def test_a_deadline_names_the_last_state_seen() -> None:
    clock = Clock()
    with pytest.raises(DeadlineExceeded) as caught:
        wait(states(["PENDING", "STARTING"]), clock, deadline_s=12.0)
    assert not isinstance(caught.value, DeadState)
    assert caught.value.what == "lease a: ACTIVE: not within 12 s"
    assert caught.value.why == "last state 'STARTING'"


def test_it_never_sleeps_past_its_deadline_and_probes_once_more_there() -> None:
    clock = Clock()
    assert wait(states(["A", "B", "C", "ACTIVE"]), clock, deadline_s=12.0) == "ACTIVE"
    assert clock.slept == [5.0, 5.0, 2.0]


def test_a_good_state_wins_over_a_dead_one() -> None:
    assert wait(states(["ACTIVE"]), Clock(), dead=lambda _state: True) == "ACTIVE"


def test_a_long_wait_says_a_line_every_thirty_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DeadlineExceeded):
        wait(states(["PENDING"]), Clock(), deadline_s=100.0)
    lines = [line for line in capsys.readouterr().err.splitlines() if "lease a" in line]
    assert len(lines) == 3
    assert "'PENDING' (30 of 100 s)" in lines[0]


def test_never_says_no() -> None:
    assert not never("anything")
