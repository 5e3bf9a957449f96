"""A workbench pod of ours at the CPU site, from which the RayCluster across the link is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import releases, values
from provision.appsecrets import LINK_NAMESPACE
from provision.errors import CheckFailed
from provision.site import Site

INSIDE = Path(__file__).with_name("ray_inside.py")
PREFIX = "tandem-verify"
POD = "ray-caller"
CLIENT_S = 120.0  # before the job: Ray gives a client's server 30 s, and the client may need a second one
HOME_S3 = "http://s3.s3.svc:8333"  # the gateway where the pod is; the job comes to it through the link


@dataclass(frozen=True)
class Caller:
    """The pod. here: its site; there: the RayCluster's. deadline_s: of one job."""

    here: Site
    there: Site
    namespace: str
    deadline_s: float

    def transaction(self, folder: str, *words: str) -> Mapping[str, Any]:
        """Run one training job and one client; see ray_inside.py. The checkpoints of `folder` are gone afterwards."""
        prefix = f"{PREFIX}/{folder}"
        entrypoint = " ".join(["python", "-m", "pipelines.train", "--prefix", prefix, *words])
        return self._ask(prefix, {"what": "transaction", "entrypoint": entrypoint, "deadline_s": self.deadline_s})

    def written(self, folder: str) -> list[str]:
        """Names of the checkpoints in a folder now."""
        keys: list[str] = self._ask(f"{PREFIX}/{folder}", {"what": "written"})["keys"]
        return [key.rpartition("/")[2] for key in keys]

    def _ask(self, prefix: str, question: Mapping[str, Any]) -> Mapping[str, Any]:
        given = json.dumps({**self._addresses(prefix), **question})
        said = self.here.kube.run(
            *("exec", "-i", "-n", self.namespace, POD, "--", "python", "-c", INSIDE.read_text()),
            stdin=given,
            ok=range(256),
            deadline_s=self.deadline_s + CLIENT_S,
        )
        if said.code:
            raise CheckFailed("ray: no answer through the link", why=said.stderr.strip()[-1500:])
        return dict(json.loads(said.stdout.splitlines()[-1]))

    def _addresses(self, prefix: str) -> Mapping[str, Any]:
        held = self.here.vault.read()
        bucket = self.here.settings.name(self.there.name, "checkpoints")
        return {
            "token": held["ray-auth"]["auth_token"],
            "dashboard": f"http://ray-dashboard.{LINK_NAMESPACE}.svc:8265",
            "client": f"ray://ray-client.{LINK_NAMESPACE}.svc:10001",
            "s3": {**held["s3-ray"], "endpoint": HOME_S3, "bucket": bucket, "prefix": prefix},
        }


def ready(site: Site, kind: str = "") -> int:
    """Ray pods that are ready: all of them, or the workers."""
    selector = f"ray.io/cluster=raycluster{kind and f',ray.io/node-type={kind}'}"
    pods = site.kube.get("pod", namespace="ray", selector=selector)
    conditions = [told for pod in pods for told in pod["status"].get("conditions", ()) if told["type"] == "Ready"]
    return sum(told["status"] == "True" for told in conditions)


@contextmanager
def caller(both: tuple[Site, Site], namespace: str, budget: Callable[[str], float]) -> Iterator[Caller]:
    """The pod in a namespace of ours, gone afterwards."""
    here, there = both
    try:
        here.kube.apply([_pod(there, namespace)])
        wait_s = budget("ray.pod_deadline_s")
        words = ("wait", "pod", POD, "-n", namespace, "--for=condition=Ready", f"--timeout={wait_s:.0f}s")
        here.kube.run(*words, deadline_s=wait_s + 10)
        yield Caller(here, there, namespace, budget("ray.job_deadline_s"))
    finally:
        here.kube.run("delete", "pod", POD, "-n", namespace, "--ignore-not-found", "--grace-period=0", "--force")


def _pod(there: Site, namespace: str) -> Any:
    """The image is the cluster's own, so client and cluster are of one version."""
    release = releases.named("ray", there.name, there.settings)
    container = {
        "name": POD,
        "image": values.of(release, there.settings)["image"],
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": "10m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, "enableServiceLinks": False},
    }
