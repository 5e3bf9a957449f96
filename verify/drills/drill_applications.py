"""MLflow, Label Studio, JupyterLab restarted, moved, deleted and installed again: what was written before is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from provision import applications
from provision.site import Site
from provision.wait import never, wait_until
from verify.drills import contents, holdings
from verify.drills.cli import Cli
from verify.drills.holdings import Holdings
from verify.drills.web import ANSWER_S, jupyter, label_studio, mlflow
from verify.forward import client

SITE = "kvm-tacc"
AREAS = {"mlflow": "mlflow", "label-studio": "label_studio", "jupyter": "jupyter"}
WORKLOADS = {"mlflow": "deployment", "label-studio": "deployment", "jupyter": "statefulset"}
# JupyterLab stays where its volume is.
MOVABLE = ("mlflow", "label-studio")
KEPT = ("label_studio.", "mlflow.params", "notebooks")
REPELLER = "tandem-verify-repeller"
PAUSE = "registry.k8s.io/pause:3.10.1"

by_name = pytest.mark.parametrize("name", AREAS)


@pytest.fixture(scope="module")
def site(sites: Mapping[str, Site]) -> Site:
    """The site of all three."""
    return sites[SITE]


@pytest.fixture(scope="module")
def written(site: Site, left_verified: None) -> Iterator[Holdings]:
    """Something of ours in each, gone afterwards; counts and checksums as they are now."""
    contents.make(site)
    yield held(site)
    contents.remove(site)


@pytest.mark.slow
@pytest.mark.breaks
@by_name
def test_its_data_outlives_its_pod(
    name: str, site: Site, written: Holdings, cli: Cli, figure: Callable[[str], None]
) -> None:
    """The pod deleted; its successor reads what the one before wrote."""
    took_s = replaced(site, name, cli.budget("drill.application_back_s"))
    figure(f"{name}: another pod ready after {took_s:.1f} s")
    assert holdings.differences(written, held(site)) == []
    assert read(site, name) == contents.NAME


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize("name", MOVABLE)
def test_its_data_follows_to_another_node(
    name: str, site: Site, written: Holdings, cli: Cli, figure: Callable[[str], None]
) -> None:
    """The pod deleted while its node repels its like: no node is cordoned, nobody else is touched."""
    before = pod(site, name)["spec"]["nodeName"]
    with repelled(site, name, before):
        took_s = replaced(site, name, cli.budget("drill.application_back_s"))
    after = pod(site, name)["spec"]["nodeName"]
    figure(f"{name}: {before} -> {after} in {took_s:.1f} s")
    assert after != before
    assert holdings.differences(written, held(site)) == []
    assert read(site, name) == contents.NAME


@pytest.mark.slow
@pytest.mark.breaks
@by_name
def test_its_data_outlives_its_release(
    name: str, site: Site, written: Holdings, cli: Cli, figure: Callable[[str], None]
) -> None:
    """The Application deleted with all that it made; `provision.charts` brings it up anew."""
    before = workload(site, name)["metadata"]["uid"]
    site.kube.run("delete", applications.KIND, name, "-n", applications.NAMESPACE, deadline_s=applications.GONE_S)
    repair = cli.must("provision.charts", "--site", SITE)
    cli.must_verify(AREAS[name])
    figure(f"{name}: deleted; verified again, {repair.data['changes']} changes in {repair.seconds:.0f} s")
    assert workload(site, name)["metadata"]["uid"] != before
    assert holdings.differences(written, held(site)) == []
    assert read(site, name) == contents.NAME


def held(site: Site) -> Holdings:
    """Rows and notebooks, but for those tables of MLflow's in which a check leaves a deleted run."""
    found = {**holdings.rows(site), **holdings.notebooks(site)}
    return {name: what for name, what in found.items() if name.startswith(KEPT)}


def read(site: Site, name: str) -> str:
    """What `contents` wrote, as the application itself tells it."""
    return {"mlflow": _artifact, "label-studio": _annotated, "jupyter": _noted}[name](site)


def replaced(site: Site, name: str, deadline_s: float) -> float:
    """Delete the pod; seconds until another one is ready."""
    old, started = pod(site, name)["metadata"]["name"], time.monotonic()
    uid = pod(site, name)["metadata"]["uid"]
    site.kube.run("delete", "pod", old, "-n", name, "--wait=false")
    wait_until(
        f"{name}: another pod, ready",
        lambda: [one for one in _pods(site, name) if one["metadata"]["uid"] != uid and _is_ready(one)],
        bool,
        never,
        deadline_s=deadline_s,
        every_s=0.5,
    )
    return time.monotonic() - started


@contextmanager
def repelled(site: Site, name: str, node: str) -> Iterator[None]:
    """A pod of ours on the node, put there past the scheduler, which then keeps the application's pods away from it."""
    like = {"namespaces": [name], "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}
    terms = [{"topologyKey": "kubernetes.io/hostname", **like}]
    container = {
        "name": "pause",
        "image": PAUSE,
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "16Mi"}},
    }
    spec = {
        "nodeName": node,
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    words = ("pod", REPELLER, "-n", name)
    site.kube.run("delete", *words, "--ignore-not-found")
    try:
        metadata = {"name": REPELLER, "namespace": name}
        site.kube.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}])
        site.kube.run("wait", *words, "--for=condition=Ready", "--timeout=60s", deadline_s=70.0)
        yield
    finally:
        site.kube.run("delete", *words, "--ignore-not-found")


def workload(site: Site, name: str) -> Any:
    """The Deployment or StatefulSet."""
    (found,) = site.kube.get(WORKLOADS[name], namespace=name, name=name)
    return found


def pod(site: Site, name: str) -> Any:
    """The ready pod."""
    return next(one for one in _pods(site, name) if _is_ready(one))


def _pods(site: Site, name: str) -> list[Any]:
    """Those that are not on their way out."""
    found = site.kube.get("pods", namespace=name, selector=f"app.kubernetes.io/name={name}")
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def _is_ready(one: Any) -> bool:
    told = one["status"].get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in told)


def _artifact(site: Site) -> str:
    """The run's artifact, through MLflow."""
    web, named = mlflow(site), {"max_results": 1, "filter": f"name = '{contents.NAME}'"}
    (experiment,) = web.ask("POST", "api/2.0/mlflow/experiments/search", named)["experiments"]
    (run,) = web.ask("POST", "api/2.0/mlflow/runs/search", {"experiment_ids": [experiment["experiment_id"]]})["runs"]
    folder = f"{experiment['experiment_id']}/{run['info']['run_id']}/artifacts"
    with client(site, "mlflow", "mlflow", 5000, answer_s=ANSWER_S) as asking:
        path = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/note.txt"
        return asking.get(path, headers=dict(web.headers)).text


def _annotated(site: Site) -> str:
    """The text of the annotated task, out of the project's export."""
    web = label_studio(site)
    found = web.ask("GET", "api/projects?page_size=1000")["results"]
    (project,) = [one["id"] for one in found if one["title"] == contents.NAME]
    (task,) = web.ask("GET", f"api/projects/{project}/export?exportType=JSON")
    assert task["annotations"][0]["result"][0]["value"]["choices"] == ["kept"]
    return str(task["data"]["text"])


def _noted(site: Site) -> str:
    """The notebook's one cell."""
    (cell,) = jupyter(site).ask("GET", contents.NOTEBOOK)["content"]["cells"]
    return str(cell["source"])
