"""What neutron's database says the kernel should look like. Reads plain SQL, so that a look costs a millisecond."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

from rehearsal.clouds.services.servers import bridge_name
from rehearsal.network import FloatingIp, Network, Port, SecurityRule, SiteRules

ANYWHERE = "0.0.0.0/0"
_PROTOCOLS: Mapping[str, Literal["tcp", "udp", "icmp"]] = {
    "tcp": "tcp",
    "6": "tcp",
    "udp": "udp",
    "17": "udp",
    "icmp": "icmp",
    "1": "icmp",
}
_ANY_PROTOCOL = {"", "0", "any"}

_SUBNETS = """
SELECT s.id, s.network_id, s.cidr FROM subnets s
WHERE s.ip_version = 4 AND s.network_id NOT IN (SELECT network_id FROM externalnetworks) ORDER BY s.network_id, s.id
"""
_ROUTED = """
SELECT i.subnet_id, i.ip_address, gateway.ip_address FROM ports p
JOIN ipallocations i ON i.port_id = p.id
JOIN routers r ON r.id = p.device_id
LEFT JOIN ipallocations gateway ON gateway.port_id = r.gw_port_id
WHERE p.device_owner = 'network:router_interface'
"""
_PORTS = """
SELECT p.id, i.ip_address, coalesce(s.port_security_enabled, 1) FROM ports p
JOIN ipallocations i ON i.port_id = p.id JOIN subnets n ON n.id = i.subnet_id
LEFT JOIN portsecuritybindings s ON s.port_id = p.id
WHERE p.device_owner NOT LIKE 'network:%' AND n.ip_version = 4 ORDER BY i.ip_address
"""
_GROUPS = "SELECT port_id, security_group_id FROM securitygroupportbindings"
_RULES = """
SELECT security_group_id, coalesce(protocol, ''), port_range_min, port_range_max, remote_ip_prefix, remote_group_id
FROM securitygrouprules
WHERE direction = 'ingress' AND ethertype = 'IPv4' AND remote_address_group_id IS NULL ORDER BY id
"""
_FLOATING = """
SELECT f.id, f.floating_ip_address, f.fixed_ip_address, f.status FROM floatingips f
WHERE f.fixed_port_id IS NOT NULL ORDER BY f.floating_ip_address
"""
_PAIRS = "SELECT DISTINCT ip_address FROM allowedaddresspairs WHERE instr(ip_address, ':') = 0 ORDER BY ip_address"


@dataclass(frozen=True, slots=True)
class Fabric:
    """One site's wishes. bridges: name -> gateway address with prefix, None without a router.

    idle_floating: ids of floating IPs that have a port but do not say ACTIVE yet.
    """

    bridges: Mapping[str, str | None]
    rules: SiteRules
    idle_floating: tuple[str, ...]


def read(database: sqlite3.Connection, site: str, *, has_security_groups: bool) -> Fabric:
    """The whole of it, in one look."""
    bridges: dict[str, str | None] = {}
    networks = []
    routed = {subnet: (address, gateway) for subnet, address, gateway in database.execute(_ROUTED)}
    for subnet, network, cidr in database.execute(_SUBNETS):
        name = bridge_name(site, network)
        address, snat_ip = routed.get(subnet, (None, None))
        bridges[name] = bridges.get(name) or (f"{address}/{IPv4Network(cidr).prefixlen}" if address else None)
        networks.append(Network(bridge=name, cidr=cidr, snat_ip=snat_ip))
    floating = database.execute(_FLOATING).fetchall()
    rules = SiteRules(
        site=site,
        networks=tuple(networks),
        ports=_ports(database, has_security_groups),
        floating_ips=tuple(FloatingIp(address, fixed) for _, address, fixed, _ in floating),
        pod_cidrs=tuple(row[0] for row in database.execute(_PAIRS)),
    )
    return Fabric(bridges, rules, tuple(row[0] for row in floating if row[3] != "ACTIVE"))


def _ports(database: sqlite3.Connection, has_security_groups: bool) -> tuple[Port, ...]:
    rows = database.execute(_PORTS).fetchall()
    if not has_security_groups:
        return tuple(Port(address) for _, address, _ in rows)
    groups: dict[str, list[str]] = defaultdict(list)
    for port, group in database.execute(_GROUPS):
        groups[port].append(group)
    members: dict[str, list[str]] = defaultdict(list)
    for port, address, _ in rows:
        for group in groups[port]:
            members[group].append(address)
    rules = _rules(database, members)
    return tuple(
        Port(address, _flat(rules[group] for group in sorted(groups[port])) if secured else None)
        for port, address, secured in rows
    )


def _rules(database: sqlite3.Connection, members: Mapping[str, list[str]]) -> Mapping[str, tuple[SecurityRule, ...]]:
    """Ingress rules by group. A protocol that we do not render lets nobody in, rather than everybody."""
    found: dict[str, list[SecurityRule]] = defaultdict(list)
    for group, protocol, first, last, prefix, remote_group in database.execute(_RULES):
        remotes = tuple(members.get(remote_group, ())) if remote_group else (prefix or ANYWHERE,)
        if protocol in _ANY_PROTOCOL:
            found[group].append(SecurityRule(remotes=remotes))
        elif protocol in _PROTOCOLS:
            ports = (first, last) if first is not None and _PROTOCOLS[protocol] != "icmp" else None
            found[group].append(SecurityRule(_PROTOCOLS[protocol], ports, remotes))
    return defaultdict(tuple, {group: tuple(rules) for group, rules in found.items()})


def _flat(groups: Iterable[tuple[SecurityRule, ...]]) -> tuple[SecurityRule, ...]:
    return tuple(rule for group in groups for rule in group)
