"""Where the servers will stand: network, fixed addresses, what may come in, and the one public address.

Meaning: kvm-tacc gets a network of its own (subnet, router, security group, ports); chi-uc gets ports on the site's
    shared network. The entry node's port gets the floating IP that the lease reserved, else one from the open pool.
Look: `openstack --os-cloud S port list --tags tandem=<platform>`, and the same for network, subnet, router,
    security group, floating ip.
Recover: `invoke provision.network --site S` makes what is missing, and puts rules, ports and the address back as
    planned; rules added by hand go. A subnet with other addresses than planned: destroy, then provision.all.
Undo: address freed, ports, router, subnet, network, group. Servers must be gone before (provision.destroy sees to it).
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import cast

from provision import fabric, leasing
from provision.clouds.facts import Survey, Taggable
from provision.fabric import Want as Want
from provision.settings import Settings
from provision.site import Site
from provision.step import Change

NAME = "network"
NEEDS = ("lease",)
JOINS = False
DEADLINE_S = 180
SETTLE_S = 15
CHECKS = ("check_network",)

Have = Survey
NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """Names and addresses from settings."""
    return fabric.wanted(settings, site_name)


def look(site: Site, want: Want) -> Have:
    """Neutron's lists, ours by name and mark."""
    held = leasing.live(site.cloud.leases.list_leases(), want.lease)
    return site.cloud.networks.survey(next((reserved.id for lease in held for reserved in lease.reservations), ""))


def plan(want: Want, have: Have) -> Sequence[Change]:
    """The difference, in the order in which things stand on each other."""
    return tuple(fabric.changes(want, have))


def apply(site: Site, change: Change) -> None:
    """One thing. Ids are looked up by name, so it does not matter what a killed run had done of it."""
    kind = change.what.split()[0]
    if change.args.get("tag"):
        site.cloud.networks.tag(cast(Taggable, kind), change.what.split()[1])
    elif kind == "rule":
        _apply_rule(site, change)
    elif kind == "port":
        _apply_port(site, change)
    elif kind == "address":
        _apply_address(site, change)
    elif change.verb == "delete":
        site.cloud.networks.delete(cast(Taggable, kind), change.what.split()[1])
    else:
        _build(site, kind, change.what.split()[1])


def undo(have: Have) -> Sequence[Change]:
    """Address freed, then ports, router, subnet, network, group."""
    return tuple(fabric.removals(have))


def _build(site: Site, kind: str, name: str) -> None:
    nets, wanted = site.cloud.networks, want(site.settings, site.name)
    if kind == "network":
        nets.create_network(name)
    elif kind == "group":
        nets.create_group(name)
    elif kind == "subnet" and wanted.subnet:
        nets.create_subnet(wanted.subnet, wanted.network)
    elif kind == "router" and wanted.subnet:
        nets.create_router(name, wanted.public, wanted.subnet.name)


def _apply_rule(site: Site, change: Change) -> None:
    nets, group = site.cloud.networks, want(site.settings, site.name).group
    if group is not None:
        (nets.delete_rule if change.verb == "delete" else nets.create_rule)(group.name, fabric.rule_of(change))


def _apply_port(site: Site, change: Change) -> None:
    nets, wanted, name = site.cloud.networks, want(site.settings, site.name), change.what.split()[1]
    if change.verb in ("delete", "replace"):
        nets.delete("port", name)
    if change.verb == "delete":
        return
    port = next(port for port in wanted.ports if port.name == name)
    if change.verb == "update":
        nets.update_port(port)
    else:
        nets.create_port(port, wanted.network)


def _apply_address(site: Site, change: Change) -> None:
    nets, entry = site.cloud.networks, want(site.settings, site.name).entry
    if change.verb == "delete":
        name = change.what.split()[1]
        if change.args.get("reserved"):
            nets.bind_address(IPv4Address(name), "")
        else:
            nets.delete("address", name)
        return
    known = change.args.get("address")
    address = IPv4Address(str(known)) if known else nets.create_address(site.own.network.public)
    nets.bind_address(address, entry)
