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

from provision import leasing
from provision.clouds.facts import Lease
from provision.errors import DeadState, LeaseUnavailable
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
    """Every lease of ours that the cloud still lists, the ended ones too."""

    leases: tuple[Lease, ...] = ()


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """From settings."""
    return Want(site_name, leasing.wanted(settings, site_name))


def look(site: Site, _want: Want) -> Have:
    """Blazar's list."""
    return Have(site.cloud.leases.list_leases())


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Make what is missing, replace what failed; refuse what only a person may decide."""
    changes = (leasing.change(want.site, wish, have.leases) for wish in want.leases)
    return tuple(change for change in changes if change is not None)


def apply(site: Site, change: Change) -> None:
    """Make one lease and wait for it, or give one back."""
    name = change.what.split()[-1]
    if change.verb == "delete":
        leasing.give_back(site.cloud.leases, name)
        return
    wish = next(wish for wish in want(site.settings, site.name).leases if wish.name == name)
    try:
        leasing.obtain(site.cloud.leases, wish, site.name)
    except DeadState:
        # Two leases made at once can be given the same host; one then fails. That race is Blazar's own: one more try.
        try:
            leasing.obtain(site.cloud.leases, wish, site.name)
        except DeadState as again:
            raise LeaseUnavailable(
                f"{site.name}: lease {name} failed twice",
                why=again.why,
                next=f"invoke provision.lease --site {site.name}",
            ) from again


def undo(have: Have) -> Sequence[Change]:
    """Hosts before the address."""
    names = dict.fromkeys(lease.name for lease in have.leases)
    return [Change("delete", f"lease {name}", "destroy") for name in sorted(names, key=len)]
