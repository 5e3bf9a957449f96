"""What of ours neutron has, by openstacksdk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from provision.clouds.facts import FloatingIp, Group, Network, Port, Router, Subnet, Survey, Taggable
from provision.clouds.neutron_rules import parse_rule
from provision.clouds.ownership import Owner
from provision.clouds.session import Session

ROUTER_INTERFACE = "network:router_interface"
RESERVED = "reservation:"
SDK: Mapping[Taggable, str] = {
    "network": "network",
    "subnet": "subnet",
    "router": "router",
    "group": "security_group",
    "port": "port",
    "address": "ip",
}
"""Our words for the SDK's."""


@dataclass(frozen=True)
class NeutronReads:
    """What of ours neutron has at one site. has_groups: whether the site knows security groups.

    memory: lists already asked for, while one survey is made; None: every question is asked anew.
    """

    session: Session
    owner: Owner
    has_groups: bool
    memory: dict[Taggable, list[Any]] | None = None

    def survey(self, reservation: str = "") -> Survey:
        """Everything of ours, each list asked for once: a port is told with its group, a router with its subnets."""
        once = replace(self, memory={})
        return Survey(
            once.list_networks(),
            once.list_subnets(),
            once.list_routers(),
            once.list_groups(),
            once.list_ports(),
            once.list_addresses(reservation),
        )

    def list_networks(self) -> tuple[Network, ...]:
        """Ours."""
        return tuple(Network(found.name, found.id, self._tagged(found)) for found in self.ours("network"))

    def list_subnets(self) -> tuple[Subnet, ...]:
        """Ours."""
        return tuple(
            Subnet(
                found.name,
                IPv4Network(found.cidr),
                IPv4Address(found.gateway_ip) if found.gateway_ip else None,
                found.id,
                self._tagged(found),
            )
            for found in self.ours("subnet")
        )

    def list_routers(self) -> tuple[Router, ...]:
        """Ours, with the names of our subnets on them."""
        routers = self.ours("router")
        if not routers:
            return ()
        names = {subnet.id: subnet.name for subnet in self.list_subnets()}
        joined: dict[str, set[str]] = {router.id: set() for router in routers}
        for port in self.all_of("port"):
            if port.device_owner == ROUTER_INTERFACE and port.device_id in joined:
                joined[port.device_id] |= {names[ip["subnet_id"]] for ip in port.fixed_ips if ip["subnet_id"] in names}
        return tuple(
            Router(
                router.name,
                bool((router.external_gateway_info or {}).get("network_id")),
                frozenset(joined[router.id]),
                router.id,
                self._tagged(router),
            )
            for router in routers
        )

    def list_groups(self) -> tuple[Group, ...]:
        """Ours; none where the site has no security groups."""
        if not self.has_groups:
            return ()
        return tuple(
            Group(
                found.name,
                frozenset(rule for rule in map(parse_rule, found.security_group_rules) if rule is not None),
                found.id,
                self._tagged(found),
            )
            for found in self.ours("group")
        )

    def list_ports(self) -> tuple[Port, ...]:
        """Ours."""
        names = {group.id: group.name for group in self.list_groups()}
        return tuple(
            Port(
                found.name,
                IPv4Address(found.fixed_ips[0]["ip_address"]),
                next((names[group] for group in found.security_group_ids or () if group in names), ""),
                frozenset(IPv4Network(pair["ip_address"]) for pair in found.allowed_address_pairs or ()),
                found.id,
                self._tagged(found),
            )
            for found in self.ours("port")
        )

    def list_addresses(self, reservation: str = "") -> tuple[FloatingIp, ...]:
        """Ours by tag, and those that `reservation` hands out."""
        reserved = f"{RESERVED}{reservation}" if reservation else None
        found = [
            ip
            for ip in self.all_of("address")
            if self.owner.tag in ip.tags or ip.description == self.owner.tag or reserved in ip.tags
        ]
        names = {port.id: port.name for port in self.ours("port")} if found else {}
        return tuple(
            FloatingIp(
                IPv4Address(ip.floating_ip_address),
                names.get(ip.port_id, "") if ip.port_id else "",
                next((tag.removeprefix(RESERVED) for tag in ip.tags if tag.startswith(RESERVED)), ""),
                ip.id,
                self._tagged(ip),
            )
            for ip in found
        )

    def all_of(self, kind: Taggable) -> Iterable[Any]:
        """Everything of our project."""
        if self.memory is not None and kind in self.memory:
            return self.memory[kind]
        with self.session.asking(f"list {kind}s") as cloud:
            every: Callable[..., Iterable[Any]] = getattr(cloud.network, f"{SDK[kind]}s")
            found = list(every(project_id=cloud.current_project_id))
        if self.memory is not None:
            self.memory[kind] = found
        return found

    def ours(self, kind: Taggable) -> list[Any]:
        """What has our names at this site."""
        owns = self.owner.owns_tagged
        return [found for found in self.all_of(kind) if owns(kind, found.name, found.tags, found.description or "")]

    def find(self, kind: Taggable, name: str) -> Any:
        """One of ours by name (an address by itself), or None."""
        if kind == "address":
            return next((ip for ip in self.all_of(kind) if ip.floating_ip_address == name), None)
        return next((found for found in self.ours(kind) if found.name == name), None)

    def _tagged(self, found: Any) -> bool:
        return self.owner.tag in found.tags
