"""Hosts: ssh, cloud-init, disk, clock, registry auth file, mounted volume."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from provision.node_facts import AUTH_FILES
from provision.site import Site
from provision.steps import nodes

if TYPE_CHECKING:
    from verify.nodes import NodeUnderTest

GIB = 2**30


def test_ssh_and_sudo_work(node: NodeUnderTest) -> None:
    """With the operator's key, as the image's user."""
    assert node.host.check_output("id -un") == "root"


def test_the_host_is_called_like_its_server(node: NodeUnderTest) -> None:
    """Else logs of the two could not be matched."""
    expected = node.site.settings.name(node.site.name, node.node.role, node.node.number)
    assert node.host.check_output("hostname -s") == expected


def test_the_host_has_its_planned_address(node: NodeUnderTest) -> None:
    """As the host itself sees it."""
    assert f" {node.node.address}/" in node.host.check_output("ip -4 -o address")


def test_the_host_is_reached_by_the_entry_node(node: NodeUnderTest) -> None:
    """By its planned address; ssh to the others goes through there."""
    command = f"exec 3<>/dev/tcp/{node.node.address}/22"
    ended = node.site.hosts.run(node.site.own.entry.name, ["timeout", "5", "bash", "-c", command], ok=(0, 1, 124))
    assert ended.code == 0


def test_cloud_init_is_done(node: NodeUnderTest) -> None:
    """Nova's ACTIVE says nothing about it."""
    assert "status: done" in node.host.run("cloud-init status").stdout


def test_there_is_room_on_the_disk(
    node: NodeUnderTest, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """For images and logs."""
    free_gib = int(node.host.check_output("df --output=avail -B1 /").split()[-1]) / GIB
    figure(f"{free_gib:.0f} GiB free")
    assert free_gib >= budget("nodes.disk_free_gib")


def test_the_clock_is_right(node: NodeUnderTest, budget: Callable[[str], float], figure: Callable[[str], None]) -> None:
    """Certificates and leases are judged by it."""
    asked = time.time()
    there = float(node.host.check_output("date +%s.%N"))
    skew_s = max(asked - there, there - time.time(), 0.0)  # the answer was written somewhere between the two
    figure(f"off by {skew_s:.2f} s")
    assert skew_s <= budget("nodes.clock_skew_s")


@pytest.mark.parametrize("path", AUTH_FILES)
def test_the_registry_auth_file_is_there_for_root_only(node: NodeUnderTest, path: str) -> None:
    """It holds a password."""
    file = node.host.file(path)
    assert (file.user, file.mode) == ("root", 0o600)


@pytest.mark.parametrize("path", AUTH_FILES)
def test_the_registry_auth_file_knows_every_registry(node: NodeUnderTest, path: str) -> None:
    """The kubelet looks under the image's own registry, not the mirror's."""
    registry = node.site.settings.registry
    known = set(json.loads(node.host.file(path).content_string)["auths"])
    wanted = {registry.mirror, *registry.upstreams} if registry.mirror else set[str]()
    assert wanted <= known


@pytest.mark.sites("kvm-tacc")
def test_the_volume_is_mounted_by_its_label(site: Site, figure: Callable[[str], None]) -> None:
    """Where the applications expect it."""
    volume = site.own.volume
    assert volume is not None
    told = site.hosts.run(volume.node, ["findmnt", "-nbo", "SOURCE,FSTYPE,SIZE", volume.mount]).stdout.split()
    label = site.hosts.run(volume.node, ["blkid", "-p", "-s", "LABEL", "-o", "value", told[0]]).stdout.strip()
    figure(f"{int(told[2]) / GIB:.0f} GiB {told[1]}")
    assert label == volume.label


@pytest.mark.sites("kvm-tacc")
def test_the_volume_is_mounted_again_after_a_reboot(site: Site) -> None:
    """fstab names it by label."""
    volume = site.own.volume
    assert volume is not None
    lines = site.hosts.run(volume.node, ["grep", "-v", "^#", "/etc/fstab"]).stdout.splitlines()
    assert [line.split()[0] for line in lines if volume.mount in line.split()] == [f"LABEL={volume.label}"]


def test_the_second_plan_is_empty(site: Site) -> None:
    """Servers, keys, files, firewall and GPUs are as planned."""
    want = nodes.want(site.settings, site.name)
    assert list(nodes.plan(want, nodes.look(site, want))) == []
