"""Pods of the checks that ask for shares of a card, of so little priority that everybody else's go before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from provision.site import Site
from provision.wait import never, wait_until
from verify import lent as lent_objects

RESOURCE = "nvidia.com/gpu.shared"
PRIORITY = "tandem-verify"
EVERY_S = 0.3


@dataclass(frozen=True)
class GpuPods:
    """Pods in a namespace of ours at one site."""

    site: Site
    namespace: str

    def reason_of_waiting(self, count: int, *, deadline_s: float) -> str:
        """Make so many pods of one share each; what the scheduler says of one that it cannot place."""
        self.site.kube.apply([self.pod(f"share-{number}", 1) for number in range(count)])
        return wait_until(
            f"{count} pods of one share: one that cannot be placed",
            lambda: unplaced(self.site.kube.get("pod", namespace=self.namespace)),
            bool,
            never,
            deadline_s=deadline_s,
            every_s=EVERY_S,
        )

    def decided(self, shares: int, *, node: str = "", deadline_s: float) -> Mapping[str, Any]:
        """Make one pod of so many shares, with a node past the scheduler; its status once it has ended or runs."""
        self.site.kube.apply([self.pod("greedy", shares, node)])
        return wait_until(
            f"pod of {shares} shares: decided",
            lambda: self.site.kube.get("pod", namespace=self.namespace, name="greedy")[0]["status"],
            lambda status: status["phase"] in {"Failed", "Running", "Succeeded"},
            never,
            deadline_s=deadline_s,
            every_s=EVERY_S,
        )

    def pod(self, name: str, shares: int, node: str = "") -> Any:
        """One pod that asks for shares."""
        made = lent_objects.pod(name, self.namespace, "sleep 600")
        made["metadata"]["labels"]["asks"] = PRIORITY
        made["spec"]["containers"][0]["resources"]["limits"][RESOURCE] = shares
        made["spec"] |= {"priorityClassName": PRIORITY, **({"nodeName": node} if node else {})}
        return made


@contextmanager
def lent(site: Site, namespace: str) -> Iterator[GpuPods]:
    """The priority class, gone afterwards with every pod of it."""
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": PRIORITY},
        "value": -1_000_000,
        "preemptionPolicy": "Never",
    }
    try:
        site.kube.apply([priority])
        yield GpuPods(site, namespace)
    finally:
        site.kube.run("delete", "pods", "-n", namespace, "-l", f"asks={PRIORITY}", "--grace-period=0", "--force")
        site.kube.run("delete", "priorityclass", PRIORITY, "--ignore-not-found")


def unplaced(pods: Sequence[Any]) -> str:
    """Why the scheduler has not placed one of the pods; '' when it says nothing of any."""
    told = [
        condition["message"]
        for pod in pods
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable"
    ]
    return told[0] if told else ""
