"""Networks, by openstacksdk. Things are known by name; a mark in `description` says whose they are from birth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from provision.clouds.facts import FloatingIp, Group, Network, Port, Router, Rule, Subnet, Taggable
from provision.clouds.neutron_rules import parse_rule, rule_body
from provision.clouds.ownership import Owner
from provision.clouds.session import Session
from provision.errors import PreconditionMissing

ROUTER_INTERFACE = "network:router_interface"
RESERVED = "reservation:"
_SDK: Mapping[Taggable, str] = {
    "network": "network",
    "subnet": "subnet",
    "router": "router",
    "group": "security_group",
    "port": "port",
    "address": "ip",
}
"""Our words for the SDK's."""


@dataclass(frozen=True)
class NeutronNetworks:
    """Neutron at one site. has_groups: whether the site knows security groups."""

    session: Session
    owner: Owner
    has_groups: bool

    def has_network(self, name: str) -> bool:
        """Whether the site offers a network of this name."""
        with self.session.asking(f"find network {name}") as cloud:
            return any(True for _ in cloud.network.networks(name=name))

    def list_networks(self) -> tuple[Network, ...]:
        """Ours."""
        return tuple(Network(found.name, found.id, self._tagged(found)) for found in self._ours("network"))

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
            for found in self._ours("subnet")
        )

    def list_routers(self) -> tuple[Router, ...]:
        """Ours, with the names of our subnets on them."""
        routers = self._ours("router")
        if not routers:
            return ()
        names = {subnet.id: subnet.name for subnet in self.list_subnets()}
        joined: dict[str, set[str]] = {router.id: set() for router in routers}
        for port in self._all("port"):
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
            for found in self._ours("group")
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
            for found in self._ours("port")
        )

    def list_addresses(self, reservation: str = "") -> tuple[FloatingIp, ...]:
        """Ours by tag, and those that `reservation` hands out."""
        reserved = f"{RESERVED}{reservation}" if reservation else None
        found = [
            ip
            for ip in self._all("address")
            if self.owner.tag in ip.tags or ip.description == self.owner.tag or reserved in ip.tags
        ]
        names = {port.id: port.name for port in self._ours("port")} if found else {}
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

    def tag(self, kind: Taggable, name: str) -> None:
        """Tag what was made but not tagged."""
        self._tag(kind, self._one(kind, name))

    def create_network(self, name: str) -> None:
        """A private network."""
        self._create("network", name=name)

    def create_subnet(self, subnet: Subnet, network: str) -> None:
        """A network's addresses."""
        self._create(
            "subnet",
            name=subnet.name,
            network_id=self._one("network", network).id,
            ip_version=4,
            cidr=str(subnet.cidr),
            gateway_ip=str(subnet.gateway) if subnet.gateway else None,
        )

    def create_router(self, name: str, public: str, subnet: str) -> None:
        """Make a router, or complete one."""
        gateway = {"network_id": self._public(public)}
        router = self._find("router", name) or self._create("router", name=name, external_gateway_info=gateway)
        with self.session.asking(f"complete router {name}") as cloud:
            if not (router.external_gateway_info or {}).get("network_id"):
                cloud.network.update_router(router, external_gateway_info=gateway)
            if subnet not in next(found.joins for found in self.list_routers() if found.name == name):
                cloud.network.add_interface_to_router(router, subnet_id=self._one("subnet", subnet).id)

    def create_group(self, name: str) -> None:
        """A security group; it lets nothing in yet."""
        self._create("group", name=name)

    def create_rule(self, group: str, rule: Rule) -> None:
        """Let something in."""
        where = self._one("group", group)
        with self.session.asking(f"create rule {rule}") as cloud:
            cloud.network.create_security_group_rule(security_group_id=where.id, **rule_body(rule))

    def delete_rule(self, group: str, rule: Rule) -> None:
        """Let it in no more."""
        where = self._one("group", group)
        with self.session.asking(f"delete rule {rule}") as cloud:
            for found in where.security_group_rules:
                if parse_rule(found) == rule:
                    cloud.network.delete_security_group_rule(found["id"])

    def create_port(self, port: Port, network: str) -> None:
        """A port with a fixed address."""
        with self.session.asking(f"find network {network}") as cloud:
            where = cloud.network.find_network(network, ignore_missing=False)
        fixed = [{"subnet_id": where.subnet_ids[0], "ip_address": str(port.address)}]
        self._create("port", name=port.name, network_id=where.id, fixed_ips=fixed, **self._guard(port))

    def update_port(self, port: Port) -> None:
        """Group and pairs as given."""
        found = self._one("port", port.name)
        with self.session.asking(f"update port {port.name}") as cloud:
            cloud.network.update_port(found, **self._guard(port))

    def create_address(self, public: str) -> IPv4Address:
        """A floating IP from the pool."""
        made = self._create("address", floating_network_id=self._public(public))
        return IPv4Address(made.floating_ip_address)

    def bind_address(self, address: IPv4Address, port: str) -> None:
        """Lead a floating IP to a port, or to none."""
        ip = self._one("address", str(address))
        target = self._one("port", port).id if port else None
        with self.session.asking(f"lead {address} to {port or 'nowhere'}") as cloud:
            cloud.network.update_ip(ip, port_id=target)
        self._tag("address", ip)

    def delete(self, kind: Taggable, name: str) -> None:
        """Delete one thing of ours by name; silent if it is gone."""
        found = self._find(kind, name)
        if found is None:
            return
        with self.session.asking(f"delete {kind} {name}") as cloud:
            if kind == "router":
                for port in cloud.network.ports(device_id=found.id, device_owner=ROUTER_INTERFACE):
                    cloud.network.remove_interface_from_router(found, port_id=port.id)
            getattr(cloud.network, f"delete_{_SDK[kind]}")(found, ignore_missing=True)

    def _guard(self, port: Port) -> dict[str, object]:
        """Security group and pairs of a port; nothing where the site has neither."""
        if not self.has_groups:
            return {}
        groups = [self._one("group", port.group).id] if port.group else []
        pairs = [{"ip_address": str(pair)} for pair in sorted(port.pairs)]
        return {"security_groups": groups, "allowed_address_pairs": pairs}

    def _create(self, kind: Taggable, **attributes: object) -> Any:
        name = attributes.get("name", "")
        with self.session.asking(f"create {kind} {name}") as cloud:
            make: Callable[..., Any] = getattr(cloud.network, f"create_{_SDK[kind]}")
            made = make(description=self.owner.tag, **attributes)
        self._tag(kind, made)
        return made

    def _tag(self, kind: Taggable, found: Any) -> None:
        with self.session.asking(f"tag {kind}") as cloud:
            cloud.network.set_tags(found, sorted({*found.tags, self.owner.tag}))

    def _all(self, kind: Taggable) -> Iterable[Any]:
        """Everything of our project."""
        with self.session.asking(f"list {kind}s") as cloud:
            every: Callable[..., Iterable[Any]] = getattr(cloud.network, f"{_SDK[kind]}s")
            return list(every(project_id=cloud.current_project_id))

    def _ours(self, kind: Taggable) -> list[Any]:
        owns = self.owner.owns_tagged
        return [found for found in self._all(kind) if owns(kind, found.name, found.tags, found.description or "")]

    def _find(self, kind: Taggable, name: str) -> Any:
        if kind == "address":
            return next((ip for ip in self._all(kind) if ip.floating_ip_address == name), None)
        return next((found for found in self._ours(kind) if found.name == name), None)

    def _one(self, kind: Taggable, name: str) -> Any:
        found = self._find(kind, name)
        if found is None:
            raise PreconditionMissing(
                f"{self.owner.site}: no {kind} {name}", next=f"invoke provision.network --site {self.owner.site}"
            )
        return found

    def _public(self, name: str) -> str:
        with self.session.asking(f"find network {name}") as cloud:
            return str(cloud.network.find_network(name, ignore_missing=False).id)

    def _tagged(self, found: Any) -> bool:
        return self.owner.tag in found.tags
