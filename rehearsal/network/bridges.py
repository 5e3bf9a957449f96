"""Bridges of the sites' private networks, and the sites' rules, inside the namespace."""

from __future__ import annotations

import hashlib

from provision.errors import PreconditionMissing
from rehearsal.network import tables
from rehearsal.network.namespace import exists, ip, ip_json, netns, nft
from rehearsal.network.rules import SiteRules, bridge_name, render, render_nothing


def ensure_bridge(platform: str, name: str, gateway_cidr: str | None, mtu: int = 1500) -> None:
    """A bridge with the network's gateway address on it (None: the network has no router); safe to repeat.

    mtu in bytes. Raises PreconditionMissing if the namespace is not up.
    """
    _need(platform)
    if not _has_bridge(platform, bridge_name(name)):
        # An address of its own: else it would change with every host that comes and goes, under the others' feet.
        ip(
            "link",
            "add",
            name,
            "address",
            _mac(platform, name),
            "type",
            "bridge",
            "stp_state",
            "0",
            "forward_delay",
            "0",
            "mcast_snooping",
            "0",
            platform=platform,
        )
    wanted = {gateway_cidr} if gateway_cidr is not None else set()
    for address in _addresses(platform, name) - wanted:
        ip("addr", "del", address, "dev", name, platform=platform)
    for address in wanted:
        ip("addr", "replace", address, "dev", name, platform=platform)
    nft(tables.inside("add", name), platform=platform)
    ip("link", "set", name, "mtu", str(mtu), "up", platform=platform)


def delete_bridge(platform: str, name: str) -> None:
    """Remove it; silent if absent."""
    if exists(platform) and _has_bridge(platform, bridge_name(name)):
        ip("link", "del", name, platform=platform)
        nft(tables.inside("add", name) + tables.inside("delete", name), platform=platform)


def list_bridges(platform: str) -> tuple[str, ...]:
    """The namespace's bridges."""
    if not exists(platform):
        return ()
    return tuple(sorted(str(link["ifname"]) for link in ip_json("link", "show", "type", "bridge", platform=platform)))


def apply(platform: str, rules: SiteRules) -> None:
    """Replace the site's floating IPs and security groups in one transaction. Connections that stand stay."""
    _need(platform)
    nft(render(rules), platform=platform)


def clear(platform: str, site: str) -> None:
    """Remove the site's rules; silent if there are none."""
    if exists(platform):
        nft(render_nothing(site), platform=platform)


def _need(platform: str) -> None:
    if not exists(platform):
        raise PreconditionMissing(f"the network namespace {netns(platform)} is not there", next="invoke rehearsal.up")


def _has_bridge(platform: str, name: str) -> bool:
    return name in list_bridges(platform)


def _addresses(platform: str, name: str) -> set[str]:
    shown = ip_json("addr", "show", "dev", name, platform=platform)
    return {
        f"{entry['local']}/{entry['prefixlen']}"
        for link in shown
        for entry in link["addr_info"]
        if entry["family"] == "inet"
    }


def _mac(platform: str, name: str) -> str:
    digest = hashlib.sha256(f"{platform}/{name}".encode()).digest()
    return ":".join(f"{octet:02x}" for octet in (0x02, *digest[:5]))
