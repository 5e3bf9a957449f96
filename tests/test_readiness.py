"""Whether a release runs and ever will, judged from objects as the API gives them."""

from __future__ import annotations

from typing import Any

import pytest

from provision.readiness import (
    EVERY_S,
    PATIENCE_S,
    Patience,
    Progress,
    Trouble,
    fault,
    is_seen,
    progress,
    stuck,
    troubles,
)
from provision.releases import Ready, named
from provision.settings import load

AVAILABLE = Ready(kind="Deployment", name="web", condition="Available")


def workload(kind: str = "Deployment", *, wanted: int = 1, updated: int = 1, ready: int = 1, seen: int = 1) -> Any:
    return {
        "kind": kind,
        "metadata": {"name": "web", "namespace": "data", "generation": 1},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": seen, "updatedReplicas": updated, "readyReplicas": ready},
    }


def daemons(*, wanted: int, updated: int, ready: int) -> Any:
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": wanted,
        "updatedNumberScheduled": updated,
        "numberReady": ready,
    }
    return {
        "kind": "DaemonSet",
        "metadata": {"name": "web", "namespace": "data", "generation": 1},
        "spec": {"selector": {}},
        "status": status,
    }


def pod(**status: Any) -> Any:
    metadata = {"name": "web-0", "namespace": "data", "labels": {"app": "web"}}
    return {"kind": "Pod", "metadata": metadata, "status": status}


def waiting(reason: str, message: str = "") -> Any:
    return {"containerStatuses": [{"name": "web", "state": {"waiting": {"reason": reason, "message": message}}}]}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (workload(), ""),
        (workload(seen=0), "Deployment web is not rolled out yet"),
        (workload(updated=0), "Deployment web is not rolled out yet"),
        (workload(ready=0), "Deployment web: 0 of 1 ready"),
        (workload(wanted=0, updated=0, ready=0), "Deployment web: 0 of 0 ready"),
        (workload(wanted=2, updated=2, ready=1), "Deployment web: 1 of 2 ready"),
    ],
)
def test_a_workload_is_available_when_all_its_new_pods_are(item: Any, said: str) -> None:
    assert fault(AVAILABLE, "data", [item]) == said


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (daemons(wanted=1, updated=1, ready=1), ""),
        (daemons(wanted=0, updated=0, ready=0), "DaemonSet web: 0 of 0 ready"),
        (daemons(wanted=2, updated=2, ready=1), "DaemonSet web: 1 of 2 ready"),
        (daemons(wanted=2, updated=1, ready=2), "DaemonSet web is not rolled out yet"),
    ],
)
def test_daemons_are_available_on_every_node(item: Any, said: str) -> None:
    assert fault(Ready(kind="DaemonSet", name="web", condition="Available"), "data", [item]) == said


def test_what_is_not_there_is_said() -> None:
    assert fault(AVAILABLE, "data", []) == "Deployment web is not there"
    assert fault(AVAILABLE, "other", [workload()]) == "Deployment web is not there"


def test_an_object_without_namespace_exists() -> None:
    ready = Ready(kind="StorageClass", name="block", condition="Exists")
    assert fault(ready, "data", [{"kind": "StorageClass", "metadata": {"name": "block"}}]) == ""


def test_a_pod_s_troubles_are_named_with_reason_and_message() -> None:
    unplaced = {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "0/3 nodes"}]}
    assert repr(troubles(pod(**unplaced))[0]) == "web-0: Unschedulable 0/3 nodes"
    assert repr(troubles(pod(**waiting("ImagePullBackOff", "401")))[0]) == "web-0/web: ImagePullBackOff 401"


def test_a_crash_shows_how_it_ended() -> None:
    status = waiting("CrashLoopBackOff", "back-off 5m0s")
    status["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 3, "message": "no model"}}
    assert repr(troubles(pod(**status))[0]) == "web-0/web: CrashLoopBackOff exit code 3 no model"


def test_starting_is_no_trouble() -> None:
    assert troubles(pod(**waiting("ContainerCreating"), conditions=[{"type": "PodScheduled", "status": "True"}])) == []


def test_a_release_is_judged_by_its_own_pods() -> None:
    release = named("postgresql", "kvm-tacc", load("rehearsal"))
    item = workload("StatefulSet", ready=0)
    item["metadata"]["name"] = "postgresql"
    stranger = pod(**waiting("ImagePullBackOff"))
    stranger["metadata"]["labels"] = {"app": "other"}
    found = progress(release, [item, pod(**waiting("ErrImagePull")), stranger])
    assert [trouble.reason for trouble in found.troubles] == ["ErrImagePull"]


def test_an_old_pod_that_cannot_run_is_in_the_way_of_a_statefulset() -> None:
    release = named("postgresql", "kvm-tacc", load("rehearsal"))
    item = workload("StatefulSet", ready=0)
    item["metadata"]["name"] = "postgresql"
    item["status"]["updateRevision"] = "new"
    old, new, running = pod(**waiting("ErrImagePull")), pod(**waiting("ErrImagePull")), pod()
    for one, name, revision in ((old, "old", "old"), (new, "new", "new"), (running, "running", "old")):
        one["metadata"] |= {"name": name, "labels": {"app": "web", "controller-revision-hash": revision}}
    assert stuck(release, [item, old, new, running]) == ["old"]


def test_a_workload_is_seen_when_its_controller_says_so() -> None:
    item = workload("StatefulSet", seen=0)
    item["metadata"]["name"] = "postgresql"
    assert not is_seen(named("postgresql", "kvm-tacc", load("rehearsal")), [item])
    assert is_seen(named("postgresql", "kvm-tacc", load("rehearsal")), [workload(seen=0)])


def test_two_words_for_one_trouble_count_together() -> None:
    patience, words = Patience(), ("ErrImagePull", "ImagePullBackOff")
    probes = int(PATIENCE_S["ImagePullBackOff"] / EVERY_S) + 1
    states = [Progress(("x",), (Trouble("a/b", words[number % 2], ""),)) for number in range(probes)]
    assert [patience.is_over(state) for state in states] == [False] * (probes - 1) + [True]


def test_patience_ends_when_a_trouble_lasts() -> None:
    patience = Patience()
    state = Progress(("not ready",), (Trouble("web-0/web", "CrashLoopBackOff", ""),))
    probes = int(PATIENCE_S["CrashLoopBackOff"] / EVERY_S)
    assert [patience.is_over(state) for _ in range(probes)] == [False] * probes
    assert patience.is_over(state)


def test_patience_begins_anew_when_a_trouble_was_over() -> None:
    patience = Patience()
    state = Progress(("not ready",), (Trouble("web-0/web", "ImagePullBackOff", ""),))
    for _ in range(int(PATIENCE_S["ImagePullBackOff"] / EVERY_S)):
        patience.is_over(state)
    assert not patience.is_over(Progress(("not ready",)))
    assert not patience.is_over(state)


def test_a_name_that_cannot_be_an_image_is_not_waited_for() -> None:
    assert Patience().is_over(Progress(("x",), (Trouble("a/b", "InvalidImageName", ""),)))


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ([{"type": "Provisioned", "status": "True"}], ""),
        ([{"type": "Provisioned", "status": "False", "message": "1 of 2 workers"}], "1 of 2 workers"),
        ([], "not Provisioned yet"),
    ],
)
def test_a_custom_resource_is_ready_when_its_condition_is_true(conditions: list[Any], said: str) -> None:
    ready = Ready(kind="RayCluster.ray.io", name="raycluster", condition="Provisioned")
    item = {"kind": "RayCluster", "metadata": {"name": "raycluster", "namespace": "ray"}, "spec": {}}
    found = fault(ready, "ray", [{**item, "status": {"conditions": conditions}}])
    assert said in found
    assert bool(found) == bool(said)
