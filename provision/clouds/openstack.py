"""One site's cloud, real or rehearsed: the doors of base.py over one lazily made connection."""

from __future__ import annotations

from functools import cached_property, partial
from ipaddress import IPv4Address
from typing import Any

from provision.clouds.base import Leases, Networks, Prospect, Servers, Store
from provision.clouds.blazar import BlazarLeases
from provision.clouds.neutron import NeutronNetworks
from provision.clouds.nova import NovaServers
from provision.clouds.ownership import Owner
from provision.clouds.prospect import SiteProspect
from provision.clouds.refusals import Refusals
from provision.clouds.session import Session
from provision.clouds.storage import SiteStore
from provision.settings import Settings


class OpenStackCloud:
    """openstacksdk and Blazar at one site. Nothing is contacted before the first question; one thread a site.

    transport: a requests.Session to use instead of the network's (tests).
    """

    def __init__(self, settings: Settings, site_name: str, transport: Any = None) -> None:
        self.settings = settings
        self.site_name = site_name
        self.site = settings.sites[site_name]
        self.owner = Owner(settings.platform, site_name)
        # A testbed's credential is a person's, an embedded cloud's belongs to the platform that made it.
        refusals = Refusals((settings.config_dir if settings.embedded else settings.config_dir.parent) / "refused")
        self._ask = partial(
            Session, site_name, path=settings.clouds_path, env=settings.env, refusals=refusals, transport=transport
        )
        self.session = self._ask(entry=self.site.cloud)

    @cached_property
    def leases(self) -> Leases:
        """Blazar."""
        return BlazarLeases(self.session, self.owner)

    @cached_property
    def networks(self) -> Networks:
        """Neutron."""
        return NeutronNetworks(self.session, self.owner, self.site.network.security_groups)

    @cached_property
    def servers(self) -> Servers:
        """Nova."""
        return NovaServers(self.session, self.owner)

    @cached_property
    def store(self) -> Store:
        """Cinder and Swift: a site has what its settings put there. Its objects may live in another cloud."""
        session = self._ask(entry=self.site.store_cloud) if self.site.store_cloud else self.session
        return SiteStore(session, self.owner, self.site.volume is not None, bool(self.site.containers))

    @cached_property
    def prospect(self) -> Prospect:
        """What may be used."""
        return SiteProspect(self.session, self.site.volume is not None)

    def floating_address(self) -> IPv4Address | None:
        """The floating IP of the site's entry node, or None."""
        port = self.settings.name(self.site_name, "port", self.site.entry.number)
        return next((found.address for found in self.networks.list_addresses() if found.port == port), None)

    def lease_hours_left(self) -> float | None:
        """Of the shortest ACTIVE lease of ours; None without one."""
        return min((lease.hours_left for lease in self.leases.list_leases() if lease.status == "ACTIVE"), default=None)

    def count_servers(self) -> int:
        """Servers of ours."""
        return len(self.servers.list_servers())

    def list_leftovers(self) -> list[str]:
        """Everything of ours, as `kind name`."""
        network = self.networks.survey()
        key = self.servers.find_key(self.settings.name(self.site_name, "key"))
        found = {
            "lease": [lease.name for lease in self.leases.list_leases() if lease.status != "TERMINATED"],
            "server": [server.name for server in self.servers.list_servers()],
            "address": [str(ip.address) for ip in network.addresses],
            "port": [port.name for port in network.ports],
            "router": [router.name for router in network.routers],
            "subnet": [subnet.name for subnet in network.subnets],
            "network": [net.name for net in network.networks],
            "group": [group.name for group in network.groups],
            "volume": [volume.name for volume in self.store.list_volumes()],
            "container": [container.name for container in self.store.list_containers()],
            "key": [key.name] if key else [],
        }
        return [f"{kind} {name}" for kind, names in found.items() for name in names]
