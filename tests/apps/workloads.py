"""Rendered manifests against `[[pods]]` of chart.toml: what the planner counts is what the chart asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.pods import Pod

KINDS = ("Deployment", "StatefulSet", "DaemonSet")
SHARES = "nvidia.com/gpu.shared"
BLOCK = "block"


def differences(objects: Sequence[Mapping[str, Any]], wanted: Sequence[Pod]) -> list[str]:
    """What a workload asks for and the table does not say, in words. Pods that an operator makes are not seen here."""
    told = {pod.name: pod for pod in wanted}
    claims = {item["metadata"]["name"] for item in objects if _is_on_block(item)}
    found = []
    for item in (item for item in objects if item["kind"] in KINDS):
        name = item["metadata"]["name"]
        if name not in told:
            found.append(f"{item['kind']} {name} is not in [[pods]]")
        elif (asks := rendered(item, claims)) != (says := stated(told[name])):
            found.append(f"{item['kind']} {name} asks for {asks}, [[pods]] says {says}")
    return found


def stated(pod: Pod) -> tuple[int, int, int, int, str]:
    """(millicores, MiB, GPU shares, replicas, where) of a row."""
    return pod.cpu_millicores, pod.memory_mib, pod.gpu_shares, pod.replicas, pod.on


def rendered(item: Mapping[str, Any], claims: set[str]) -> tuple[int, int, int, int, str]:
    """The same of a workload. claims: names of the release's claims on the block volume."""
    spec = item["spec"]
    pod = spec["template"]["spec"]
    sums = [sum(_request(container, name) for container in pod["containers"]) for name in ("cpu", "memory", SHARES)]
    for container in pod.get("initContainers", ()):
        sums = [
            max(value, _request(container, name)) for value, name in zip(sums, ("cpu", "memory", SHARES), strict=True)
        ]
    own = [
        claim
        for claim in spec.get("volumeClaimTemplates", ())
        if _is_on_block({"kind": "PersistentVolumeClaim", **claim})
    ]
    named = [
        volume
        for volume in pod.get("volumes", ())
        if volume.get("persistentVolumeClaim", {}).get("claimName") in claims
    ]
    where = "every" if item["kind"] == "DaemonSet" else "volume" if own or named else ""
    return sums[0], sums[1], sums[2], spec.get("replicas", 1), where


def millicores(quantity: str | int | float) -> int:
    """`250m`, 4 or `0.5` in thousandths of a core."""
    text = str(quantity)
    return int(text.removesuffix("m")) if text.endswith("m") else round(float(text) * 1000)


def mebibytes(quantity: str) -> int:
    """`512Mi` or `2Gi` in MiB."""
    factor = {"Mi": 1, "Gi": 1024}[quantity[-2:]]
    return int(quantity[:-2]) * factor


def _request(container: Mapping[str, Any], name: str) -> int:
    asked = container.get("resources", {}).get("requests", {}).get(name, 0)
    if not asked:
        return 0
    return millicores(asked) if name == "cpu" else mebibytes(asked) if name == "memory" else int(asked)


def _is_on_block(item: Mapping[str, Any]) -> bool:
    return bool(item["kind"] == "PersistentVolumeClaim" and item["spec"].get("storageClassName") == BLOCK)
