"""Clusters: nodes Ready at the pinned version, made from the present inputs; names, Services, pods reached everywhere.

One small web server runs on each node while these checks run; it answers with its node's name and the asker's address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from provision import aftercare, cluster
from provision.settings import Settings
from provision.shell import Result
from provision.site import Site
from provision.steps import kubespray
from provision.wait import never, wait_until
from verify.nodes import NodeUnderTest

IMAGE = "docker.io/library/busybox:1.35.0"  # in the image list of both environments
PORT = 8080
PROXY_DEADLINE_S = 15.0
MARK = {"tandem.io/check": "kubespray"}
HEALTHY = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
SERVER = """\
mkdir -p /www/cgi-bin
printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\n\\\\n$NODE $REMOTE_ADDR"\\n' > /www/cgi-bin/who
chmod +x /www/cgi-bin/who
exec httpd -f -p 0.0.0.0:{port} -h /www
"""


@dataclass(frozen=True)
class Probes:
    """A web server on each node of a site, behind a Service of its own. node -> address, of its pod and its Service."""

    site: Site
    namespace: str
    pods: dict[str, str]
    services: dict[str, str]

    def run(self, node: str, *argv: str, ok: Sequence[int] = (0,)) -> Result:
        """A command in the pod on a node."""
        return self.site.kube.run("exec", "-n", self.namespace, f"on-{node}", "--", *argv, deadline_s=20.0, ok=ok)

    def ask(self, node: str, address: str, *, deadline_s: float) -> list[str]:
        """The node that answered and the address that it saw asking, asked from the pod on `node`; [] if none did."""
        ask = f"printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n' | nc -w {deadline_s:.0f} {address} {PORT}"
        lines = self.run(node, "sh", "-c", ask, ok=(0, 1)).stdout.splitlines()
        return lines[-1].split() if lines else []

    def ask_service(self, node: str, of: str, *, deadline_s: float) -> list[str]:
        """The same through the Service of a node, once the asking node has heard of it (kube-proxy takes a second)."""
        address = self.services[of]
        wait_until(
            f"{node}: an answer of the Service on-{of}",
            lambda: self.ask(node, address, deadline_s=1.0),
            bool,
            never,
            deadline_s=PROXY_DEADLINE_S,
            every_s=0.2,
        )
        return self.ask(node, address, deadline_s=deadline_s)

    def next_to(self, node: str) -> str:
        """Another node, so that every node is asked by one."""
        names = list(self.pods)
        return names[(names.index(node) + 1) % len(names)]


@pytest.fixture(scope="module")
def probes(namespaced: Callable[[Site], str]) -> Iterator[Callable[[Site], Probes]]:
    """probes(site): its web servers, started when first asked for, removed after the last check of this file."""
    running: dict[str, Probes] = {}

    def start(site: Site) -> Probes:
        if site.name not in running:
            running[site.name] = _start(site, namespaced(site))
        return running[site.name]

    yield start
    for found in running.values():
        found.site.kube.run("delete", "pods,services", "-n", found.namespace, "-l", _selector(), "--wait=false")


def test_every_node_is_ready_without_pressure_at_the_pinned_version(node: NodeUnderTest) -> None:
    """As its kubelet reports."""
    found = node.site.kube.get("nodes", name=node.name)[0]["status"]
    conditions = {condition["type"]: condition["status"] for condition in found["conditions"]}
    assert {kind: conditions.get(kind) for kind in HEALTHY} == HEALTHY
    assert found["nodeInfo"]["kubeletVersion"] == f"v{node.site.settings.kubernetes.version}"
    assert {"type": "InternalIP", "address": str(node.node.address)} in found["addresses"]


def test_the_cluster_has_the_nodes_of_the_inventory_and_no_others(site: Site) -> None:
    """None missing, none left behind."""
    assert {item["metadata"]["name"] for item in site.kube.get("nodes")} == {node.name for node in site.own.nodes}


def test_the_cluster_was_made_from_the_present_inputs(site: Site, settings: Settings) -> None:
    """The hash recorded in the cluster is that of today's inventory, variables and playbooks."""
    recorded = site.kube.get("configmap", namespace=cluster.SYSTEM, name=cluster.RECORD)[0]["data"]
    assert recorded["inputs"] == cluster.inputs_hash(settings, site.name, recorded["engine"])
    assert recorded["version"] == settings.kubernetes.version


def test_a_second_plan_is_empty_at_once(
    site: Site, settings: Settings, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Looking at the cluster finds nothing to do, within the budget."""
    began = time.monotonic()
    want = kubespray.want(settings, site.name)
    changes = kubespray.plan(want, kubespray.look(site, want))
    seconds = time.monotonic() - began
    figure(f"{seconds:.1f} s")
    assert list(changes) == []
    assert seconds <= budget("kubespray.second_plan_s")


def test_the_api_and_its_etcd_are_ready(site: Site) -> None:
    """Every check of the API server's own; etcd is among them."""
    lines = site.kube.run("get", "--raw", "/readyz?verbose").stdout.splitlines()
    assert [line for line in lines if line.startswith("[-]")] == []
    assert "[+]etcd ok" in lines


def test_no_host_s_resolvers_lead_back_to_cluster_dns(site: Site) -> None:
    """Else CoreDNS forwards to itself from its next restart on; and cluster DNS answers from every host."""
    found = site.kube.get("services", namespace=cluster.SYSTEM)
    (server,) = {item["spec"]["clusterIP"] for item in found if item["metadata"]["name"] in ("kube-dns", "coredns")}
    assert aftercare.look_up(site, server) == []


def test_cluster_dns_answers_in_a_pod_on_every_node(node: NodeUnderTest, probes: Callable[[Site], Probes]) -> None:
    """The API's own Service, by name; its address is the first of the site's Services."""
    answer = probes(node.site).run(node.name, "nslookup", "kubernetes.default.svc.cluster.local").stdout
    assert f"Address: {node.site.own.services_cidr[1]}\n" in answer


@pytest.mark.sites("kvm-tacc")
def test_a_service_is_reached_across_nodes(
    node: NodeUnderTest, probes: Callable[[Site], Probes], budget: Callable[[str], float]
) -> None:
    """By its cluster address, from a pod on another node."""
    found = probes(node.site)
    other = found.next_to(node.name)
    answer = found.ask_service(node.name, other, deadline_s=budget("kubespray.request_deadline_s"))
    assert answer[:1] == [other]


@pytest.mark.sites("kvm-tacc")
def test_pods_on_different_nodes_see_each_others_own_addresses(
    node: NodeUnderTest, probes: Callable[[Site], Probes], budget: Callable[[str], float]
) -> None:
    """Routed, not masqueraded."""
    found = probes(node.site)
    other = found.next_to(node.name)
    answer = found.ask(node.name, found.pods[other], deadline_s=budget("kubespray.request_deadline_s"))
    assert answer == [other, found.pods[node.name]]


def test_a_pod_reaches_itself_through_its_service(
    node: NodeUnderTest, probes: Callable[[Site], Probes], budget: Callable[[str], float]
) -> None:
    """The bridge sends a frame back where it came from (hairpin); without, the first packet is lost."""
    found = probes(node.site)
    answer = found.ask_service(node.name, node.name, deadline_s=budget("kubespray.request_deadline_s"))
    assert answer[:1] == [node.name]


def _start(site: Site, namespace: str) -> Probes:
    names = [node.name for node in site.own.nodes]
    site.kube.apply([manifest for name in names for manifest in _manifests(name, namespace)])
    site.kube.run(
        "wait", "-n", namespace, "--for=condition=Ready", "pods", "-l", _selector(), "--timeout=60s", deadline_s=70.0
    )
    found = {
        (item["kind"], item["metadata"]["labels"]["tandem.io/on"]): item
        for item in site.kube.get("pods,services", namespace=namespace, selector=_selector())
    }
    return Probes(
        site,
        namespace,
        {name: found["Pod", name]["status"]["podIP"] for name in names},
        {name: found["Service", name]["spec"]["clusterIP"] for name in names},
    )


def _selector() -> str:
    return ",".join(f"{key}={value}" for key, value in MARK.items())


def _manifests(node: str, namespace: str) -> list[dict[str, object]]:
    """A pod bound to the node, whatever taints it has, and its Service."""
    labels = {**MARK, "tandem.io/on": node}
    meta = {"name": f"on-{node}", "namespace": namespace, "labels": labels}
    container = {
        "name": "web",
        "image": IMAGE,
        "command": ["sh", "-ec", SERVER.format(port=PORT)],
        "env": [{"name": "NODE", "value": node}],
        "readinessProbe": {"httpGet": {"path": "/cgi-bin/who", "port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    pod = {
        "nodeName": node,
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    service = {"selector": labels, "ports": [{"port": PORT}]}
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
    ]
