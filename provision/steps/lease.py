"""What a site reserves: hosts or flavors in one lease, its floating IP in another.

Meaning: servers exist only inside an ACTIVE lease; when it ends the cloud deletes them. The floating IP has a lease of
    its own, because a reserved address can keep a lease of hosts from being extended.
Look: `openstack --os-cloud S reservation lease list`; ours are called <platform>-<site>-lease and ...-lease-fip.
Recover: `invoke provision.lease --site S` makes what ended or failed anew. "no slot now": the same command later.
    Too few hours left: `invoke lease.extend --site S` (possible in the last 48 hours of a lease).
    Two leases of one name: delete the one without servers by hand.
Undo: the leases are given back, which stops their charge; servers in them go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provision.clouds.facts import Lease, Reservation
from provision.errors import DeadState, LeaseUnavailable, PreconditionMissing
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.wait import wait_until

NAME = "lease"
NEEDS: tuple[str, ...] = ()
JOINS = False
DEADLINE_S = 600
SETTLE_S = 10
CHECKS = ("check_lease",)

ACTIVE_S = 240
GONE = frozenset({"TERMINATED"})
DEAD = frozenset({"ERROR", "TERMINATED", "TERMINATING", "DELETING"})
FLOATING = "virtual:floatingip"


@dataclass(frozen=True, slots=True)
class WantedLease:
    """A lease: its one reservation, how long it is asked for, and how much of that must be left."""

    name: str
    reservation: Reservation
    hours: int
    min_hours_left: int


@dataclass(frozen=True)
class Want:
    """A site's leases, in the order in which they are made."""

    site: str
    leases: tuple[WantedLease, ...] = ()


@dataclass(frozen=True)
class Have:
    """Every lease of ours that the cloud still lists, the ended ones too."""

    leases: tuple[Lease, ...] = ()


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """The address first: the network can then be built while hosts are still waited for."""
    site = settings.sites[site_name]
    wish, name = site.lease, settings.name(site_name, "lease")
    hosts = Reservation(wish.kind, wish.amount, wish.flavor or wish.node_type)
    address = Reservation(FLOATING, 1, site.network.public)
    return Want(
        site_name,
        (
            WantedLease(f"{name}-fip", address, wish.hours, wish.min_hours_left),
            WantedLease(name, hosts, wish.hours, wish.min_hours_left),
        ),
    )


def look(site: Site, _want: Want) -> Have:
    """Blazar's list."""
    return Have(site.cloud.leases.list_leases())


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Make what is missing, replace what failed; refuse what only a person may decide."""
    return [change for wanted in want.leases if (change := _change(want.site, wanted, have)) is not None]


def apply(site: Site, change: Change) -> None:
    """Make one lease and wait for it, or give one back."""
    name = change.what.split()[-1]
    if change.verb == "delete":
        _give_back(site, name)
        return
    wanted = next(wanted for wanted in want(site.settings, site.name).leases if wanted.name == name)
    try:
        _obtain(site, wanted)
    except DeadState:
        # Two leases made at once can be given the same host; one then fails. That race is Blazar's own: one more try.
        try:
            _obtain(site, wanted)
        except DeadState as again:
            raise LeaseUnavailable(
                f"{site.name}: lease {name} failed twice", why=again.why, next=f"invoke provision.lease --site {site.name}"
            ) from again


def undo(have: Have) -> Sequence[Change]:
    """Hosts before the address."""
    names = dict.fromkeys(lease.name for lease in have.leases)
    return [Change("delete", f"lease {name}", "destroy") for name in names]


def live(leases: Sequence[Lease], name: str) -> list[Lease]:
    """The leases of a name that are neither over nor failed."""
    return [lease for lease in leases if lease.name == name and lease.status not in GONE | {"ERROR"}]


def _change(site: str, wanted: WantedLease, have: Have) -> Change | None:
    listed = [lease for lease in have.leases if lease.name == wanted.name]
    alive = live(listed, wanted.name)
    what, asked = f"lease {wanted.name}", f"want {wanted.reservation.amount} {wanted.reservation.of}"
    if len(alive) > 1:
        raise PreconditionMissing(
            f"{site}: {len(alive)} leases called {wanted.name}",
            why=", ".join(f"{lease.id} {lease.status}" for lease in alive),
            next=f"openstack --os-cloud {site} reservation lease delete <the one without servers>",
        )
    if not alive:
        failed = any(lease.status == "ERROR" for lease in listed)
        ended = "the last one ended" if listed else "have 0"
        return Change("replace", what, f"in ERROR, {asked}") if failed else Change("create", what, f"{ended}, {asked}")
    lease = alive[0]
    _refuse_unfit(site, wanted, lease)
    return None if lease.status == "ACTIVE" else Change("create", what, f"is {lease.status}, {asked}")


def _refuse_unfit(site: str, wanted: WantedLease, lease: Lease) -> None:
    """A lease that holds something else, or ends too soon, is a person's decision: replacing it deletes its servers."""
    fits = any(_fits(wanted.reservation, held) for held in lease.reservations)
    if not fits:
        held = ", ".join(f"{r.amount} {r.kind} {r.of}".strip() for r in lease.reservations)
        raise PreconditionMissing(
            f"{site}: lease {lease.name} reserves something else",
            why=f"it holds {held}; settings want {wanted.reservation.amount} {wanted.reservation.of}",
            next=f"invoke provision.destroy --site {site}, then invoke provision.all",
        )
    if lease.status == "ACTIVE" and lease.hours_left < wanted.min_hours_left:
        raise PreconditionMissing(
            f"{site}: lease {lease.name} is nearly over",
            why=f"{lease.hours_left:.1f} hours left, {wanted.min_hours_left} needed",
            next=f"invoke lease.extend --site {site}",
        )


def _fits(wanted: Reservation, held: Reservation) -> bool:
    """Blazar does not tell of every kind what was reserved (`of` is '' then)."""
    named = wanted.kind == FLOATING or held.of in ("", wanted.of)
    return held.kind == wanted.kind and held.amount == wanted.amount and named


def _obtain(site: Site, wanted: WantedLease) -> Lease:
    """The one live lease of this name, ACTIVE; made when there is none. Failed ones are deleted first."""
    leases = site.cloud.leases
    listed = [lease for lease in leases.list_leases() if lease.name == wanted.name]
    for lease in listed:
        if lease.status == "ERROR":
            leases.delete_lease(lease.id)
    made = next(iter(live(listed, wanted.name)), None) or leases.create_lease(
        wanted.name, wanted.reservation, wanted.hours
    )
    return wait_until(
        f"lease {wanted.name} ACTIVE",
        lambda: next((lease for lease in leases.list_leases() if lease.id == made.id), made),
        lambda lease: lease.status == "ACTIVE",
        lambda lease: lease.status in DEAD,
        deadline_s=ACTIVE_S,
        every_s=1.0,
        next=f"invoke provision.lease --site {site.name}",
    )


def _give_back(site: Site, name: str) -> None:
    leases = site.cloud.leases
    for lease in leases.list_leases():
        if lease.name == name:
            leases.delete_lease(lease.id)
    wait_until(
        f"lease {name} gone",
        lambda: [lease.status for lease in leases.list_leases() if lease.name == name],
        lambda left: not left,
        lambda left: "ERROR" in left,
        deadline_s=ACTIVE_S,
        every_s=1.0,
    )
