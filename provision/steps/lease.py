"""What a site reserves: hosts or flavors in one lease, its floating IP in another.

Meaning: servers exist only inside an ACTIVE lease; when it ends the cloud deletes them. The floating IP has a lease of
    its own, because a reserved address can keep a lease of hosts from being extended.
Look: `openstack --os-cloud S reservation lease list`; ours are called <platform>-<site>-lease and ...-lease-fip.
Recover: `invoke provision.lease --site S` makes what ended or failed anew; let `invoke provision.all` follow at once,
    since the testbed takes unused leases away. "no slot before ..." says what it costs then, and what fits now.
    Too few hours left: `invoke lease.extend --site S` (possible in the last 48 hours of a lease).
    Two leases of one name: delete the one without servers by hand.
Undo: the leases are given back, which stops their charge; servers in them go.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from provision import leasing, obtaining
from provision.clouds.facts import Calendar, Lease
from provision.leasing import WantedLease
from provision.settings import Settings
from provision.site import Site
from provision.step import Change

NAME = "lease"
NEEDS: tuple[str, ...] = ()
JOINS = False
DEADLINE_S = 600
SETTLE_S = 10
CHECKS = ("check_lease",)


@dataclass(frozen=True)
class Want:
    """A site's leases, in the order in which they are made."""

    site: str
    leases: tuple[WantedLease, ...] = ()


@dataclass(frozen=True)
class Have:
    """Every lease of ours that the cloud still lists, the ended ones too.

    calendar: of the node type, where whole hosts are still to be found and users may read it. asked: when, seconds
    since 1970.
    """

    leases: tuple[Lease, ...] = ()
    calendar: Calendar | None = None
    asked: int = 0


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From settings."""
    return Want(site_name, leasing.wanted(settings, site_name))


def look(site: Site, want: Want) -> Have:
    """Blazar's list; its calendar only where hosts are still to be found."""
    leases = site.cloud.leases.list_leases()
    missing = [wish for wish in want.leases if leasing.needs_calendar(wish, leases)]
    calendar = site.cloud.leases.find_calendar(missing[0].reservation.of) if missing else None
    return Have(leases, calendar, int(time.time()))


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Make what is missing, replace what failed; refuse what only a person may decide, and what has no slot now."""
    changes = (leasing.change(wish, have.leases, have.calendar, have.asked) for wish in want.leases)
    return tuple(change for change in changes if change is not None)


def apply(site: Site, change: Change) -> None:
    """Make one lease and wait for it, or give one back."""
    name = change.what.split()[-1]
    if change.verb == "delete":
        obtaining.give_back(site.cloud.leases, name)
        return
    wish = next(wish for wish in want(site.settings, site.name).leases if wish.name == name)
    obtaining.obtain(site.cloud.leases, wish)


def undo(have: Have) -> Sequence[Change]:
    """Hosts before the address."""
    names = dict.fromkeys(lease.name for lease in have.leases)
    return [Change("delete", f"lease {name}", "destroy") for name in sorted(names, key=len)]
