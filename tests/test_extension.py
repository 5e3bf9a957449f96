"""How far a lease is extended, as a table; and the dates as a calendar file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision import extension, ics, leasing
from provision.clouds.facts import Lease
from provision.errors import LeaseUnavailable, PreconditionMissing, TooEarly
from provision.ics import Moment
from provision.settings import load

NOW = 1_795_435_200  # 2026-11-23 12:00 UTC
HOUR = 3600
WISH = leasing.wanted(load("rehearsal", platform="case"), "chi-uc")[1]


def lease(hours_left: float, status: str = "ACTIVE") -> Lease:
    return Lease(WISH.name, status, hours_left, (WISH.reservation,), "id", NOW + round(hours_left * HOUR))


# hours left, hours until the allocation ends, hours until somebody else has the host -> hours gained, price
GAINS = {
    "at the first moment": (48, None, None, 120, 240),
    "at the last": (1, None, None, 167, 334),
    "the allocation cuts it": (24, 100, None, 76, 152),
    "somebody else follows": (24, None, 72, 48, 96),
    "the earliest bound counts": (24, 60, 72, 36, 72),
}


@pytest.mark.parametrize(("left", "allocation", "taken", "hours", "su"), GAINS.values(), ids=GAINS)
def test_what_is_gained(left: float, allocation: int | None, taken: int | None, hours: float, su: float) -> None:
    wish = replace(WISH, allocation_ends=None if allocation is None else NOW + allocation * HOUR)
    found = extension.decide(wish, lease(left), NOW, None if taken is None else NOW + taken * HOUR)
    assert found.hours == pytest.approx(hours, abs=0.1)
    assert found.su == pytest.approx(su, abs=0.1)
    assert found.until <= NOW + extension.LONGEST_S


def test_before_the_last_48_hours_it_says_from_when() -> None:
    with pytest.raises(TooEarly) as caught:
        extension.decide(WISH, lease(49), NOW)
    assert caught.value.next == "invoke lease.extend --env rehearsal --site chi-uc   # from 2026-11-23 13:00 UTC"


def test_past_the_allocation_nothing_is_asked() -> None:
    with pytest.raises(PreconditionMissing) as caught:
        extension.decide(replace(WISH, allocation_ends=NOW + 24 * HOUR), lease(23.5), NOW)
    assert "the allocation ends then" in caught.value.why
    assert "renew the allocation" in caught.value.next


def test_a_host_that_somebody_else_has_next_is_no_slot() -> None:
    with pytest.raises(LeaseUnavailable) as caught:
        extension.decide(WISH, lease(10), NOW, NOW + 10 * HOUR + 300)
    assert "somebody else has the host" in caught.value.why
    assert "after 2026-11-23 22:00 UTC: a new lease" in caught.value.next


@pytest.mark.parametrize("status", ["PENDING", "ERROR", "TERMINATED"])
def test_only_an_active_lease_is_extended(status: str) -> None:
    """Blazar answers 200 to prolonging an ended lease, and nothing comes back to life."""
    with pytest.raises(PreconditionMissing) as caught:
        extension.decide(WISH, lease(10, status), NOW)
    assert status in caught.value.what


def test_dates_are_a_calendar_file() -> None:
    moments = [Moment("id-end", NOW, "case: it ends, all; of it", "invoke lease.extend", (48,))]
    assert ics.calendar(moments, NOW - HOUR).split("\r\n") == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tandem//leases//EN", "BEGIN:VEVENT", "UID:id-end@tandem",
        "DTSTAMP:20261123T110000Z", "DTSTART:20261123T120000Z", "DURATION:PT15M",
        "SUMMARY:case: it ends\\, all\\; of it", "DESCRIPTION:invoke lease.extend", "BEGIN:VALARM",
        "ACTION:DISPLAY", "TRIGGER:-PT48H", "DESCRIPTION:case: it ends\\, all\\; of it", "END:VALARM", "END:VEVENT",
        "END:VCALENDAR", "",
    ]  # fmt: skip


def test_a_long_line_is_folded_between_characters() -> None:
    text = "ä" * 100
    lines = ics.calendar([Moment("u", NOW, text)], NOW).split("\r\n")
    assert max(len(line.encode()) for line in lines) <= ics.LINE
    folded = "".join(line[1:] if line.startswith(" ") else line for line in lines if line.startswith((" ", "SUMMARY")))
    assert folded == f"SUMMARY:{text}"
