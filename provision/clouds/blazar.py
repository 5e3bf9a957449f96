"""Leases, by Blazar's own HTTP API: openstacksdk has no reservation module.

A lease has no tags: its whole name is its identity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from provision.clouds.blazar_words import (
    FLAVOR,
    FLOATING,
    date_text,
    lease_body,
    message,
    others,
    parse_calendar,
    parse_lease,
)
from provision.clouds.facts import Calendar, Lease, Others, Reservation
from provision.clouds.ownership import Owner
from provision.clouds.session import Session, refusal

MARGIN = timedelta(minutes=2)
"""The longest lease a site grants is measured by its clock, not ours: stay that much below what was asked for."""

NOT_FOR_USERS = (403, 404)


@dataclass(frozen=True)
class BlazarLeases:
    """Blazar at one site."""

    session: Session
    owner: Owner

    def list_leases(self) -> tuple[Lease, ...]:
        """Ours, the ended ones too."""
        now = datetime.now(UTC)
        return tuple(parse_lease(lease, now) for lease in self._list() if self._is_ours(lease["name"]))

    def count_others(self) -> Others:
        """What of the project's leases is not ours, the ended ones left out."""
        there = [lease for lease in self._list() if lease["status"] != "TERMINATED"]
        return others([lease["name"] for lease in there], self.owner.platform, self.owner.site)

    def find_calendar(self, node_type: str) -> Calendar | None:
        """When the hosts of a node type are taken. Chameleon lets users read it; a cloud may not."""
        hosts = self._ask("list hosts", "GET", "/os-hosts", ok=NOT_FOR_USERS).get("hosts")
        taken = self._ask("list allocations", "GET", "/os-hosts/allocations", ok=NOT_FOR_USERS).get("allocations")
        if hosts is None or taken is None:
            return None
        of_type = [host for host in hosts if host.get("node_type") == node_type]
        return parse_calendar(of_type, taken, datetime.now(UTC))

    def create_lease(self, name: str, wanted: Reservation, hours: int, avoid: Sequence[str] = ()) -> Lease:
        """Ask for a lease from now on."""
        now = datetime.now(UTC)
        body = lease_body(name, wanted, self._id_of(wanted), now + timedelta(hours=hours) - MARGIN, avoid)
        return parse_lease(self._ask(f"create lease {name}", "POST", "/leases", body)["lease"], now)

    def extend_lease(self, lease_id: str, ends: int) -> Lease:
        """Let a lease end later."""
        body = {"end_date": date_text(datetime.fromtimestamp(ends, UTC))}
        told = self._ask(f"extend lease {lease_id}", "PUT", f"/leases/{lease_id}", body)
        return parse_lease(told["lease"], datetime.now(UTC))

    def delete_lease(self, lease_id: str) -> None:
        """Give a lease back; silent if it is gone."""
        self._ask(f"delete lease {lease_id}", "DELETE", f"/leases/{lease_id}", ok=(404,))

    def _list(self) -> list[dict[str, Any]]:
        return list(self._ask("list leases", "GET", "/leases")["leases"])

    def _is_ours(self, name: str) -> bool:
        """The whole name: a platform called `a-kvm-tacc` has leases that begin like those of platform `a`."""
        return re.fullmatch(rf"{re.escape(self.owner.prefix)}lease(-[a-z]+)?", name) is not None

    def _id_of(self, wanted: Reservation) -> str:
        """Blazar takes ids, never names, of flavors and networks."""
        with self.session.asking(f"find {wanted.of} to reserve") as cloud:
            if wanted.kind == FLAVOR:
                return str(cloud.compute.find_flavor(wanted.of, ignore_missing=False).id)
            if wanted.kind == FLOATING:
                return str(cloud.network.find_network(wanted.of, ignore_missing=False).id)
        return ""

    def _ask(self, what: str, method: str, path: str, body: object = None, *, ok: Sequence[int] = ()) -> Any:
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
        if answer.status_code >= 400 and answer.status_code not in ok:
            told = message(answer.text)
            raise refusal(f"{self.session.site}: {what}", answer.status_code, told, env=self.session.env)
        return answer.json() if answer.status_code in (200, 201, 202) and answer.content else {}
