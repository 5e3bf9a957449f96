"""Networks: addresses as planned, nothing overlaps, and sites meet only where they may."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations
from typing import TYPE_CHECKING

import pytest

from provision.settings import Settings
from provision.site import Site
from provision.steps import network

if TYPE_CHECKING:
    from verify.conftest import NodeUnderTest

SSH = 22


def connects(site: Site, address: object, port: int, *, wait_s: float) -> bool:
    """Whether the site's entry node gets a TCP connection."""
    command = f"exec 3<>/dev/tcp/{address}/{port}"
    ended = site.hosts.run(site.own.entry.name, ["timeout", f"{wait_s:g}", "bash", "-c", command], ok=(0, 1, 124))
    return ended.code == 0


def test_every_node_has_its_planned_address(node: NodeUnderTest) -> None:
    """As the host itself sees it."""
    assert f" {node.node.address}/" in node.host.check_output("ip -4 -o address")


def test_every_node_is_reached_by_the_entry_node(node: NodeUnderTest) -> None:
    """ssh to the others goes through it."""
    assert connects(node.site, node.node.address, SSH, wait_s=5)


def test_no_addresses_of_the_sites_overlap(settings: Settings) -> None:
    """Hosts, pods and services of both sites can be told apart."""
    every: list[IPv4Network] = [
        cidr for site in settings.sites.values() for cidr in (site.network.cidr, site.pods_cidr, site.services_cidr)
    ]
    assert [(str(a), str(b)) for a, b in combinations(every, 2) if a.overlaps(b)] == []


def test_every_node_lies_in_its_site_s_network(node: NodeUnderTest) -> None:
    """A slip in the settings would show here first."""
    assert node.node.address in node.site.own.network.cidr


def test_the_entry_node_has_the_public_address(site: Site) -> None:
    """The only way in."""
    assert site.cloud.floating_address() is not None


def test_the_second_plan_is_empty(site: Site) -> None:
    """Rules, ports and tags are as planned."""
    want = network.want(site.settings, site.name)
    assert list(network.plan(want, network.look(site, want))) == []


def test_the_sites_meet_at_the_public_address(both: tuple[Site, Site]) -> None:
    """The link goes this way."""
    server, client = both
    assert connects(client, server.cloud.floating_address(), SSH, wait_s=5)


def test_the_sites_do_not_see_each_other_s_hosts(both: tuple[Site, Site]) -> None:
    """Private networks stay private."""
    server, client = both
    assert not connects(client, server.own.entry.address, SSH, wait_s=2)
    assert not connects(server, client.own.entry.address, SSH, wait_s=2)


@pytest.mark.sites("kvm-tacc")
def test_nothing_of_the_security_group_is_open_to_all_but_ssh(site: Site) -> None:
    """As neutron has it, not as the settings say."""
    rules = [rule for group in site.cloud.networks.survey().groups for rule in group.rules]
    everywhere = [(rule.protocol, rule.port_from, rule.port_to) for rule in rules if rule.source.prefixlen == 0]
    assert everywhere == [("tcp", SSH, SSH)]
