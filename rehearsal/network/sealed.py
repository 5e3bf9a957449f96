"""The sealed network up and down. The seal comes first and goes last."""

from __future__ import annotations

from pathlib import Path

from provision import say, shell
from rehearsal.network import seal, tables
from rehearsal.network.addresses import (
    MACHINE_ADDRESS,
    NETNS_ADDRESS,
    PUBLIC_CIDRS,
    SERVICE_ADDRESSES,
    UPLINK,
    UPLINK_CIDR,
    veth,
)
from rehearsal.network.namespace import NAMESPACES, exists, ip, ip_json, netns, nft, sysctl

_PREFIX = UPLINK_CIDR.rpartition("/")[2]

# The namespace's kernel switches; the machine's own stay as they are.
_SWITCHES = {
    "net.ipv6.conf.all.disable_ipv6": 1,
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv4.ip_forward": 1,
    # A host cannot claim an address of another network: what is routed must come from where the answer would go.
    "net.ipv4.conf.all.rp_filter": 1,
    # Hosts on one bridge route pods through each other; a redirect would only confuse them.
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    # Security groups and floating IPs must see bridged frames too.
    "net.bridge.bridge-nf-call-iptables": 1,
    "net.bridge.bridge-nf-call-ip6tables": 1,
    # Offloaded segments of bridged connections can look out of window; the rules must not take them for strangers.
    "net.netfilter.nf_conntrack_tcp_be_liberal": 1,
}


def up(platform: str) -> None:
    """Seal, namespace, veth, service addresses, the namespace's own table; safe to repeat.

    Raises PreconditionMissing if the machine (or another platform) uses these addresses.
    """
    seal.close(platform)
    if not exists(platform):
        ip("netns", "add", netns(platform))
    sysctl(platform, _SWITCHES)
    nft(tables.guard(), platform=platform)
    _plug(platform)
    for cidr in PUBLIC_CIDRS:
        ip("route", "replace", cidr, "via", NETNS_ADDRESS, "dev", veth(platform))


def down(platform: str) -> None:
    """Remove namespace and veth; the seal stays. What still runs inside is ended: it could not be found afterwards."""
    if _has_link(platform):
        ip("link", "del", veth(platform))
    if exists(platform):
        for pid in _processes(platform):
            say.warn(f"process {pid} ({_command(pid)}) still ran in {netns(platform)}: ended")
            shell.end(pid)
        ip("netns", "del", netns(platform))


def destroy(platform: str) -> None:
    """Remove all of it, the seal last; the seal stays while another platform's namespace stands behind it."""
    down(platform)
    if not _others(platform):
        seal.open_up()


def is_up(platform: str) -> bool:
    """Whether the machine has a link into the namespace."""
    return exists(platform) and _has_link(platform)


def leftovers(platform: str) -> list[str]:
    """What of the network is still on the machine, in words."""
    found = [f"network namespace {netns(platform)}"] if exists(platform) else []
    found += [f"process {pid} ({_command(pid)}) in {netns(platform)}" for pid in _processes(platform)]
    found += [f"interface {veth(platform)}"] if _has_link(platform) else []
    if _others(platform):
        return found  # the seal is theirs too
    found += [f"unreachable route {prefix}" for prefix in seal.unreachable_routes()]
    return found + ([f"table inet {tables.SEAL}"] if seal.has_table() else [])


def _plug(platform: str) -> None:
    """The veth between machine and namespace, with the addresses of both ends."""
    link = veth(platform)
    if not _has_link(platform):
        ip("link", "add", link, "type", "veth", "peer", "name", UPLINK, "netns", netns(platform))
    sysctl(None, {f"net.ipv6.conf.{link}.disable_ipv6": 1})
    ip("addr", "replace", f"{MACHINE_ADDRESS}/{_PREFIX}", "dev", link)
    ip("addr", "replace", f"{NETNS_ADDRESS}/{_PREFIX}", "dev", UPLINK, platform=platform)
    for address in SERVICE_ADDRESSES:
        ip("addr", "replace", f"{address}/32", "dev", UPLINK, platform=platform)
    ip("link", "set", "lo", "up", platform=platform)
    ip("link", "set", UPLINK, "up", platform=platform)
    ip("link", "set", link, "up")


def _has_link(platform: str) -> bool:
    return any(link["ifname"] == veth(platform) for link in ip_json("link", "show"))


def _others(platform: str) -> list[str]:
    """Namespaces of other platforms."""
    return sorted(entry.name for entry in NAMESPACES.glob("tandem-*") if entry.name != netns(platform))


def _processes(platform: str) -> list[int]:
    """Processes of the namespace itself; hosts have namespaces of their own."""
    if not exists(platform):
        return []
    return [int(pid) for pid in ip("netns", "pids", netns(platform)).stdout.split()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "gone"
