"""The calendar of hosts: which slot is the earliest, what fits now, and who comes after us."""

from __future__ import annotations

import pytest

from provision import slots
from provision.clouds.facts import Busy, Calendar, Host
from provision.slots import CLEANING_S, HOUR_S, Slot

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC


def at(hours: float) -> int:
    return NOW + round(hours * HOUR_S)


def calendar(*hosts: tuple[tuple[float, float], ...]) -> Calendar:
    """Hosts a, b, ... each with its taken stretches, in hours from now; the lease of the i-th stretch is its number."""
    return Calendar(
        NOW,
        tuple(
            Host(
                "abcdef"[number], tuple(Busy(at(start), at(end), str(index)) for index, (start, end) in enumerate(busy))
            )
            for number, busy in enumerate(hosts)
        ),
    )


CASES = {
    "an empty calendar": (calendar(()), 1, 168, 0, "a"),
    "the second host is free": (calendar(((-5, 10),), ()), 1, 168, 0, "b"),
    "both taken, the first to be free again": (calendar(((-5, 10),), ((-5, 9),)), 1, 168, 9 + CLEANING_S / HOUR_S, "b"),
    "a gap that is too short is no slot": (calendar(((-5, 10), (100, 110))), 1, 168, 110 + CLEANING_S / HOUR_S, "a"),
    "a gap that is long enough": (calendar(((-5, 10), (180, 190))), 1, 168, 10 + CLEANING_S / HOUR_S, "a"),
    "a gap of exactly the hours leaves no time for cleaning": (
        calendar(((-5, 10), (178, 190))), 1, 168, 190 + CLEANING_S / HOUR_S, "a",
    ),
    "free now, but not for long enough": (calendar(((30, 40),)), 1, 168, 40 + CLEANING_S / HOUR_S, "a"),
    "two at the same time": (calendar(((-5, 10),), ((-5, 20),), ((-5, 30),)), 2, 5, 20 + CLEANING_S / HOUR_S, "ab"),
    "what ended a minute ago is still being cleaned": (
        calendar(((-5, -1 / 60),)), 1, 1, CLEANING_S / HOUR_S - 1 / 60, "a",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("found", "amount", "hours", "start", "hosts"), CASES.values(), ids=CASES)
def test_the_earliest_slot(found: Calendar, amount: int, hours: int, start: float, hosts: str) -> None:
    assert slots.earliest(found, amount, hours) == Slot(at(start), at(start + hours), tuple(hosts))


def test_more_hosts_than_there_are_never_come() -> None:
    assert slots.earliest(calendar((), ()), 3, 1) is None
    assert slots.hours_now(calendar((), ()), 3) == 0


def test_the_hours_that_fit_now() -> None:
    assert slots.hours_now(calendar(((30, 40),)), 1) == 29  # 30 h less the cleaning
    assert slots.hours_now(calendar(((-5, 10),)), 1) == 0
    assert slots.hours_now(calendar(((30, 40),), ()), 1) is None
    assert slots.hours_now(calendar(((30, 40),), ()), 2) == 29


def test_a_lease_is_followed_by_somebody_else() -> None:
    found = calendar(((-100, 20), (50, 60)), ((30, 40),))
    assert slots.taken_from(found, "0", at(20)) == at(50) - CLEANING_S
    assert slots.taken_from(calendar(((-100, 20),)), "0", at(20)) is None
    assert slots.held_by(calendar(((-1, 2),), (), ((-1, 2), (5, 6))), ["1"]) == ("c",)


def test_a_moment_is_told_in_utc() -> None:
    assert slots.text(NOW) == "2026-11-23 12:00 UTC"
