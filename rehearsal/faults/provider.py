# ruff: noqa: ARG002  # the signatures are those of effects.Effect
"""Faults that the provider, or another project, makes with the services' own means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from provision.errors import PreconditionMissing
from rehearsal import hosts
from rehearsal.clouds.services.servers import machine_name
from rehearsal.clouds.sites import RESERVABLE
from rehearsal.faults import foreign
from rehearsal.faults.ground import LEASES, Ground

Memory = dict[str, Any]
HOST, FLAVOR, FLOATING = "physical:host", "flavor:instance", "virtual:floatingip"


@dataclass(frozen=True)
class AllHostsLeased:
    """Another project has every host of a node type."""

    node_type: str

    def on(self, ground: Ground, name: str) -> Memory:
        """As many as are free."""
        count = len([host for host in ground.cloud.hosts if host.node_type == self.node_type])
        held = {
            "resource_type": HOST,
            "min": 1,
            "max": count,
            "hypervisor_properties": "",
            "resource_properties": f'["=", "$node_type", "{self.node_type}"]',
        }
        foreign.take(ground, name, held)
        return {}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Given back."""
        foreign.give_back(ground, name)


@dataclass(frozen=True)
class AllAddressesLeased:
    """Another project has every floating IP that leases hand out."""

    def on(self, ground: Ground, name: str) -> Memory:
        """Blazar gives a number or nothing: the largest number that it gives."""
        network = ground.admin().network.find_network("public", ignore_missing=False).id
        for amount in range(len(RESERVABLE), 0, -1):
            held = {"resource_type": FLOATING, "network_id": network, "amount": amount}
            if foreign.take(ground, name, held, must=False):
                return {}
        raise PreconditionMissing(
            f"{ground.site}: leases hold every floating IP already", next=f"invoke lease.status --site {ground.site}"
        )

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Given back."""
        foreign.give_back(ground, name)


@dataclass(frozen=True)
class AddressTaken:
    """Another project has a fixed address of the shared network."""

    address: str

    def on(self, ground: Ground, name: str) -> Memory:
        """A port that nobody uses."""
        admin = ground.admin()
        network = admin.network.find_network("sharednet1", ignore_missing=False)
        port = admin.network.create_port(
            network_id=network.id, name=f"fault-{name}", fixed_ips=[{"ip_address": self.address}]
        )
        return {"port": port.id}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Gone."""
        ground.admin().network.delete_port(memory["port"], ignore_missing=True)


@dataclass(frozen=True)
class Quota:
    """A quota of the project that holds next to nothing. service: compute, block_storage or network, in SDK's words."""

    service: str
    limits: Mapping[str, int]

    def on(self, ground: Ground, name: str) -> Memory:
        """Remembers what it was."""
        before = self._quotas(ground, "get")
        self._quotas(ground, "put", self.limits)
        return {"before": {key: before[key] for key in self.limits}}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """As it was."""
        self._quotas(ground, "put", memory["before"])

    def _quotas(self, ground: Ground, verb: str, limits: Mapping[str, int] | None = None) -> Any:
        """By the services' own paths: the SDK's resources rename some of the keys."""
        admin = ground.admin()
        path, body = ("/quotas", "quota") if self.service == "network" else ("/os-quota-sets", "quota_set")
        ask = getattr(getattr(admin, self.service), verb)
        sent = {"json": {body: dict(limits)}} if limits else {}
        return ask(f"{path}/{ground.project(admin)}", raise_exc=True, **sent).json()[body]


@dataclass(frozen=True)
class FlavorHidden:
    """The private flavor of a reservation that the project may not see."""

    def on(self, ground: Ground, name: str) -> Memory:
        """The flavors of every reservation that runs."""
        admin, user = ground.admin(), ground.user()
        leases = ground.active_leases(user, FLAVOR)
        ids = [held["id"] for lease in leases for held in lease["reservations"] if held["resource_type"] == FLAVOR]
        if not ids:
            raise PreconditionMissing(
                f"{ground.site}: no reservation of flavors runs", next=f"invoke provision.lease --site {ground.site}"
            )
        for flavor in ids:
            admin.compute.flavor_remove_tenant_access(flavor, ground.project(admin))
        return {"flavors": ids}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Those that are still there."""
        admin = ground.admin()
        for flavor in memory["flavors"]:
            if admin.compute.find_flavor(flavor, ignore_missing=True) is not None:
                admin.compute.flavor_add_tenant_access(flavor, ground.project(admin))


@dataclass(frozen=True)
class FirewallOff:
    """The hosts of the site have lost their firewall, as after an update of theirs or by somebody's hand."""

    def on(self, ground: Ground, name: str) -> Memory:
        """Stopped, and not started at the next boot."""
        found = [machine_name(server.id) for server in ground.user().compute.servers(details=False)]
        for machine in found:
            hosts.disable_unit(ground.places.platform, machine, "firewalld")
        return {"hosts": found}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """Whoever wants it on turns it on."""


@dataclass(frozen=True)
class LeasesEnd:
    """The project's leases of servers end in so many minutes, as if their time had come. Cannot be taken back."""

    minutes: int

    def on(self, ground: Ground, name: str) -> Memory:
        """Anybody may shorten a lease."""
        user = ground.user()
        ends = (datetime.now(UTC) + timedelta(minutes=self.minutes)).strftime("%Y-%m-%d %H:%M")
        leases = [lease for kind in (HOST, FLAVOR) for lease in ground.active_leases(user, kind)]
        for lease in leases:
            ground.blazar(user, "PUT", f"{LEASES}/{lease['id']}", {"end_date": ends})
        return {"ended": [lease["name"] for lease in leases]}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """What has ended stays so."""


@dataclass(frozen=True)
class IdleReaper:
    """What hammers' unutilized_lease_reaper does: leases of hosts on which nothing ever ran are taken back, now."""

    def on(self, ground: Ground, name: str) -> Memory:
        """Only where the project has no server at all."""
        user = ground.user()
        if any(user.compute.servers(details=False)):
            return {"taken": []}
        leases = ground.active_leases(user, HOST)
        for lease in leases:
            ground.blazar(user, "DELETE", f"{LEASES}/{lease['id']}")
        return {"taken": [lease["name"] for lease in leases]}

    def off(self, ground: Ground, name: str, memory: Memory) -> None:
        """What was taken stays taken."""
