"""What a site's network should be, what it is, and what to do about the difference. Pure; `steps/network.py` acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from provision.clouds.facts import Group, Network, Port, Router, Rule, Subnet, Survey
from provision.errors import PreconditionMissing
from provision.settings import Settings, SiteSettings
from provision.step import Change


@dataclass(frozen=True)
class Want:
    """network: ours, or the site's shared one (then without subnet and router). entry: the port with the address.

    lease: the name of the lease whose reservation hands the address out.
    """

    site: str
    public: str
    network: str
    subnet: Subnet | None
    router: str
    group: Group | None
    ports: tuple[Port, ...]
    entry: str
    lease: str


def wanted(settings: Settings, site_name: str) -> Want:
    """Names and addresses from settings."""
    site = settings.sites[site_name]
    own, secured = not site.network.shared, site.network.security_groups

    def name(role: str) -> str:
        return settings.name(site_name, role)

    group = Group(name("group"), _rules(site)) if secured else None
    # Pods and services send with addresses of their own through the nodes' ports.
    pairs = frozenset({site.pods_cidr, site.services_cidr}) if secured else frozenset[IPv4Network]()
    return Want(
        site=site_name,
        public=site.network.public,
        network=name("network") if own else site.network.shared,
        subnet=Subnet(name("subnet"), site.network.cidr, site.network.gateway) if own else None,
        router=name("router") if own else "",
        group=group,
        ports=tuple(
            Port(settings.name(site_name, "port", node.number), node.address, group.name if group else "", pairs)
            for node in site.nodes
        ),
        entry=settings.name(site_name, "port", site.entry.number),
        lease=f"{name('lease')}-fip",
    )


def changes(want: Want, have: Survey) -> Iterator[Change]:
    """In the order in which things stand on each other; last, marks that a killed run did not leave."""
    if want.subnet and not any(network.name == want.network for network in have.networks):
        yield Change("create", f"network {want.network}", "have none")
    yield from _subnet(want, have)
    yield from _router(want, have)
    yield from _group(want, have)
    for port in want.ports:
        yield from _port(port, have)
    yield from _address(want, have)
    yield from _untagged(have)


def removals(have: Survey) -> Iterator[Change]:
    """What a reservation handed out is only freed: it goes with its lease."""
    for ip in have.addresses:
        if ip.port or not ip.reservation:
            yield Change("delete", f"address {ip.address}", "destroy", {"reserved": int(bool(ip.reservation))})
    stacked = (have.ports, "port"), (have.routers, "router"), (have.subnets, "subnet"), (have.networks, "network")
    for things, kind in (*stacked, (have.groups, "group")):
        for thing in things:
            yield Change("delete", f"{kind} {thing.name}", "destroy")


def rule_args(rule: Rule) -> dict[str, str | int]:
    """A rule as a change carries it."""
    return {"protocol": rule.protocol, "source": str(rule.source), "from": rule.port_from, "to": rule.port_to}


def rule_of(change: Change) -> Rule:
    """The rule that a change carries."""
    args = change.args
    return Rule(str(args["protocol"]), IPv4Network(str(args["source"])), int(args["from"]), int(args["to"]))


def _rules(site: SiteSettings) -> frozenset[Rule]:
    return frozenset(Rule(rule.protocol, rule.source, rule.port_from, rule.port_to) for rule in site.network.rules)


def _subnet(want: Want, have: Survey) -> Iterator[Change]:
    if want.subnet is None:
        return
    found = next((subnet for subnet in have.subnets if subnet.name == want.subnet.name), None)
    if found is None:
        yield Change("create", f"subnet {want.subnet.name}", f"have none, want {want.subnet.cidr}")
    elif (found.cidr, found.gateway) != (want.subnet.cidr, want.subnet.gateway):
        raise PreconditionMissing(
            f"{want.site}: subnet {found.name} has other addresses than planned",
            why=f"{found.cidr} gateway {found.gateway}; want {want.subnet.cidr} gateway {want.subnet.gateway}",
            next=f"invoke provision.destroy --site {want.site}, then invoke provision.all",
        )


def _router(want: Want, have: Survey) -> Iterator[Change]:
    if want.subnet is None:
        return
    found = next((router for router in have.routers if router.name == want.router), None)
    if found is None:
        yield Change("create", f"router {want.router}", "have none")
    elif not found.leads_out or want.subnet.name not in found.joins:
        lacks = "no way out" if not found.leads_out else f"not on {want.subnet.name}"
        yield Change("update", f"router {want.router}", lacks)


def _group(want: Want, have: Survey) -> Iterator[Change]:
    if want.group is None:
        return
    found = next((group for group in have.groups if group.name == want.group.name), None)
    if found is None:
        yield Change("create", f"group {want.group.name}", "have none")
    allowed = found.rules if found else frozenset[Rule]()
    for rule in _sorted(want.group.rules - allowed):
        yield Change("create", f"rule {rule}", "not let in", rule_args(rule))
    for rule in _sorted(allowed - want.group.rules):
        yield Change("delete", f"rule {rule}", "let in, not on the list", rule_args(rule))


def _port(port: Port, have: Survey) -> Iterator[Change]:
    found = next((candidate for candidate in have.ports if candidate.name == port.name), None)
    if found is None:
        yield Change("create", f"port {port.name}", f"have none, want {port.address}")
    elif found.address != port.address:
        yield Change("replace", f"port {port.name}", f"has {found.address}, want {port.address}")
    elif (found.group, found.pairs) != (port.group, port.pairs):
        yield Change("update", f"port {port.name}", "another group or other pairs than planned")


def _address(want: Want, have: Survey) -> Iterator[Change]:
    if any(ip.port == want.entry for ip in have.addresses):
        return
    free = sorted((ip for ip in have.addresses if not ip.port), key=lambda ip: (not ip.reservation, ip.address))
    if free:
        found = free[0]
        why = "reserved, leads nowhere" if found.reservation else "leads nowhere"
        yield Change("update", f"address {found.address}", why, {"address": str(found.address)})
    else:
        yield Change("create", f"address for {want.entry}", "have none")


def _untagged(have: Survey) -> Iterator[Change]:
    kinds: tuple[tuple[str, Sequence[Network | Subnet | Router | Group | Port]], ...] = (
        ("network", have.networks),
        ("subnet", have.subnets),
        ("router", have.routers),
        ("group", have.groups),
        ("port", have.ports),
    )
    named = [(kind, thing.name) for kind, things in kinds for thing in things if not thing.tagged]
    named += [("address", str(ip.address)) for ip in have.addresses if ip.port and not ip.tagged]
    for kind, name in named:
        yield Change("update", f"{kind} {name}", "without our tag", {"tag": 1})


def _sorted(rules: frozenset[Rule]) -> list[Rule]:
    return sorted(rules, key=str)
