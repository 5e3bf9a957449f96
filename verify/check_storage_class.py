"""Storage classes: what one pod writes through a class another reads back, and nothing stays when the claim goes.

`block` lies on the volume of one node. `object` lies in the object store, whichever driver the cluster has for it, so
the store itself is asked too, with the platform's own key. Where the driver is the rehearsal's, the figure says so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from kr8s.objects import Pod

from provision import s3
from provision.errors import CheckFailed
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until

IMAGE = "docker.io/library/busybox:1.35.0"  # in the image list of both environments: the provisioner's own helper
NAME = "tandem-verify"
BLOCK, OBJECT = "block", "object"
GIVE_BACK = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
TEXT = "written through the class by one pod, read back by another"
ANSWER_S = 20
GIB = 2**30


@dataclass(frozen=True)
class Claim:
    """A claim of a class. cluster: kr8s. k8s: pytest-kubernetes."""

    name: str
    cluster: Any
    k8s: Any
    namespace: str
    deadline_s: float

    def run_pod(self, role: str, script: str, node: str = "") -> str:
        """Run a script in a pod with the claim at /data; returns its log. The pod is removed either way."""
        pod = Pod(manifest(f"{NAME}-{role}", self.namespace, script, self.name, node), api=self.cluster)
        pod.create()
        try:
            wait_until(
                f"pod {pod.name}: done",
                lambda: phase(pod),
                lambda seen: seen == "Succeeded",
                lambda seen: seen == "Failed",
                deadline_s=self.deadline_s,
                every_s=0.2,
            )
            return "\n".join(pod.logs())
        finally:
            pod.delete(grace_period=0)

    def volume(self) -> str:
        """The persistent volume behind the claim, '' while there is none."""
        claims = self.k8s.kubectl(["get", "pvc", "-n", self.namespace])["items"]
        return next((one["spec"].get("volumeName", "") for one in claims if one["metadata"]["name"] == self.name), "")

    def volumes(self) -> dict[str, Any]:
        """All persistent volumes of the cluster, by name."""
        return {volume["metadata"]["name"]: volume["spec"] for volume in self.k8s.kubectl(["get", "pv"])["items"]}

    def delete(self) -> None:
        """Delete the claim and its volume: the class keeps both (Retain), and these are only ours."""
        volume = self.volume()
        if volume:
            self.k8s.kubectl(["patch", "pv", volume, "-p", f"'{json.dumps(GIVE_BACK)}'"], as_dict=False)
        self.k8s.kubectl(["delete", "pvc", self.name, "-n", self.namespace, "--ignore-not-found"], as_dict=False)


@pytest.fixture
def claim_of(
    site: Site, cluster: Any, k8s: Any, namespaced: Callable[[Site], str], budget: Callable[[str], float]
) -> Iterator[Callable[[str], Claim]]:
    """claim_of(class): a claim of our own, gone afterwards. Named after its site: the same claim is the same data."""
    with ExitStack() as stack:

        def make(storage_class: str) -> Claim:
            there = [found["metadata"]["name"] for found in k8s.kubectl(["get", "storageclass"])["items"]]
            if storage_class not in there:
                again = f"invoke provision.charts --site {site.name}"
                raise CheckFailed(f"{site.name}: no StorageClass {storage_class}", next=again)
            namespace, name = namespaced(site), f"{NAME}-{site.name}"
            size = {"requests": {"storage": "16Mi"}}
            spec = {"storageClassName": storage_class, "accessModes": ["ReadWriteOnce"], "resources": size}
            metadata = {"name": name, "namespace": namespace}
            k8s.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
            claim = Claim(name, cluster, k8s, namespace, budget("storage_class.pod_deadline_s"))
            stack.callback(claim.delete)
            return claim

        yield make


@pytest.mark.sites("kvm-tacc")
def test_block_gives_back_what_another_pod_wrote(
    claim_of: Callable[[str], Claim], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """The whole life of a claim: bound, written, read by a second pod, deleted, its volume gone."""
    claim = claim_of(BLOCK)
    claim.run_pod("writer", f"echo '{TEXT}' > /data/text && sync && df -k /data | tail -1")
    assert claim.run_pod("reader", "cat /data/text") == TEXT
    volume = claim.volume()
    claim.delete()
    await_gone(claim, volume, budget)
    figure(f"{volume} bound, written, read, gone")


@pytest.mark.sites("kvm-tacc")
def test_block_shows_what_was_promised_and_what_is_used(site: Site, figure: Callable[[str], None]) -> None:
    """The class stops nobody at the size of his claim, so it is seen here who uses more, and whether all of it fits."""
    wanted = site.own.volume
    assert wanted is not None
    items = [item for item in site.kube.get("persistentvolumeclaims") if item["spec"]["storageClassName"] == BLOCK]
    asked = {f"{item['metadata']['namespace']}_{item['metadata']['name']}": promised(item) for item in items}
    used = usage(site, wanted.node, wanted.mount)
    shares = {name: used.get(name, 0.0) / gib for name, gib in asked.items()}
    fullest = max(shares, key=lambda name: shares[name], default="none")
    figure(
        f"{len(asked)} claims: {sum(asked.values()):.1f} of {wanted.gib} GiB promised, {sum(used.values()):.1f} used; "
        f"fullest {fullest}: {100 * shares.get(fullest, 0):.0f} %"
    )
    assert sum(asked.values()) <= wanted.gib
    assert {name: share for name, share in shares.items() if share > 1} == {}


def test_object_gives_back_what_another_pod_wrote_and_the_store_has_it(
    site: Site,
    settings: Settings,
    claim_of: Callable[[str], Claim],
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """Written on one node, read on another, and read from the store with the platform's key; then removed there."""
    key = s3.KeyFile.of(settings, settings.store_site).read()
    nodes = [node.name for node in site.own.nodes]
    started = time.monotonic()
    claim = claim_of(OBJECT)
    claim.run_pod("writer", f"echo '{TEXT}' > /data/text", nodes[-1])
    spec = claim.volumes()[claim.volume()]["csi"]
    path = f"/{spec['volumeAttributes']['remotePath']}/text"
    try:
        seen = requests.get(s3.presigned(key, "GET", path), timeout=ANSWER_S)
        read = claim.run_pod("reader", "cat /data/text", nodes[max(len(nodes) - 2, 0)])
        took_s = time.monotonic() - started
    finally:
        requests.delete(s3.presigned(key, "DELETE", path), timeout=ANSWER_S)
    volume = claim.volume()
    claim.delete()
    await_gone(claim, volume, budget)
    caveats = [f"{line}; " for line in settings.caveats if line.startswith("StorageClass object")]
    figure(f"{''.join(caveats)}bound, written, in the store, read by another pod: {took_s:.1f} s")
    assert (read, seen.status_code, seen.text) == (TEXT, requests.codes.ok, f"{TEXT}\n")


def await_gone(claim: Claim, volume: str, budget: Callable[[str], float]) -> None:
    """Wait until a volume is no more."""
    wait_until(
        f"volume {volume}: gone",
        lambda: list(claim.volumes()),
        lambda left: volume not in left,
        never,
        deadline_s=budget("storage_class.gone_deadline_s"),
        every_s=0.5,
    )


def promised(item: Any) -> float:
    """What a claim asks for, in GiB. The platform's charts write Gi and Mi."""
    text = str(item["spec"]["resources"]["requests"]["storage"])
    return float(text[:-2]) * {"Gi": 1.0, "Mi": 1 / 1024}[text[-2:]]


def usage(site: Site, node: str, mount: str) -> dict[str, float]:
    """Folder on the volume -> GiB in it. Files come and go meanwhile, which `du` calls an error."""
    said = site.hosts.run(node, ["du", "--summarize", "--block-size=1", *claims_on(site, node, mount)], ok=(0, 1))
    rows = (line.split("\t", 1) for line in said.stdout.splitlines())
    return {path.rsplit("/", 1)[1]: int(size) / GIB for size, path in rows}


def claims_on(site: Site, node: str, mount: str) -> list[str]:
    """The folders of the volume, one a claim."""
    found = site.hosts.run(node, ["find", mount, "-mindepth", "1", "-maxdepth", "1", "-type", "d", "-name", "*_*"])
    return found.stdout.split()


def phase(pod: Pod) -> str:
    """The pod's phase now."""
    pod.refresh()
    raw: Any = pod.raw
    return str(raw.get("status", {}).get("phase", ""))


def manifest(name: str, namespace: str, script: str, claim: str, node: str) -> dict[str, Any]:
    """A pod that runs a script once, with the claim at /data; on a node of that name, if one is given."""
    container = {
        "name": "script",
        "image": IMAGE,
        "command": ["sh", "-euc", script],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            **({"nodeName": node} if node else {}),
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }
