"""Floating IPs and security groups of one site as an nft table. Pure: data in, text out.

A site's table only translates and refuses; what may pass between interfaces at all is the namespace's own table
(tables.py), which holds even while no site has rules. Security groups are asked after source translation, so they see
what Neutron's would: a host of the other site by its floating IP, the machine by its address. They are asked at
postrouting, which routed packets and bridged frames (through br_netfilter) both pass with the final addresses.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from provision.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_AFTER_SOURCE_NAT = 150


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """One kind of new connection that a port accepts.

    protocol None: any. ports: first and last, None for all. remotes: CIDRs or addresses; a remote group is its
    members' addresses, so no members is () and lets nobody in.
    """

    protocol: Literal["tcp", "udp", "icmp"] | None = None
    ports: tuple[int, int] | None = None
    remotes: tuple[str, ...] = ("0.0.0.0/0",)


@dataclass(frozen=True, slots=True)
class Port:
    """A host's address. rules None: port security is off; (): nothing new comes in."""

    fixed_ip: str
    rules: tuple[SecurityRule, ...] | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A private network. snat_ip: its router's gateway address on the public network, None without such a router."""

    bridge: str
    cidr: str
    snat_ip: str | None = None


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A public address, and the host's address that it stands for in both directions."""

    address: str
    fixed_ip: str


@dataclass(frozen=True, slots=True)
class SiteRules:
    """All that one site's Neutron wants of the packets. pod_cidrs: addresses that hosts route among themselves."""

    site: str
    networks: tuple[Network, ...] = ()
    ports: tuple[Port, ...] = ()
    floating_ips: tuple[FloatingIp, ...] = ()
    pod_cidrs: tuple[str, ...] = ()


def render(rules: SiteRules) -> str:
    """The site's table, replacing the one before in the same transaction. Raises UsageError for what is no address."""
    name = table(rules.site)
    body = [*_translation(rules), *_refusal(rules)]
    lines = [f"table ip {name}", f"delete table ip {name}", f"table ip {name} {{", *(f"  {line}" for line in body), "}"]
    return "\n".join(lines) + "\n"


def render_nothing(site: str) -> str:
    """The transaction that removes the site's table, also where there is none."""
    return f"table ip {table(site)}\ndelete table ip {table(site)}\n"


def table(site: str) -> str:
    """The table's name."""
    if not _NAME.fullmatch(site):
        raise UsageError(f"site {site!r}: lower-case letters, digits and dashes, at most 31")
    return f"tandem-{site}"


def _translation(rules: SiteRules) -> list[str]:
    """Floating IP to host; and whoever goes to a floating IP leaves its network as its own one, or as the router."""
    pairs = sorted({(_address(fip.address), _address(fip.fixed_ip)) for fip in rules.floating_ips})
    to_host = _elements(f"{public} : {fixed}" for public, fixed in pairs)
    to_public = _elements(f"{fixed} : {public}" for public, fixed in pairs)
    lines = [
        f"map to_host {{ type ipv4_addr : ipv4_addr{to_host}; }}",
        f"map to_public {{ type ipv4_addr : ipv4_addr{to_public}; }}",
        "chain prerouting {",
        "  type nat hook prerouting priority -100; policy accept;",
        "  dnat to ip daddr map @to_host",
        "}",
        "chain postrouting {",
        "  type nat hook postrouting priority 100; policy accept;",
    ]
    for network in rules.networks:
        leaving = f"  ip saddr {_cidr(network.cidr)} ct status dnat"
        lines.append(f"{leaving} snat to ip saddr map @to_public")
        if network.snat_ip is not None:
            lines.append(f"{leaving} snat to {_address(network.snat_ip)}")
    return [*lines, "}"]


def _refusal(rules: SiteRules) -> list[str]:
    """New connections to a port with security groups, unless a rule lets them in; pods of the same network always."""
    filtered = {_address(port.fixed_ip): port.rules for port in rules.ports if port.rules is not None}
    lines: list[str] = []
    for fixed_ip, allowed in sorted(filtered.items()):
        accepted = (f"  {line} accept" for line in _allowed(allowed))
        lines += [f"chain {_chain(fixed_ip)} {{", *accepted, "  counter drop", "}"]
    lines += [
        "chain security_groups {",
        f"  type filter hook postrouting priority {_AFTER_SOURCE_NAT}; policy accept;",
        "  ct state established,related accept",
    ]
    pods = ", ".join(_cidr(cidr) for cidr in rules.pod_cidrs)
    if pods:
        lines += [f'  oifname "{bridge_name(net.bridge)}" ip saddr {{ {pods} }} accept' for net in rules.networks]
    if filtered:
        jumps = ", ".join(f"{fixed_ip} : jump {_chain(fixed_ip)}" for fixed_ip in sorted(filtered))
        lines.append(f"  ip daddr vmap {{ {jumps} }}")
    return [*lines, "}"]


def _allowed(rules: Iterable[SecurityRule]) -> list[str]:
    """One match a rule, without its verdict; a rule for nobody gives none."""
    return [f"{_remotes(rule.remotes)}{_service(rule)}".strip() for rule in rules if rule.remotes]


def _remotes(remotes: Iterable[str]) -> str:
    networks = ipaddress.collapse_addresses([ipaddress.IPv4Network(_cidr(remote)) for remote in remotes])
    found = [str(network) for network in networks]
    return "" if "0.0.0.0/0" in found else f"ip saddr {{ {', '.join(found)} }} "


def _service(rule: SecurityRule) -> str:
    if rule.protocol is None:
        return ""
    if rule.protocol == "icmp":
        return "meta l4proto icmp"
    if rule.protocol not in ("tcp", "udp"):
        raise UsageError(f"protocol {rule.protocol!r}: tcp, udp, icmp or none was expected")
    if rule.ports is None:
        return f"meta l4proto {rule.protocol}"
    first, last = (int(port) for port in rule.ports)
    return f"{rule.protocol} dport {first}-{last}" if first != last else f"{rule.protocol} dport {first}"


def bridge_name(name: str) -> str:
    """The name, if an interface can have it."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,14}", name):
        raise UsageError(f"bridge {name!r}: lower-case letters, digits and dashes, at most 15")
    return name


def _elements(entries: Iterable[str]) -> str:
    listed = ", ".join(entries)
    return f"; elements = {{ {listed} }}" if listed else ""


def _chain(fixed_ip: str) -> str:
    return "to-" + fixed_ip.replace(".", "-")


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise UsageError(f"{text!r}: an IPv4 address was expected") from error


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.IPv4Network(text, strict=False))
    except ValueError as error:
        raise UsageError(f"{text!r}: an IPv4 network was expected") from error
