"""Storage classes: what one pod writes through a class another reads back, and nothing stays when the claim goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from kr8s.objects import Pod

from provision.errors import CheckFailed
from provision.site import Site
from provision.wait import never, wait_until

IMAGE = "docker.io/library/busybox:1.35.0"  # in the image list of both environments: the provisioner's own helper
NAME = "tandem-verify"
CLASS = "block"
GIVE_BACK = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
TEXT = "written through the class by one pod, read back by another"


@dataclass(frozen=True)
class Claim:
    """A claim of the class, bound when a pod first uses it. cluster: kr8s. k8s: pytest-kubernetes."""

    cluster: Any
    k8s: Any
    namespace: str
    deadline_s: float

    def run_pod(self, role: str, script: str) -> str:
        """Run a script in a pod with the claim at /data; returns its log. The pod is removed either way."""
        pod = Pod(manifest(f"{NAME}-{role}", self.namespace, script), api=self.cluster)
        pod.create()
        try:
            wait_until(
                f"pod {pod.name}: done",
                lambda: phase(pod),
                lambda seen: seen == "Succeeded",
                lambda seen: seen == "Failed",
                deadline_s=self.deadline_s,
                every_s=0.5,
            )
            return "\n".join(pod.logs())
        finally:
            pod.delete(grace_period=0)

    def volume(self) -> str:
        """The persistent volume behind the claim, '' before a pod used it."""
        claims = self.k8s.kubectl(["get", "pvc", "-n", self.namespace])["items"]
        return next((claim["spec"].get("volumeName", "") for claim in claims if claim["metadata"]["name"] == NAME), "")

    def volumes(self) -> list[str]:
        """All persistent volumes of the cluster."""
        return [volume["metadata"]["name"] for volume in self.k8s.kubectl(["get", "pv"])["items"]]

    def delete(self) -> None:
        """Delete the claim and what lies under it: the class keeps data (Retain), and this data is only ours."""
        volume = self.volume()
        if volume:
            self.k8s.kubectl(["patch", "pv", volume, "-p", f"'{json.dumps(GIVE_BACK)}'"], as_dict=False)
        self.k8s.kubectl(["delete", "pvc", NAME, "-n", self.namespace, "--ignore-not-found"], as_dict=False)


@pytest.fixture
def claim(
    site: Site, cluster: Any, k8s: Any, namespaced: Callable[[Site], str], budget: Callable[[str], float]
) -> Iterator[Claim]:
    """A claim of our own, gone afterwards."""
    if CLASS not in [found["metadata"]["name"] for found in k8s.kubectl(["get", "storageclass"])["items"]]:
        raise CheckFailed(f"{site.name}: no StorageClass {CLASS}", next=f"invoke provision.charts --site {site.name}")
    namespace = namespaced(site)
    size = {"requests": {"storage": "16Mi"}}
    spec = {"storageClassName": CLASS, "accessModes": ["ReadWriteOnce"], "resources": size}
    metadata = {"name": NAME, "namespace": namespace}
    k8s.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    claim = Claim(cluster, k8s, namespace, budget("storage_class.pod_deadline_s"))
    yield claim
    claim.delete()


@pytest.mark.sites("kvm-tacc")
def test_block_gives_back_what_another_pod_wrote(
    claim: Claim, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """The whole life of a claim: bound, written, read by a second pod, deleted, its volume gone."""
    claim.run_pod("writer", f"echo '{TEXT}' > /data/text && sync && df -k /data | tail -1")
    assert claim.run_pod("reader", "cat /data/text") == TEXT
    volume = claim.volume()
    claim.delete()
    wait_until(
        f"volume {volume}: gone",
        claim.volumes,
        lambda left: volume not in left,
        never,
        deadline_s=budget("storage_class.gone_deadline_s"),
        every_s=0.5,
    )
    figure(f"{volume} bound, written, read, gone")


def phase(pod: Pod) -> str:
    """The pod's phase now."""
    pod.refresh()
    raw: Any = pod.raw
    return str(raw.get("status", {}).get("phase", ""))


def manifest(name: str, namespace: str, script: str) -> dict[str, Any]:
    """A pod that runs a script once, with the claim at /data."""
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
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": NAME}}],
        },
    }
