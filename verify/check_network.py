"""Networks: nothing overlaps, the public address is there, rules and ports are as planned."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest

from provision.settings import Settings
from provision.site import Site
from provision.steps import network

SSH = 22


def test_no_addresses_of_the_sites_overlap(settings: Settings) -> None:
    """Hosts, pods and services of both sites can be told apart."""
    every: list[IPv4Network] = [
        cidr for site in settings.sites.values() for cidr in (site.network.cidr, site.pods_cidr, site.services_cidr)
    ]
    assert [(str(a), str(b)) for a, b in combinations(every, 2) if a.overlaps(b)] == []


def test_every_port_has_its_planned_address(site: Site) -> None:
    """As neutron has it; `check_nodes.py` asks the hosts."""
    planned = {site.settings.name(site.name, "port", node.number): node.address for node in site.own.nodes}
    assert {port.name: port.address for port in site.cloud.networks.survey().ports} == planned


def test_every_planned_address_lies_in_the_site_s_network(site: Site) -> None:
    """A slip in the settings would show here first."""
    assert [node.name for node in site.own.nodes if node.address not in site.own.network.cidr] == []


def test_the_entry_node_has_the_only_public_address(site: Site) -> None:
    """The only way in."""
    entry = site.settings.name(site.name, "port", site.own.entry.number)
    assert [ip.port for ip in site.cloud.networks.list_addresses() if ip.port] == [entry]


def test_the_second_plan_is_empty(site: Site) -> None:
    """Rules, ports and tags are as planned."""
    want = network.want(site.settings, site.name)
    assert list(network.plan(want, network.look(site, want))) == []


@pytest.mark.sites("kvm-tacc")
def test_nothing_of_the_security_group_is_open_to_all_but_ssh(site: Site) -> None:
    """As neutron has it, not as the settings say."""
    rules = [rule for group in site.cloud.networks.survey().groups for rule in group.rules]
    everywhere = [(rule.protocol, rule.port_from, rule.port_to) for rule in rules if rule.source.prefixlen == 0]
    assert everywhere == [("tcp", SSH, SSH)]
