"""What Kubespray does not look at when it ends: each host's resolvers, and cluster DNS as a host reaches it.

CoreDNS forwards to what its node resolves by. A resolver that leads back to CoreDNS shows only at its next restart, as
"plugin/loop: Loop detected", so it is looked for in the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address

from provision.errors import DeadlineExceeded, StepFailed
from provision.groundwork import on_host
from provision.site import Site
from provision.wait import never, wait_until

PROBE_S, DEADLINE_S = 30.0, 120.0
NAME = "kubernetes.default.svc.cluster.local"
CONFIGS = ("/etc/kubernetes/kubelet-config.yaml", "/var/lib/kubelet/config.yaml")
"""The kubelet's, by Kubespray and by kubeadm."""


@dataclass(frozen=True)
class Resolving:
    """What one host told. resolvers: those of pods without cluster DNS, by `path`. answers: cluster DNS's, for NAME."""

    path: str
    resolvers: tuple[str, ...]
    answers: tuple[str, ...]


def dns_address(services: IPv4Network) -> str:
    """Where Kubespray puts cluster DNS: the third address of the services."""
    return str(services[3])


def faults(told: Resolving, server: str, api: str) -> Iterator[str]:
    """In words; none for a host that resolves as it should. server: cluster DNS; api: what NAME leads to."""
    for resolver in told.resolvers:
        if resolver == server:
            yield f"{told.path} names cluster DNS ({resolver}): CoreDNS would forward to itself"
        elif ip_address(resolver).is_loopback:
            yield f"{told.path} names {resolver}: in CoreDNS's pod that is CoreDNS"
    if api not in told.answers:
        yield f"cluster DNS at {server} answers {NAME} with {', '.join(told.answers) or 'nothing'}"


def check(site: Site) -> None:
    """Until every host resolves as it should. Raises StepFailed with what is wrong at the end."""
    found: list[str] = []

    def look() -> Sequence[str]:
        found[:] = look_up(site, dns_address(site.own.services_cidr))
        return tuple(found)

    try:
        wait_until(
            f"{site.name}: cluster DNS and resolvers",
            look,
            lambda left: not left,
            never,
            deadline_s=DEADLINE_S,
            every_s=3.0,
        )
    except DeadlineExceeded as late:
        raise StepFailed(
            f"{site.name}: Kubespray ended green, but names do not resolve",
            why="\n".join(found),
            log=str(site.log("kubespray")),
            next=f"invoke provision.kubespray --site {site.name}",
        ) from late


def look_up(site: Site, server: str) -> list[str]:
    """What is wrong with every host's resolvers and with cluster DNS at `server` as it reaches it; reads only."""
    names, api = [node.name for node in site.own.nodes], str(site.own.services_cidr[1])
    asked = {"configs": CONFIGS, "server": server, "name": NAME}

    def ask(name: str) -> list[str]:
        told = on_host(site, name, "resolving.py", asked, PROBE_S)
        seen = Resolving(told["path"], tuple(told["resolvers"]), tuple(told["answers"]))
        return [f"{name}: {fault}" for fault in faults(seen, server, api)]

    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        return [fault for found in pool.map(ask, names) for fault in found]
