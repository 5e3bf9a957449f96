"""When hosts are free: the earliest slot that fits, and what fits now. Pure, over the calendar of a node type.

Times are seconds since 1970. A host is cleaned between two leases, so a slot keeps that much away from its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from provision.clouds.facts import Calendar, Host

HOUR_S = 3600
CLEANING_S = 300
"""Blazar's option blazar_cleaning_time_minutes as Chameleon deploys it (chi-in-a-box pull request 410)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch in which enough hosts are free. hosts: their names."""

    start: int
    end: int
    hosts: tuple[str, ...]


def earliest(calendar: Calendar, amount: int, hours: int) -> Slot | None:
    """The first moment from which `amount` hosts are free for `hours`; None where there are not that many hosts."""
    ends = (busy.end + CLEANING_S for host in calendar.hosts for busy in host.busy)
    for start in sorted({calendar.asked, *(end for end in ends if end > calendar.asked)}):
        end = start + hours * HOUR_S
        free = [host.name for host in calendar.hosts if _is_free(host, start, end)]
        if len(free) >= amount:
            return Slot(start, end, tuple(free[:amount]))
    return None


def hours_now(calendar: Calendar, amount: int) -> int | None:
    """For how many whole hours `amount` hosts are free from now on; None: as long as anybody likes."""
    found = sorted((_free_until(host, calendar.asked) for host in calendar.hosts), key=_later, reverse=True)
    if len(found) < amount:
        return 0
    until = found[amount - 1]
    return None if until is None else max(0, until - calendar.asked) // HOUR_S


def taken_from(calendar: Calendar, lease: str, after: int) -> int | None:
    """When the first of the hosts that a lease holds belongs to somebody else after a moment; None: not foreseen."""
    held = [host for host in calendar.hosts if any(busy.lease == lease for busy in host.busy)]
    starts = [busy.start for host in held for busy in host.busy if busy.lease != lease and busy.start >= after]
    return min(starts) - CLEANING_S if starts else None


def held_by(calendar: Calendar, leases: Sequence[str]) -> tuple[str, ...]:
    """The hosts that Blazar gave to leases."""
    return tuple(host.name for host in calendar.hosts if any(busy.lease in leases for busy in host.busy))


def without(calendar: Calendar, leases: Sequence[str]) -> Calendar:
    """As the calendar will be when leases have been given back."""
    hosts = (
        replace(host, busy=tuple(busy for busy in host.busy if busy.lease not in leases)) for host in calendar.hosts
    )
    return replace(calendar, hosts=tuple(hosts))


def text(moment: int) -> str:
    """A moment for a person: `2026-11-26 18:05 UTC`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _is_free(host: Host, start: int, end: int) -> bool:
    return all(busy.end + CLEANING_S <= start or busy.start - CLEANING_S >= end for busy in host.busy)


def _free_until(host: Host, now: int) -> int | None:
    """None: for ever. `now` when it is taken."""
    if not _is_free(host, now, now + 1):
        return now
    return min((busy.start - CLEANING_S for busy in host.busy if busy.start > now), default=None)


def _later(until: int | None) -> float:
    return float("inf") if until is None else float(until)
