"""Whether a release runs, and whether it ever will: pure judgements over objects as the API gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision.releases import Ready, Release

Item = Mapping[str, Any]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
EVERY_S = 2.0
ALIKE = {"ErrImagePull": "ImagePullBackOff"}  # a pod changes between the two as the kubelet tries again
# Reasons from which a pod does not come back by waiting, and how long each is given to prove us wrong: a scheduler
# may wait for a volume or a GPU share, a program may crash until the one it talks to is there.
PATIENCE_S = {
    "CrashLoopBackOff": 60.0,
    "Unschedulable": 60.0,
    "ImagePullBackOff": 20.0,
    "ErrImagePull": 30.0,
    "InvalidImageName": 0.0,
    "ErrImageNeverPull": 0.0,
    "CreateContainerConfigError": 20.0,
    "CreateContainerError": 30.0,
    "RunContainerError": 60.0,
    "UnexpectedAdmissionError": 20.0,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a pod from running. where: pod or pod/container."""

    where: str
    reason: str
    message: str

    def __repr__(self) -> str:
        return f"{self.where}: {self.reason} {self.message}".rstrip()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a release is: conditions that do not hold yet, and what its pods suffer from."""

    faults: tuple[str, ...]
    troubles: tuple[Trouble, ...] = ()

    def __repr__(self) -> str:
        return "; ".join([*self.faults, *(repr(trouble) for trouble in self.troubles)]) or "ready"


@dataclass
class Patience:
    """Remembers how many probes in a row saw each trouble."""

    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def is_over(self, progress: Progress) -> bool:
        """Whether a trouble has lasted longer than its reason is given."""
        now = {(trouble.where, ALIKE.get(trouble.reason, trouble.reason)) for trouble in progress.troubles}
        self.seen = {key: self.seen.get(key, 0) + 1 for key in now}
        return any((count - 1) * EVERY_S >= PATIENCE_S[reason] for (_, reason), count in self.seen.items())


def progress(release: Release, items: Sequence[Item]) -> Progress:
    """Judge a release by its `ready` conditions. items: workloads, pods and what else `ready` names."""
    faults = [text for ready in release.ready if (text := fault(ready, release.namespace, items))]
    pods = [pod for workload in _workloads(release, items) for pod in _pods(workload, items)] if faults else []
    return Progress(tuple(faults), tuple(trouble for pod in pods for trouble in troubles(pod)))


def is_seen(release: Release, items: Sequence[Item]) -> bool:
    """Whether the controllers have taken note of the newest form of every workload."""
    return all(
        item.get("status", {}).get("observedGeneration", 0) >= item["metadata"].get("generation", 1)
        for item in _workloads(release, items)
    )


def stuck(release: Release, items: Sequence[Item]) -> list[str]:
    """Pods of an older revision of a StatefulSet that do not run: it waits for them for ever instead of replacing them.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    return [
        pod["metadata"]["name"]
        for item in _workloads(release, items)
        if item["kind"] == "StatefulSet"
        for pod in _pods(item, items)
        if troubles(pod) and _revision(pod) != item.get("status", {}).get("updateRevision", "")
    ]


def fault(ready: Ready, namespace: str, items: Sequence[Item]) -> str:
    """What is wrong with one condition, or ''. Cluster-wide objects have no namespace."""
    kind = ready.kind.partition(".")[0]
    found = [
        item
        for item in items
        if (item["kind"], item["metadata"]["name"]) == (kind, ready.name)
        and item["metadata"].get("namespace", namespace) == namespace
    ]
    if not found:
        return f"{ready.kind} {ready.name} is not there"
    if ready.condition == "Exists":
        return ""
    if kind not in WORKLOADS:
        return _condition_fault(ready, found[0])
    current, good, wanted = _counts(found[0])
    if not current:
        return f"{ready.kind} {ready.name} is not rolled out yet"
    return "" if good == wanted and wanted >= 1 else f"{ready.kind} {ready.name}: {good} of {wanted} ready"


def _condition_fault(ready: Ready, item: Item) -> str:
    """Of a custom resource: the condition that must be True, in its controller's words when it is not."""
    told = next((one for one in item.get("status", {}).get("conditions", ()) if one["type"] == ready.condition), None)
    if told is None:
        return f"{ready.kind} {ready.name}: not {ready.condition} yet"
    why = told.get("message") or told.get("reason", "")
    return "" if told["status"] == "True" else f"{ready.kind} {ready.name}: not {ready.condition}: {why}"


def troubles(pod: Item) -> list[Trouble]:
    """What keeps a pod from running."""
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    found = [
        Trouble(f"{name}/{container['name']}", waiting["reason"], _last_words(container) or waiting.get("message", ""))
        for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
        if (waiting := container.get("state", {}).get("waiting")) and waiting.get("reason") in PATIENCE_S
    ]
    found += [
        Trouble(name, told["reason"], told.get("message", ""))
        for told in status.get("conditions", ())
        if told["type"] == "PodScheduled" and told.get("reason") in PATIENCE_S
    ]
    if status.get("reason") in PATIENCE_S:
        found.append(Trouble(name, status["reason"], status.get("message", "")))
    return found


def _counts(item: Item) -> tuple[bool, int, int]:
    """(the controller has seen this generation and no old pod serves, ready replicas, wanted replicas)."""
    status, spec = item.get("status", {}), item["spec"]
    current = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 1)
    if item["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        updated = status.get("updatedNumberScheduled", 0)
        return current and updated == wanted, status.get("numberReady", 0), wanted
    wanted = spec.get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    return current and updated == wanted, status.get("readyReplicas", 0), wanted


def _last_words(container: Item) -> str:
    ended = container.get("lastState", {}).get("terminated")
    return f"exit code {ended['exitCode']} {ended.get('message', '')}".strip() if ended else ""


def _matches(pod: Item, selector: Mapping[str, str]) -> bool:
    labels = pod["metadata"].get("labels", {})
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def _workloads(release: Release, items: Sequence[Item]) -> list[Item]:
    awaited = {(ready.kind, ready.name) for ready in release.ready}
    return [
        item
        for item in items
        if item["kind"] in WORKLOADS
        and (item["kind"], item["metadata"]["name"]) in awaited
        and item["metadata"].get("namespace") == release.namespace
    ]


def _pods(workload: Item, items: Sequence[Item]) -> list[Item]:
    selector = workload["spec"]["selector"].get("matchLabels", {})
    return [
        item
        for item in items
        if item["kind"] == "Pod"
        and _matches(item, selector)
        and item["metadata"].get("namespace") == workload["metadata"].get("namespace")
    ]


def _revision(pod: Item) -> str:
    return str(pod["metadata"].get("labels", {}).get("controller-revision-hash", ""))
