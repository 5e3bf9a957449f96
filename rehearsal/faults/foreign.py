"""Leases of another project, taken and given back. Both are waited for.

Blazar refuses to delete a lease that is starting, and one with many addresses starts for several seconds: what was
asked for too early would stay for a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from provision.errors import DeadlineExceeded
from provision.obtaining import UNDERWAY
from provision.wait import never, wait_until
from rehearsal.faults.ground import LEASES, Ground

HOURS = 24
DEADLINE_S = 120.0


def take(ground: Ground, name: str, held: Mapping[str, object], *, must: bool = True) -> bool:
    """Lease something for a fault; returns once the lease is ACTIVE, so that it can be given back at any time.

    False where Blazar refuses it, which `must` raises. Raises DeadlineExceeded, DeadState; nothing of it stays then.
    """
    admin = ground.admin()
    if ground.blazar(admin, "POST", LEASES, _body(name, held), must=must) is None:
        return False
    try:
        wait_until(
            f"{ground.site}: lease of fault {name} ACTIVE",
            lambda: _told(ground, admin, name),
            lambda leases: bool(leases) and all(status == "ACTIVE" for status in leases.values()),
            lambda leases: "ERROR" in leases.values(),
            deadline_s=DEADLINE_S,
            every_s=1.0,
        )
    except DeadlineExceeded:
        give_back(ground, name)
        raise
    return True


def give_back(ground: Ground, name: str) -> None:
    """Every lease of a fault; returns once none is listed any more. Raises DeadlineExceeded with those that are."""
    admin = ground.admin()
    wait_until(
        f"{ground.site}: leases of fault {name} given back",
        lambda: _delete(ground, admin, name),
        lambda left: not left,
        never,  # a deletion that was refused is asked for again
        deadline_s=DEADLINE_S,
        every_s=1.0,
        next=f"invoke rehearsal.fault {name} --off",
    )


def _delete(ground: Ground, admin: Any, name: str) -> Mapping[str, str]:
    """Ask for the end of what can end now; returns what is left."""
    for lease, status in _told(ground, admin, name).items():
        if status not in UNDERWAY:
            ground.blazar(admin, "DELETE", f"{LEASES}/{lease}", must=False)
    return _told(ground, admin, name)


def _told(ground: Ground, admin: Any, name: str) -> Mapping[str, str]:
    """The statuses of a fault's leases, by their ids."""
    leases = ground.blazar(admin, "GET", LEASES)["leases"]
    return {str(lease["id"]): str(lease["status"]) for lease in leases if lease["name"] == _name(name)}


def _name(fault: str) -> str:
    return f"fault-{fault}"


def _body(name: str, held: Mapping[str, object]) -> Mapping[str, object]:
    end = (datetime.now(UTC) + timedelta(hours=HOURS)).strftime("%Y-%m-%d %H:%M")
    return {"name": _name(name), "start_date": "now", "end_date": end, "reservations": [held], "events": []}
