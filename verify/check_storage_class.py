"""Storage classes: what one pod writes through a class another reads back, and nothing stays when the claim goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

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
    """A bound-on-first-use claim of the class `block`, in the namespace of the checks."""

    site: Site
    namespace: str
    deadline_s: float

    def run_pod(self, role: str, script: str) -> str:
        """Run a script in a pod with the claim at /data; returns its log. The pod is removed either way."""
        name = f"{NAME}-{role}"
        self.site.kube.apply([pod(name, self.namespace, script)])
        try:
            wait_until(
                f"pod {name}: done",
                lambda: self._phase(name),
                lambda phase: phase == "Succeeded",
                lambda phase: phase == "Failed",
                deadline_s=self.deadline_s,
                every_s=0.5,
            )
            return self.site.kube.run("-n", self.namespace, "logs", name).stdout.strip()
        finally:
            self.site.kube.run("-n", self.namespace, "delete", "pod", name, "--grace-period=0", "--wait=true")

    def volume(self) -> str:
        """The persistent volume behind the claim, '' before a pod used it."""
        found = self.site.kube.get("pvc", namespace=self.namespace, name=NAME)
        return str(found[0]["spec"].get("volumeName", "")) if found else ""

    def delete(self) -> None:
        """Delete the claim and what lies under it: the class keeps data (Retain), and this data is only ours."""
        volume = self.volume()
        if volume:
            self.site.kube.run("patch", "pv", volume, "-p", json.dumps(GIVE_BACK))
        self.site.kube.run("-n", self.namespace, "delete", "pvc", NAME, "--ignore-not-found", "--wait=true")

    def _phase(self, name: str) -> str:
        return self.site.kube.run("-n", self.namespace, "get", "pod", name, "-o", "jsonpath={.status.phase}").stdout


@pytest.fixture
def claim(site: Site, namespaced: Callable[[Site], str], budget: Callable[[str], float]) -> Iterator[Claim]:
    """A claim of our own, gone afterwards."""
    if not site.kube.get("storageclass", name=CLASS):
        raise CheckFailed(f"{site.name}: no StorageClass {CLASS}", next=f"invoke provision.charts --site {site.name}")
    namespace = namespaced(site)
    size = {"requests": {"storage": "16Mi"}}
    spec = {"storageClassName": CLASS, "accessModes": ["ReadWriteOnce"], "resources": size}
    metadata = {"name": NAME, "namespace": namespace}
    site.kube.apply([{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}])
    claim = Claim(site, namespace, budget("storage_class.pod_deadline_s"))
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
        lambda: claim.site.kube.get("pv", name=volume),
        lambda found: not found,
        never,
        deadline_s=budget("storage_class.gone_deadline_s"),
        every_s=0.5,
    )
    figure(f"{volume} bound, written, read, gone")


def pod(name: str, namespace: str, script: str) -> dict[str, Any]:
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
