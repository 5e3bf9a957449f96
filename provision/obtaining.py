"""How a lease is obtained, and given back: asked for once, waited for, and told in full when it cannot be had."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from provision import say, slots
from provision.clouds.base import Leases
from provision.clouds.blazar_words import HOST
from provision.clouds.facts import Calendar, Lease
from provision.errors import DeadState, LeaseUnavailable, PreconditionMissing, QuotaExceeded
from provision.leasing import DEAD, FAILED, WantedLease, live, no_slot
from provision.wait import never, wait_until

ACTIVE_S = 240
UNDERWAY = frozenset({"STARTING", "TERMINATING"})
"""Blazar refuses to delete a lease meanwhile: HTTP 500, "Invalid lease status"."""
SPENT = re.compile(r"would spend ([\d,.]+) (?:more )?SUs?, only ([\d,.]+) left")
TOO_LONG = re.compile(r"duration of (\d+) seconds must be .* maximum lease duration of (\d+) seconds")
PAST = "project expiration date"


def obtain(door: Leases, wish: WantedLease) -> Lease:
    """The one live lease of this name, ACTIVE. Two leases made at once can be given the same host, and one then fails.

    That race is Blazar's own: it is run once more, on another host where the calendar tells which one failed.
    Raises LeaseUnavailable (no slot, or failed twice), QuotaExceeded, DeadlineExceeded.
    """
    try:
        return _obtain(door, wish, ())
    except DeadState as first:
        why, avoid = first.why, _failed_hosts(door, wish)
        say.line("lease", "again", f"{wish.site}: {wish.name} failed{f', not on {avoid[0]}' if avoid else ''}: {why}")
    try:
        return _obtain(door, wish, avoid)
    except DeadState as again:
        other = f" (not on {', '.join(avoid)})" if avoid else ""
        raise LeaseUnavailable(
            f"{wish.site}: lease {wish.name} failed twice",
            why=f"{why}\nthen{other}: {again.why}",
            next=f"invoke provision.lease --env {wish.env} --site {wish.site}",
        ) from again


def give_back(door: Leases, name: str) -> None:
    """Every lease of a name, the ended ones too, once none starts or ends; and wait until they are gone."""
    there = wait_until(
        f"lease {name} neither starting nor ending",
        lambda: [lease for lease in door.list_leases() if lease.name == name],
        lambda found: not any(lease.status in UNDERWAY for lease in found),
        never,
        deadline_s=ACTIVE_S,
        every_s=1.0,
    )
    for lease in there:
        door.delete_lease(lease.id)
    wait_until(
        f"lease {name} gone",
        lambda: [lease.status for lease in door.list_leases() if lease.name == name],
        lambda left: not left,
        lambda left: FAILED in left,
        deadline_s=ACTIVE_S,
        every_s=1.0,
    )


def _obtain(door: Leases, wish: WantedLease, avoid: Sequence[str]) -> Lease:
    """Failed ones are deleted first; what stands is never made again."""
    listed = [lease for lease in door.list_leases() if lease.name == wish.name]
    for lease in listed:
        if lease.status == FAILED:
            door.delete_lease(lease.id)
    made = next(iter(live(listed, wish.name)), None) or _make(door, wish, avoid)
    return wait_until(
        f"lease {wish.name} ACTIVE",
        lambda: next((lease for lease in door.list_leases() if lease.id == made.id), made),
        lambda lease: lease.status == "ACTIVE",
        lambda lease: lease.status in DEAD,
        deadline_s=ACTIVE_S,
        every_s=1.0,
        next=f"invoke provision.lease --env {wish.env} --site {wish.site}",
    )


def _make(door: Leases, wish: WantedLease, avoid: Sequence[str]) -> Lease:
    """Ask for a lease. What a killed run asked for may have come to pass meanwhile: then that one is kept, not ours."""
    hours = wish.hours_from(int(time.time()))
    try:
        made = door.create_lease(wish.name, wish.reservation, hours, avoid)
    except LeaseUnavailable as full:
        raise no_slot(wish, _calendar(door, wish), full.why) from full
    except QuotaExceeded as over:
        raise _priced(wish, hours, over) from over
    except PreconditionMissing as refused:
        raise (_ruled(wish, hours, refused) or refused) from None
    others = [lease for lease in live(door.list_leases(), wish.name) if lease.id != made.id]
    if others:
        door.delete_lease(made.id)
    return others[0] if others else made


def _ruled(wish: WantedLease, hours: int, refused: PreconditionMissing) -> PreconditionMissing | None:
    """A lease that the site does not grant so long, or not past the allocation: what it would grant. None: another."""
    found, file = TOO_LONG.search(refused.why), f"provision/environments/{wish.env}.toml"
    if found:
        most_h = int(found.group(2)) // 3600
        return PreconditionMissing(
            f"{wish.site}: {hours} h of {wish.reservation.of} are longer than the site grants",
            why=f"{refused.why}\n{most_h} h would be granted",
            next=_swap(wish, most_h),
        )
    if PAST in refused.why:
        return PreconditionMissing(
            f"{wish.site}: a lease of {hours} h would outlive the allocation",
            why=refused.why,
            next=f"write its last day into [allocation] of {file} (the portal tells it), or have it renewed there",
        )
    return None


def _swap(wish: WantedLease, hours: int) -> str:
    """How to ask for fewer hours."""
    file = f"provision/environments/{wish.env}.toml"
    return f"sed -i '/{wish.reservation.of}/s/hours = [0-9]*/hours = {hours}/' {file}"


def _priced(wish: WantedLease, hours: int, over: QuotaExceeded) -> QuotaExceeded:
    """A budget that does not hold the lease: by how much, and how many hours it would hold."""
    found = SPENT.search(over.why)
    if not found or not wish.per_hour_su:
        return over
    spends, left = (float(number.replace(",", "").rstrip(".")) for number in found.groups())
    fits_h = int(left / wish.per_hour_su)
    worth = fits_h > wish.asked.min_hours_left
    return QuotaExceeded(
        f"{wish.site}: {hours} h of {wish.reservation.amount} {wish.reservation.of} cost more than is left",
        why=f"{over.why}\n{spends - left:g} SU are missing; {fits_h} h would fit",
        next=_swap(wish, fits_h) if worth else "ask for more in the portal: the project's page, Recharge",
    )


def _calendar(door: Leases, wish: WantedLease) -> Calendar | None:
    return door.find_calendar(wish.reservation.of) if wish.reservation.kind == HOST else None


def _failed_hosts(door: Leases, wish: WantedLease) -> tuple[str, ...]:
    """The hosts that failed leases of this name were given; () where nobody tells."""
    failed = [lease.id for lease in door.list_leases() if lease.name == wish.name and lease.status == FAILED]
    calendar = _calendar(door, wish)
    return slots.held_by(calendar, failed) if calendar else ()
