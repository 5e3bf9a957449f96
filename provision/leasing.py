"""What leases should exist, what to do about the difference, and how one is obtained. `steps/lease.py` acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision.clouds.base import Leases
from provision.clouds.facts import Lease, Reservation
from provision.errors import PreconditionMissing
from provision.settings import Settings
from provision.step import Change
from provision.wait import wait_until

FLOATING = "virtual:floatingip"
METRICS = "lease.prom"
METRIC = "tandem_lease_end_timestamp_seconds"
ACTIVE_S = 240
FAILED, OVER = "ERROR", "TERMINATED"
DEAD = frozenset({FAILED, OVER, "TERMINATING", "DELETING"})


@dataclass(frozen=True, slots=True)
class WantedLease:
    """A lease: its one reservation, how long it is asked for, and how much of that must be left."""

    name: str
    reservation: Reservation
    hours: int
    min_hours_left: int


def wanted(settings: Settings, site_name: str) -> tuple[WantedLease, ...]:
    """The address first: the network can then be built while hosts are still waited for."""
    site = settings.sites[site_name]
    wish, name = site.lease, settings.name(site_name, "lease")
    hosts = Reservation(wish.kind, wish.amount, wish.flavor or wish.node_type)
    address = Reservation(FLOATING, 1, site.network.public)
    return (
        WantedLease(f"{name}-fip", address, wish.hours, wish.min_hours_left),
        WantedLease(name, hosts, wish.hours, wish.min_hours_left),
    )


def live(leases: Sequence[Lease], name: str) -> list[Lease]:
    """The leases of a name that are neither over nor failed."""
    return [lease for lease in leases if lease.name == name and lease.status not in (FAILED, OVER)]


def told(leases: Sequence[Lease]) -> Mapping[str, str]:
    """What a cluster is told of its leases: when the first of them ends, as a file of metrics. Nothing without one."""
    ends = [lease.ends for lease in leases if lease.status == "ACTIVE"]
    help_ = f"# HELP {METRIC} When the site's lease ends.\n# TYPE {METRIC} gauge\n"
    return {METRICS: f"{help_}{METRIC} {min(ends)}\n"} if ends else {}


def change(site: str, wish: WantedLease, leases: Sequence[Lease]) -> Change | None:
    """What to do about one lease; None when it stands. Refuses what only a person may decide."""
    listed = [lease for lease in leases if lease.name == wish.name]
    alive = live(listed, wish.name)
    what, asked = f"lease {wish.name}", f"want {wish.reservation.amount} {wish.reservation.of}"
    if len(alive) > 1:
        raise PreconditionMissing(
            f"{site}: {len(alive)} leases called {wish.name}",
            why=", ".join(f"{lease.id} {lease.status}" for lease in alive),
            next=f"openstack --os-cloud {site} reservation lease delete <the one without servers>",
        )
    if alive:
        _refuse_unfit(site, wish, alive[0])
        return None if alive[0].status == "ACTIVE" else Change("create", what, f"is {alive[0].status}, {asked}")
    if any(lease.status == FAILED for lease in listed):
        return Change("replace", what, f"in ERROR, {asked}")
    return Change("create", what, f"{'the last one ended' if listed else 'have 0'}, {asked}")


def obtain(door: Leases, wish: WantedLease, site: str) -> Lease:
    """The one live lease of this name, ACTIVE; made when there is none. Failed ones are deleted first."""
    listed = [lease for lease in door.list_leases() if lease.name == wish.name]
    for lease in listed:
        if lease.status == FAILED:
            door.delete_lease(lease.id)
    made = next(iter(live(listed, wish.name)), None) or _make(door, wish)
    return wait_until(
        f"lease {wish.name} ACTIVE",
        lambda: next((lease for lease in door.list_leases() if lease.id == made.id), made),
        lambda lease: lease.status == "ACTIVE",
        lambda lease: lease.status in DEAD,
        deadline_s=ACTIVE_S,
        every_s=1.0,
        next=f"invoke provision.lease --site {site}",
    )


def give_back(door: Leases, name: str) -> None:
    """Every lease of a name, the ended ones too, and wait until they are gone."""
    for lease in door.list_leases():
        if lease.name == name:
            door.delete_lease(lease.id)
    wait_until(
        f"lease {name} gone",
        lambda: [lease.status for lease in door.list_leases() if lease.name == name],
        lambda left: not left,
        lambda left: FAILED in left,
        deadline_s=ACTIVE_S,
        every_s=1.0,
    )


def _make(door: Leases, wish: WantedLease) -> Lease:
    """Ask for a lease. What a killed run asked for may have come to pass meanwhile: then that one is kept, not ours."""
    made = door.create_lease(wish.name, wish.reservation, wish.hours)
    others = [lease for lease in live(door.list_leases(), wish.name) if lease.id != made.id]
    if others:
        door.delete_lease(made.id)
    return others[0] if others else made


def _refuse_unfit(site: str, wish: WantedLease, lease: Lease) -> None:
    """A lease that holds something else, or ends too soon, is a person's decision: replacing it deletes its servers."""
    if not any(_fits(wish.reservation, held) for held in lease.reservations):
        held = ", ".join(f"{r.amount} {r.kind} {r.of}".strip() for r in lease.reservations)
        raise PreconditionMissing(
            f"{site}: lease {lease.name} reserves something else",
            why=f"it holds {held}; settings want {wish.reservation.amount} {wish.reservation.of}",
            next=f"invoke provision.destroy --site {site}, then invoke provision.all",
        )
    if lease.status == "ACTIVE" and lease.hours_left < wish.min_hours_left:
        raise PreconditionMissing(
            f"{site}: lease {lease.name} is nearly over",
            why=f"{lease.hours_left:.1f} hours left, {wish.min_hours_left} needed",
            next=f"invoke lease.extend --site {site}",
        )


def _fits(wanted: Reservation, held: Reservation) -> bool:
    """Blazar does not tell of every kind what was reserved (`of` is '' then)."""
    named = wanted.kind == FLOATING or held.of in ("", wanted.of)
    return held.kind == wanted.kind and held.amount == wanted.amount and named
