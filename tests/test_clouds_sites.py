"""The two simulated clouds: what each has, and that nothing of them overlaps."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from rehearsal.clouds.catalogue import CATALOGUE
from rehearsal.clouds.services import inventory
from rehearsal.clouds.sites import CHI_UC, KVM_TACC, SITES, CloudSite

LOCK = Path(__file__).parent.parent / "requirements" / "openstack.lock"


@pytest.mark.parametrize("site", SITES.values(), ids=SITES)
def test_reservable_addresses_lie_outside_the_pool(site: CloudSite) -> None:
    first, last = site.floating_pool
    assert first in site.public and last in site.public
    assert all(address in site.public and not first <= address <= last for address in site.reservable_floating)


def test_networks_of_both_sites_are_disjoint() -> None:
    networks = [network for site in SITES.values() for network in (site.public, site.shared) if network]
    assert not [pair for pair in combinations(networks, 2) if pair[0].overlaps(pair[1])]


def test_each_site_has_what_chameleon_has_there() -> None:
    assert "cinder" in KVM_TACC.services and "swift" not in KVM_TACC.services
    assert "swift" in CHI_UC.services and "cinder" not in CHI_UC.services
    assert KVM_TACC.has_security_groups and not CHI_UC.has_security_groups
    assert CHI_UC.max_lease_s == 7 * 86400 < KVM_TACC.max_lease_s


def test_m1_large_is_number_four_as_on_chameleon() -> None:
    large = next(flavor for flavor in KVM_TACC.flavors if flavor.name == "m1.large")
    assert (large.id, large.vcpus, large.memory_mib, large.disk_gib) == ("4", 4, 8192, 40)


def test_a_baremetal_server_fills_a_host() -> None:
    host = CHI_UC.hosts[0]
    assert {name: size["total"] for name, size in inventory.resources(CHI_UC, host).items()} == {"CUSTOM_BAREMETAL": 1}
    assert CHI_UC.flavors[0].extra["resources:CUSTOM_BAREMETAL"] == "1"
    assert CHI_UC.flavors[0].extra["resources:VCPU"] == "0"


def test_a_kvm_host_holds_several_large_servers() -> None:
    assert sum(host.vcpus for host in KVM_TACC.hosts) >= 3 * 8
    assert inventory.resources(KVM_TACC, KVM_TACC.hosts[0])["VCPU"]["total"] == KVM_TACC.hosts[0].vcpus


def test_node_ids_do_not_change_between_starts() -> None:
    ids = [inventory.node_uuid(site, host) for site in SITES.values() for host in site.hosts]
    assert len(set(ids)) == len(ids)
    assert ids == [inventory.node_uuid(site, host) for site in SITES.values() for host in site.hosts]


def test_every_service_but_keystone_is_in_the_catalogue() -> None:
    # keystone's own entry is made by its bootstrap.
    assert {name for site in SITES.values() for name in site.services} - {"keystone"} == set(CATALOGUE)


def test_the_lock_is_pinned_by_hash_and_names_no_address() -> None:
    text = LOCK.read_text()
    pins = re.findall(r"^[A-Za-z0-9].*$", text, re.MULTILINE)
    assert len(pins) > 100
    assert all(re.fullmatch(r"\S+==\S+( ; .+)? \\", pin) for pin in pins)
    assert "://" not in text and "--index" not in text
