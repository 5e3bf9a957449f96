"""Networks, by openstacksdk. Things are known by name; a mark in `description` says whose they are from birth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from provision.clouds.facts import Port, Rule, Subnet, Taggable
from provision.clouds.neutron_reads import ROUTER_INTERFACE, SDK, NeutronReads
from provision.clouds.neutron_rules import parse_rule, rule_body
from provision.errors import PreconditionMissing


@dataclass(frozen=True)
class NeutronNetworks(NeutronReads):
    """Neutron at one site."""

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
        router = self.find("router", name) or self._create("router", name=name, external_gateway_info=gateway)
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
        found = self.find(kind, name)
        if found is None:
            return
        with self.session.asking(f"delete {kind} {name}") as cloud:
            if kind == "router":
                for port in cloud.network.ports(device_id=found.id, device_owner=ROUTER_INTERFACE):
                    cloud.network.remove_interface_from_router(found, port_id=port.id)
            getattr(cloud.network, f"delete_{SDK[kind]}")(found, ignore_missing=True)

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
            make: Callable[..., Any] = getattr(cloud.network, f"create_{SDK[kind]}")
            made = make(description=self.owner.tag, **attributes)
        self._tag(kind, made)
        return made

    def _tag(self, kind: Taggable, found: Any) -> None:
        with self.session.asking(f"tag {kind}") as cloud:
            cloud.network.set_tags(found, sorted({*found.tags, self.owner.tag}))

    def _one(self, kind: Taggable, name: str) -> Any:
        found = self.find(kind, name)
        if found is None:
            raise PreconditionMissing(
                f"{self.owner.site}: no {kind} {name}", next=f"invoke provision.network --site {self.owner.site}"
            )
        return found

    def _public(self, name: str) -> str:
        with self.session.asking(f"find network {name}") as cloud:
            return str(cloud.network.find_network(name, ignore_missing=False).id)
