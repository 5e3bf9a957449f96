"""What is wrong with an inventory before an engine starts on it. Pure: settings in, faults out.

Kubespray's own validation finds some of it, minutes later or only as "Assertion failed"; it never finds pods around the
services, pods around the hosts' network, or two nodes with one slice of the pods.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from provision import checkout, feasibility
from provision.cluster import GROUPS, KUBESPRAY
from provision.errors import SettingsError
from provision.settings import Settings, SiteSettings

PODS_A_NODE = 110
"""The kubelet's own limit, Kubespray's `kubelet_max_pods`."""


def check(settings: Settings, site_name: str, engine: str) -> None:
    """Raises SettingsError with every fault of a site's inventory."""
    found = list(faults(settings, site_name, engine))
    if found:
        raise SettingsError(
            f"{settings.env}.toml: {site_name}'s inventory cannot become a cluster",
            why="\n".join(found),
            next=f"edit provision/environments/{settings.env}.toml",
        )


def faults(settings: Settings, site_name: str, engine: str) -> Iterator[str]:
    """In words; none for a sound inventory."""
    site = settings.sites[site_name]
    yield from (refusal.what for refusal in feasibility.overlaps(settings))
    yield from _groups(site)
    yield from _addresses(site)
    yield from _slices(site)
    supported = checkout.lock().kubernetes
    if engine == KUBESPRAY and settings.kubernetes.version != supported:
        yield f"kubernetes.version is {settings.kubernetes.version}; {checkout.LOCK.name} is made for {supported}"


def _groups(site: SiteSettings) -> Iterator[str]:
    planes, members = site.in_group("kube_control_plane"), site.in_group("etcd")
    if len(planes) != 1:
        # No engine puts a proxy in front of several API servers here, and kubeadm's joins workers only.
        yield f"{len(planes)} nodes are in kube_control_plane, exactly one must be"
    if len(members) % 2 == 0:
        yield f"{len(members)} nodes are in etcd: a majority needs an odd number"
    if not site.in_group("kube_node"):
        yield "no node is in kube_node"
    for node in site.nodes:
        yield from (f"{node.name}: there is no group {name}" for name in node.groups if name not in GROUPS)


def _addresses(site: SiteSettings) -> Iterator[str]:
    yield from (f"{name} is the name of two nodes" for name in _doubled([node.name for node in site.nodes]))
    yield from (f"{one} is the address of two nodes" for one in _doubled([str(node.address) for node in site.nodes]))
    for node in site.nodes:
        if node.address not in site.network.cidr:
            yield f"{node.name} at {node.address} lies outside the hosts' network {site.network.cidr}"


def _slices(site: SiteSettings) -> Iterator[str]:
    for node in site.nodes:
        if not node.pod_cidr.subnet_of(site.pods_cidr):
            yield f"{node.name}'s pods {node.pod_cidr} lie outside the site's {site.pods_cidr}"
        if node.pod_cidr.num_addresses - 2 < PODS_A_NODE:
            yield f"{node.name}'s pods {node.pod_cidr} are fewer than the {PODS_A_NODE} that a kubelet may start"
    for one, other in combinations(site.nodes, 2):
        if one.pod_cidr.overlaps(other.pod_cidr):
            yield f"{one.name} and {other.name} share pods: {one.pod_cidr} and {other.pod_cidr}"


def _doubled(values: Sequence[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
