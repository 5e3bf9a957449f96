"""Wrong inventories are refused before any engine starts, and each refusal names what is wrong."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from provision import preflight
from provision.errors import SettingsError
from provision.settings import ENVIRONMENTS, Node, Settings, parse
from provision.steps import kubespray

SITE = "kvm-tacc"


@pytest.mark.parametrize("env", ["rehearsal", "chameleon"])
@pytest.mark.parametrize("engine", ["kubeadm", "kubespray"])
def test_both_environments_are_sound(env: str, engine: str) -> None:
    for site in settings(env).sites:
        assert list(preflight.faults(settings(env), site, engine)) == []


@pytest.mark.parametrize(
    "changed, told",
    [
        ({"pods_cidr": "10.233.0.0/17"}, "kvm-tacc pods and kvm-tacc services overlap in 16384 addresses"),
        ({"services_cidr": "10.233.64.0/20"}, "kvm-tacc pods and kvm-tacc services overlap in 4096 addresses"),
        ({"pods_cidr": "192.168.0.0/16"}, "kvm-tacc hosts and kvm-tacc pods overlap in 256 addresses"),
        ({"services_cidr": "10.234.0.0/18"}, "kvm-tacc services and chi-uc services overlap in 16384 addresses"),
    ],
)
def test_networks_that_overlap_either_way_are_refused(changed: dict[str, str], told: str) -> None:
    assert told in refused(of_site(**{key: IPv4Network(value) for key, value in changed.items()}))


@pytest.mark.parametrize(
    "node, changed, told",
    [
        ("node1", {"groups": ("kube_node", "etcd")}, "0 nodes are in kube_control_plane, exactly one must be"),
        ("node2", {"groups": ("kube_control_plane",)}, "2 nodes are in kube_control_plane, exactly one must be"),
        ("node2", {"groups": ("kube_node", "etcd")}, "2 nodes are in etcd: a majority needs an odd number"),
        ("node1", {"groups": ("kube_control_plane",)}, "0 nodes are in etcd"),
        ("node2", {"groups": ("kube-node",)}, "node2: there is no group kube-node"),
        ("node2", {"name": "node3"}, "node3 is the name of two nodes"),
        ("node2", {"address": IPv4Address("192.168.41.13")}, "192.168.41.13 is the address of two nodes"),
        ("node2", {"address": IPv4Address("10.0.0.9")}, "node2 at 10.0.0.9 lies outside the hosts' network"),
        ("node2", {"pod_cidr": IPv4Network("10.99.0.0/24")}, "node2's pods 10.99.0.0/24 lie outside the site's"),
        ("node2", {"pod_cidr": IPv4Network("10.233.65.0/26")}, "fewer than the 110 that a kubelet may start"),
        ("node2", {"pod_cidr": IPv4Network("10.233.66.0/23")}, "node2 and node3 share pods"),
    ],
)
def test_nodes_that_make_no_cluster_are_refused(node: str, changed: dict[str, Any], told: str) -> None:
    assert told in refused(of_node(node, **changed))


def test_a_version_that_the_checkout_is_not_made_for_is_refused() -> None:
    found = settings("chameleon")
    other = found.model_copy(update={"kubernetes": found.kubernetes.model_copy(update={"version": "1.34.9"})})
    assert "kubernetes.version is 1.34.9; kubespray.lock is made for 1.35.4" in refused(other)
    assert list(preflight.faults(other, SITE, "kubeadm")) == []


def test_every_fault_is_told_at_once_and_before_anything_is_asked() -> None:
    wrong = of_node("node2", pod_cidr=IPv4Network("10.99.0.0/24"), groups=("kube_node", "etcd"))
    told = refused(wrong)
    assert "etcd" in told
    assert "10.99.0.0/24" in told
    with pytest.raises(SettingsError, match="cannot become a cluster"):
        kubespray.want(wrong, SITE)  # so the plan says so, and no playbook starts


def refused(found: Settings) -> str:
    """Why an inventory was refused."""
    with pytest.raises(SettingsError) as caught:
        preflight.check(found, SITE, "kubespray")
    assert caught.value.next == "edit provision/environments/chameleon.toml"
    return caught.value.why


def settings(env: str) -> Settings:
    """An environment's settings."""
    path = ENVIRONMENTS / f"{env}.toml"
    return parse(path, path.read_text(), env=env, platform="case")


def of_site(**changed: Any) -> Settings:
    """The testbed's settings with a site's fields changed."""
    found = settings("chameleon")
    return found.model_copy(update={"sites": {**found.sites, SITE: found.sites[SITE].model_copy(update=changed)}})


def of_node(which: str, **changed: Any) -> Settings:
    """The testbed's settings with a node's fields changed."""
    nodes: list[Node] = [
        node.model_copy(update=changed) if node.name == which else node
        for node in settings("chameleon").sites[SITE].nodes
    ]
    return of_site(nodes=tuple(nodes))
