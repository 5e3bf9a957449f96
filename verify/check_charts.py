"""The applications: each release deployed from this checkout and ready, and a real transaction through each of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping

import pytest

from provision import helm, releases, rollout, values
from provision.appsecrets import LINK_NAMESPACE
from provision.releases import Release
from provision.settings import Settings, load
from provision.site import Site
from serving.stages import Stage

IMAGE = "docker.io/library/busybox:1.35.0"
TEXT = "A tunnel between two sites carries vectors as well as words."
DIMENSIONS = 384


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check a release; with `--site`, the site's."""
    if "release" not in metafunc.fixturenames:
        return
    settings, asked = load(metafunc.config.getoption("env")), metafunc.config.getoption("site")
    rows = [release for release in releases.every(settings) if asked in {"", release.site}]
    metafunc.parametrize("release", rows, ids=[f"{release.site}-{release.name}" for release in rows])


@pytest.fixture(scope="module")
def caller(
    both: tuple[Site, Site], namespaced: Callable[[Site], str], budget: Callable[[str], float]
) -> Iterator[tuple[Site, str]]:
    """The CPU site and a namespace there with a pod of ours in it that can ask."""
    site, deadline_s = both[0], budget("charts.pod_deadline_s")
    namespace = namespaced(site)
    container = {
        "name": "caller",
        "image": IMAGE,
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "caller", "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    site.kube.apply([pod])
    ready = ("wait", "pod", "caller", "-n", namespace, "--for=condition=Ready", f"--timeout={deadline_s:.0f}s")
    site.kube.run(*ready, deadline_s=deadline_s + 10)
    yield site, namespace
    site.kube.run("delete", "pod", "caller", "-n", namespace, "--wait=false")


@pytest.fixture(scope="module")
def seen(both: tuple[Site, Site]) -> Mapping[str, rollout.Seen]:
    """What each cluster says of its releases: asked once for all of them."""
    return {site.name: rollout.look(site) for site in both}


def test_release_is_deployed_and_ready(
    release: Release, seen: Mapping[str, rollout.Seen], settings: Settings, figure: Callable[[str], None]
) -> None:
    """From the inputs of this checkout, by its one owner; no object is missing; the conditions of `ready` hold."""
    here = seen[release.site]
    if release.owner == "helm":
        record = here.records[release.name]
        figure(f"{release.name} {release.version}, Helm revision {record.revision}, {len(record.objects)} objects")
        assert (record.status, record.inputs) == (helm.DEPLOYED, values.inputs(release, settings))
    else:
        application = here.applications[release.name]
        figure(f"{release.name} {release.version}, Argo CD {application}, commit {application.revision[:8]}")
        assert application.fault(values.commit_at(release.site, settings)) == ""
        assert release.name not in here.records, "two owners: Helm keeps a record of it too"
    assert here.faults[release.name] == ""


def test_a_pod_across_gets_an_embedding(
    stage: Stage, caller: tuple[Site, str], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """POST /embed from the CPU site, by the name applications use, through the link, answered by this stage."""
    site, namespace = caller
    url = f"http://{stage.service}.{LINK_NAMESPACE}.svc:8000/embed"
    # Not wget's own -T: it makes Debian's static busybox crash.
    ask = ["timeout", f"{budget('charts.request_deadline_s'):.0f}", "wget", "-q", "-O", "-"]
    post = ["--header", "Content-Type: application/json", "--post-data", json.dumps({"texts": [TEXT]}), url]
    answer = json.loads(site.kube.run("exec", "-n", namespace, "caller", "--", *ask, *post).stdout)
    vector = answer["embeddings"][0]
    figure(f"{answer['model']} {answer['version']}: {len(vector)} numbers, length {math.hypot(*vector):.4f}")
    assert len(vector) == DIMENSIONS
    assert math.isclose(math.hypot(*vector), 1.0, abs_tol=budget("charts.length_tolerance"))
