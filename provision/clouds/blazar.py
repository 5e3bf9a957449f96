"""Leases, by Blazar's own HTTP API: openstacksdk has no reservation module.

A lease has no tags: its name is its identity.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from provision.clouds.facts import Lease, Reservation
from provision.clouds.ownership import Owner
from provision.clouds.session import Session, refusal

MARGIN = timedelta(minutes=2)
"""The longest lease a site grants is measured by its clock, not ours: stay that much below what was asked for."""

FLAVOR, HOST, FLOATING = "flavor:instance", "physical:host", "virtual:floatingip"


@dataclass(frozen=True)
class BlazarLeases:
    """Blazar at one site."""

    session: Session
    owner: Owner

    def list_leases(self) -> tuple[Lease, ...]:
        """Ours, the ended ones too."""
        now = datetime.now(UTC)
        found = self._ask("list leases", "GET", "/leases")["leases"]
        return tuple(parse_lease(lease, now) for lease in found if lease["name"].startswith(self.owner.prefix))

    def create_lease(self, name: str, wanted: Reservation, hours: int) -> Lease:
        """Ask for a lease from now on."""
        now = datetime.now(UTC)
        body = lease_body(name, wanted, self._id_of(wanted), now + timedelta(hours=hours) - MARGIN)
        return parse_lease(self._ask(f"create lease {name}", "POST", "/leases", body)["lease"], now)

    def delete_lease(self, lease_id: str) -> None:
        """Give a lease back; silent if it is gone."""
        self._ask(f"delete lease {lease_id}", "DELETE", f"/leases/{lease_id}", ok=404)

    def _id_of(self, wanted: Reservation) -> str:
        """Blazar takes ids, never names, of flavors and networks."""
        with self.session.asking(f"find {wanted.of} to reserve") as cloud:
            if wanted.kind == FLAVOR:
                return str(cloud.compute.find_flavor(wanted.of, ignore_missing=False).id)
            if wanted.kind == FLOATING:
                return str(cloud.network.find_network(wanted.of, ignore_missing=False).id)
        return ""

    def _ask(self, what: str, method: str, path: str, body: object = None, *, ok: int = 0) -> Any:
        with self.session.asking(what) as cloud:
            answer = cloud.session.request(
                path,
                method,
                json=body,
                raise_exc=False,
                endpoint_filter={
                    "service_type": "reservation",
                    "interface": "public",
                    "region_name": cloud.config.region_name,
                },
            )
        if answer.status_code >= 400 and answer.status_code != ok:
            told = message(answer.text)
            raise refusal(f"{self.session.site}: {what}", answer.status_code, told, env=self.session.env)
        return answer.json() if answer.status_code in (200, 201, 202) and answer.content else {}


def lease_body(name: str, wanted: Reservation, id_of: str, end: datetime) -> Mapping[str, object]:
    """What Blazar is sent. Pure. id_of: of the flavor or the network, where the kind needs one."""
    requests: dict[str, dict[str, object]] = {
        FLAVOR: {"flavor_id": id_of, "amount": wanted.amount, "affinity": None},
        HOST: {
            "min": wanted.amount,
            "max": wanted.amount,
            "hypervisor_properties": "",
            "resource_properties": json.dumps(["=", "$node_type", wanted.of]),
        },
        FLOATING: {"network_id": id_of, "amount": wanted.amount},
    }
    return {
        "name": name,
        "start_date": "now",
        "end_date": end.astimezone(UTC).strftime("%Y-%m-%d %H:%M"),
        "reservations": [{"resource_type": wanted.kind, **requests[wanted.kind]}],
        "events": [],
    }


def parse_lease(found: Mapping[str, Any], now: datetime) -> Lease:
    """A lease from Blazar's words. Pure."""
    end = datetime.fromisoformat(found["end_date"]).replace(tzinfo=UTC)
    return Lease(
        name=found["name"],
        status=found["status"],
        hours_left=max(0.0, (end - now).total_seconds() / 3600),
        reservations=tuple(_parse_reservation(reservation) for reservation in found["reservations"]),
        id=found["id"],
        ends=int(end.timestamp()),
    )


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
    if isinstance(told, list) and len(told) == 3 and told[1] == "$node_type":
        return str(told[2])
    return str(told.get("name", "")) if isinstance(told, dict) else ""


def message(text: str) -> str:
    """Blazar's own words in an error's body."""
    try:
        told = json.loads(text)
    except ValueError:
        return text.strip()[:300]
    return str(told.get("error_message") or told.get("message") or text) if isinstance(told, dict) else text
