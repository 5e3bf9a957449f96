"""Rendered workloads are read as the scheduler reads them."""

from __future__ import annotations

from typing import Any

import pytest

from provision.pods import Pod
from tests.apps import workloads


def workload(kind: str, *containers: Any, **spec: Any) -> Any:
    pod = {"containers": list(containers), **spec.pop("pod", {})}
    return {"kind": kind, "metadata": {"name": "x"}, "spec": {"template": {"spec": pod}, **spec}}


def asking(cpu: str, memory: str, **more: Any) -> Any:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory, **more}}}


CLAIM = {"spec": {"storageClassName": "block"}}
MOUNT = {"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}, {"emptyDir": {}}]}
X = Pod("app", "x", 110, 96)


@pytest.mark.parametrize(
    ("item", "asks"),
    [
        (workload("Deployment", asking("100m", "64Mi"), asking("10m", "32Mi"), replicas=2), (110, 96, 0, 2, "")),
        (workload("DaemonSet", asking("1", "2Gi")), (1000, 2048, 0, 1, "every")),
        (workload("StatefulSet", asking("1m", "1Mi"), volumeClaimTemplates=[CLAIM]), (1, 1, 0, 1, "volume")),
        (workload("Deployment", asking("1m", "1Mi"), pod=MOUNT), (1, 1, 0, 1, "volume")),
        (workload("Deployment", asking("1m", "1Mi", **{workloads.SHARES: 1})), (1, 1, 1, 1, "")),
        (workload("Deployment", asking("1m", "9Mi"), pod={"initContainers": [asking("5m", "1Mi")]}), (5, 9, 0, 1, "")),
        (workload("Deployment", {}), (0, 0, 0, 1, "")),
    ],
)
def test_what_a_workload_asks_for(item: Any, asks: tuple[int, int, int, int, str]) -> None:
    assert workloads.rendered(item, {"data"}) == asks


def test_a_difference_is_named() -> None:
    item = workload("Deployment", asking("100m", "64Mi"), asking("10m", "32Mi"))
    assert workloads.differences([item], [X]) == []
    assert workloads.differences([item], []) == ["Deployment x is not in [[pods]]"]
    (said,) = workloads.differences([item], [Pod("app", "x", 110, 97)])
    assert said == "Deployment x asks for (110, 96, 0, 1, ''), [[pods]] says (110, 97, 0, 1, '')"
