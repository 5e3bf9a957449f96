"""The seal: routes and a table on the machine that keep every rehearsal address from leaving it, up, half up or down.

The routes answer "unreachable" for each prefix unless a better route (the veth's) exists, so no packet ever takes the
default route. The table drops and counts what would leave in spite of that.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from provision import shell
from provision.errors import PreconditionMissing
from rehearsal.network import tables
from rehearsal.network.addresses import PREFIXES, PUBLIC_CIDRS, SERVICE_ADDRESSES, UPLINK, veth
from rehearsal.network.namespace import DEADLINE_S, exists, ip, ip_json, nft

# Worse than any route that somebody would set on purpose.
METRIC = "4278198272"
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def close(platform: str) -> None:
    """Put the seal on; safe to repeat. Raises PreconditionMissing if the machine itself uses these addresses."""
    refuse_foreign_routes(platform)
    for prefix in PREFIXES:
        ip("route", "replace", "unreachable", prefix, "metric", METRIC)
    nft(tables.seal(veth(platform)))


def open_up() -> None:
    """Take the seal off; only when nothing is left that could send."""
    if has_table():
        shell.run(("nft", "delete", "table", "inet", tables.SEAL), deadline_s=DEADLINE_S)
    for prefix in unreachable_routes():
        ip("route", "del", "unreachable", prefix, "metric", METRIC)


def seal_problems(platform: str) -> list[str]:
    """Why a packet of the rehearsal could leave the machine, in words; empty means sealed."""
    missing = sorted(set(PREFIXES) - set(unreachable_routes()))
    problems = [f"no unreachable route for {prefix}" for prefix in missing]
    problems += [problem for address in _samples() if (problem := _route_problem(address, veth(platform)))]
    if _FORWARD.read_text().strip() != "0":
        problems.append("the machine forwards packets (net.ipv4.ip_forward is not 0)")
    problems += _table_problems()
    if exists(platform):
        problems += _namespace_problems(platform)
    return problems


def unreachable_routes() -> list[str]:
    """The prefixes that have our route."""
    routes = ip_json("route", "show", "type", "unreachable", "table", "main")
    ours = {str(route["dst"]) for route in routes if str(route.get("metric")) == METRIC}
    return [prefix for prefix in PREFIXES if prefix in ours]


def refuse_foreign_routes(platform: str) -> None:
    """The machine may not use these addresses itself: the seal would cut it off from what it reaches there."""
    for prefix in PREFIXES:
        for route in ip_json("route", "show", "root", prefix, "table", "main"):
            if route.get("type") != "unreachable" and route.get("dev") != veth(platform):
                raise PreconditionMissing(
                    f"{prefix} belongs to the rehearsal, but this machine routes {route['dst']} elsewhere",
                    why=f"{route['dst']} goes to {route.get('dev', 'no device')}: "
                    "another platform's rehearsal, or a network of yours with the same addresses",
                    next="ip route show",
                )


def _samples() -> Iterator[str]:
    """Addresses in use and addresses nobody uses, in every prefix."""
    yield from SERVICE_ADDRESSES
    for cidr in (*PUBLIC_CIDRS, *PREFIXES):
        network = ipaddress.IPv4Network(cidr)
        yield from (str(network[index]) for index in (11, network.num_addresses // 2, -2))


def _route_problem(address: str, link: str) -> str:
    """Where the machine would send a packet to the address, if that is not the veth or nowhere."""
    answer = ip("-j", "route", "get", address, ok=(0, 1, 2))
    if answer.code != 0:
        return "" if "o route to host" in answer.stderr or "unreachable" in answer.stderr else answer.stderr.strip()
    route: dict[str, Any] = json.loads(answer.stdout)[0]
    if route.get("dev") in (link, "lo") or route.get("type") == "unreachable":
        return ""
    return f"{address} would leave through {route.get('dev')}"


def _table_problems() -> list[str]:
    if not has_table():
        return [f"the table inet {tables.SEAL} is missing"]
    words = ("nft", "-j", "list", "counter", "inet", tables.SEAL, tables.ESCAPED)
    found = json.loads(shell.run(words, deadline_s=DEADLINE_S).stdout)["nftables"]
    stopped = next(int(entry["counter"]["packets"]) for entry in found if "counter" in entry)
    return [f"{stopped} packets with a rehearsal address were about to leave (stopped)"] if stopped else []


def _namespace_problems(platform: str) -> list[str]:
    """The namespace has one way out, and no default route towards it."""
    problems = []
    for link in ip_json("link", "show", platform=platform):
        name, kind = str(link["ifname"]), str(link.get("linkinfo", {}).get("info_kind", ""))
        if name not in ("lo", UPLINK) and kind != "bridge" and not (kind == "veth" and "master" in link):
            problems.append(f"interface {name} ({kind or 'physical'}) in the namespace is neither a bridge nor on one")
    problems += [
        f"the namespace has a default route to {route.get('gateway', route.get('dev'))}"
        for route in ip_json("route", "show", "default", platform=platform)
    ]
    return problems


def has_table() -> bool:
    """Whether the seal's table is there. On a bare machine there is no nft either, and so nobody made a table."""
    words = ("nft", "list", "table", "inet", tables.SEAL)
    return shell.find("nft") is not None and shell.run(words, deadline_s=DEADLINE_S, ok=(0, 1)).code == 0
