"""Blazar's words, both ways. Pure: what it is sent, and what its answers mean.

It takes ids, never names, of flavors and networks, dates in UTC to the minute, and properties as strings only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from provision.clouds.facts import Busy, Calendar, Host, Lease, Others, Reservation

FLAVOR, HOST, FLOATING = "flavor:instance", "physical:host", "virtual:floatingip"
GOOD_RESERVATIONS = frozenset({"pending", "active"})


def lease_body(
    name: str, wanted: Reservation, id_of: str, end: datetime, avoid: Sequence[str] = ()
) -> Mapping[str, object]:
    """What Blazar is sent for a lease. id_of: of the flavor or the network, where the kind needs one."""
    requests: dict[str, dict[str, object]] = {
        FLAVOR: {"flavor_id": id_of, "amount": wanted.amount, "affinity": None},
        HOST: {
            "min": wanted.amount,
            "max": wanted.amount,
            "hypervisor_properties": "",
            "resource_properties": json.dumps(_properties(wanted.of, avoid)),
        },
        FLOATING: {"network_id": id_of, "amount": wanted.amount},
    }
    return {
        "name": name,
        "start_date": "now",
        "end_date": date_text(end),
        "reservations": [{"resource_type": wanted.kind, **requests[wanted.kind]}],
        "events": [],
    }


def date_text(moment: datetime) -> str:
    """A date as Blazar reads it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _properties(node_type: str, avoid: Sequence[str]) -> list[object]:
    of_type: list[object] = ["=", "$node_type", node_type]
    return ["and", of_type, *(["!=", "$hypervisor_hostname", host] for host in avoid)] if avoid else of_type


def parse_lease(found: Mapping[str, Any], now: datetime) -> Lease:
    """A lease from Blazar's words."""
    end = _date(found["end_date"])
    return Lease(
        name=found["name"],
        status="ACTIVE" if _stands(found) else found["status"],
        hours_left=max(0.0, (end - now).total_seconds() / 3600),
        reservations=tuple(_parse_reservation(reservation) for reservation in found["reservations"]),
        id=found["id"],
        ends=int(end.timestamp()),
        starts=int(_date(found["start_date"]).timestamp()) if found.get("start_date") else 0,
        why=_why(found),
    )


def parse_calendar(hosts: Sequence[Mapping[str, Any]], taken: Sequence[Mapping[str, Any]], now: datetime) -> Calendar:
    """hosts: of one node type. taken: the allocations of all hosts, which tell of a host by its id."""
    busy = {
        str(row["resource_id"]): tuple(
            Busy(int(_date(one["start_date"]).timestamp()), int(_date(one["end_date"]).timestamp()), one["lease_id"])
            for one in row["reservations"]
        )
        for row in taken
    }
    usable = [host for host in hosts if host.get("reservable", True) and not host.get("disabled", False)]
    named = [Host(str(host["hypervisor_hostname"]), busy.get(str(host["id"]), ())) for host in usable]
    return Calendar(int(now.timestamp()), tuple(named))


def others(names: Sequence[str], own: str, site: str) -> Others:
    """Whose the leases of a project at a site are, apart from those of the platform `own`."""
    named = re.compile(rf"([a-z][a-z0-9-]*)-{re.escape(site)}-lease(-[a-z]+)?")
    told = [found.group(1) if (found := named.fullmatch(name)) else "" for name in names]
    foreign = [platform for platform in told if platform != own]
    return Others(tuple(sorted({platform for platform in foreign if platform})), len(foreign))


def message(text: str) -> str:
    """Blazar's own words in an error's body."""
    try:
        told = json.loads(text)
    except ValueError:
        return text.strip()[:300]
    return str(told.get("error_message") or told.get("message") or text) if isinstance(told, dict) else text


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _stands(found: Mapping[str, Any]) -> bool:
    """Whether a lease in ERROR still holds what it reserved: Blazar leaves one so when a plugin refuses a change.

    Its servers go on, its end comes in time, and the next change that is granted makes it ACTIVE again.
    """
    held = [reservation["status"] for reservation in found["reservations"]]
    ends = [event["status"] for event in found.get("events", ()) if event["event_type"] == "end_lease"]
    return found["status"] == "ERROR" and set(held) == {"active"} and ends == ["UNDONE"]


def _why(found: Mapping[str, Any]) -> str:
    """What is wrong: reservations that are not well, hosts that Blazar lost, events that failed."""
    refused = ["ERROR since a change that was refused; what it reserved is active"] if _stands(found) else []
    bad = [
        f"reservation of {held['resource_type']} {held['status']}"
        for held in found["reservations"]
        if held["status"] not in GOOD_RESERVATIONS and found["status"] not in ("TERMINATED", "DELETING")
    ]
    lost = [
        f"{held['resource_type']} lacks what it reserved"
        for held in found["reservations"]
        if held.get("missing_resources")
    ]
    events = [f"event {event['event_type']} failed" for event in found.get("events", ()) if event["status"] == "ERROR"]
    return "; ".join((*refused, *bad, *lost, *events))


def _parse_reservation(found: Mapping[str, Any]) -> Reservation:
    amount = found.get("amount") or found.get("max") or 0
    return Reservation(
        kind=found["resource_type"],
        amount=int(amount),
        of=_reserved(found),
        id=found["id"],
        status=found["status"],
    )


def _reserved(found: Mapping[str, Any]) -> str:
    """The node type or the flavor's name that a reservation was made for; '' where Blazar does not tell."""
    properties = found.get("resource_properties") or ""
    try:
        told = json.loads(properties) if properties else {}
    except ValueError:
        return ""
    if isinstance(told, dict):
        return str(told.get("name", ""))
    clauses = told[1:] if told[:1] == ["and"] else [told]
    return next((str(clause[2]) for clause in clauses if clause[1:2] == ["$node_type"]), "")
