"""How far a lease can be extended, and why not further. Pure; `leases.py` acts. Times are seconds since 1970.

Rules: Chameleon extends a lease only within its last 48 hours, by at most seven days, and never past the allocation.
Its code counts the seven days from the old end, its documentation from the request: the earlier of both is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision import slots
from provision.clouds.facts import Lease
from provision.errors import LeaseUnavailable, PreconditionMissing, TooEarly
from provision.leasing import WantedLease

WINDOW_S = 48 * 3600
LONGEST_S = 7 * 24 * 3600
CLOCKS_S = 120
"""The site's clock counts, not ours: stay that much below what it grants."""
WORTH_S = 3600
"""Less than this is not worth a request."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A lease that ends later. ends: as it is. until: as it will be. su: what the hours between cost."""

    site: str
    name: str
    id: str
    ends: int
    until: int
    su: float
    bound: str

    @property
    def hours(self) -> float:
        """What is gained."""
        return round((self.until - self.ends) / 3600, 1)


def opens(lease: Lease) -> int:
    """From when on a lease can be extended."""
    return lease.ends - WINDOW_S


def decide(wish: WantedLease, lease: Lease | None, now: int, taken_from: int | None = None) -> Extension:
    """What to ask for. taken_from: when somebody else has what the lease holds, if that is foreseen.

    Raises TooEarly, PreconditionMissing (no lease, the allocation) and LeaseUnavailable (somebody else has it).
    """
    if lease is None or lease.status != "ACTIVE":
        raise PreconditionMissing(
            f"{wish.site}: lease {wish.name} is {lease.status if lease else 'not there'}",
            why="only an ACTIVE lease can be extended",
            next=f"invoke provision.lease --env {wish.env} --site {wish.site}",
        )
    again = f"invoke lease.extend --env {wish.env} --site {wish.site}"
    if now < opens(lease):
        raise TooEarly(
            f"{wish.site}: lease {wish.name} cannot be extended yet",
            why=f"it ends {slots.text(lease.ends)}; the testbed extends in the last {WINDOW_S // 3600} hours only",
            next=f"{again}   # from {slots.text(opens(lease))}",
        )
    until, bound = min(_bounds(wish, now, taken_from))
    if until - lease.ends < WORTH_S:
        raise _refusal(wish, lease, bound, foreign=until == taken_from)
    su = round(wish.per_hour_su * (until - lease.ends) / 3600, 2)
    return Extension(wish.site, wish.name, lease.id, lease.ends, until, su, bound)


def _bounds(wish: WantedLease, now: int, taken_from: int | None) -> list[tuple[int, str]]:
    found = [(now + LONGEST_S - CLOCKS_S, "seven days from now")]
    if wish.allocation_ends is not None:
        found.append((wish.allocation_ends, "the allocation ends then"))
    if taken_from is not None:
        found.append((taken_from, "somebody else has the host from then on"))
    return found


def _refusal(wish: WantedLease, lease: Lease, bound: str, *, foreign: bool) -> PreconditionMissing:
    kind = LeaseUnavailable if foreign else PreconditionMissing
    anew = f"invoke provision.all --env {wish.env} --site {wish.site}   # after {slots.text(lease.ends)}: a new lease"
    return kind(
        f"{wish.site}: lease {wish.name} cannot be extended",
        why=f"it ends {slots.text(lease.ends)}: {bound}",
        next=anew if foreign else "renew the allocation in the portal, then the same command again",
    )
