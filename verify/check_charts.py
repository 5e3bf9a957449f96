"""The applications: each release deployed from this checkout and ready, and a real transaction through each of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from provision import helm, readiness, releases, shell
from provision.appsecrets import LINK_NAMESPACE
from provision.releases import Release
from provision.settings import Settings, load
from provision.site import Site
from provision.wait import never, wait_until
from serving.stages import Stage

IMAGE = "docker.io/library/busybox:1.35.0"
NAMESPACE = "tandem-verify-charts"
TEXT = "A tunnel between two sites carries vectors as well as words."
DIMENSIONS = 384
SCHEMA = '"tandem-verify"'
# Three unit-ish vectors along three axes; the query lies nearest to the second.
WRITE = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.chunks (name text, embedding vector(3));
INSERT INTO {SCHEMA}.chunks VALUES ('first', '[1,0,0]'), ('second', '[0,1,0]'), ('third', '[0,0,1]');
CREATE INDEX ON {SCHEMA}.chunks USING hnsw (embedding vector_cosine_ops);
"""
POSTGRESQL = ("exec", "-i", "--pod-running-timeout=5s", "-n", "data", "statefulset/postgresql", "--")
NEAREST = f"SELECT name FROM {SCHEMA}.chunks ORDER BY embedding <=> '[0.1,0.9,0.2]' LIMIT 1;"
DROP = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check a release; with `--site`, the site's."""
    if "release" not in metafunc.fixturenames:
        return
    settings, asked = load(metafunc.config.getoption("env")), metafunc.config.getoption("site")
    rows = [release for release in releases.load() if asked in {"", release.site} and release.site in settings.sites]
    metafunc.parametrize("release", rows, ids=[f"{release.site}-{release.name}" for release in rows])


@pytest.fixture(scope="module")
def caller(both: tuple[Site, Site], budget: Callable[[str], float]) -> Iterator[Site]:
    """The CPU site with a pod of ours in it that can ask."""
    site, deadline_s = both[0], budget("charts.pod_deadline_s")
    container = {
        "name": "caller",
        "image": IMAGE,
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "caller", "namespace": NAMESPACE},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    try:
        site.kube.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, pod])
        site.kube.run(
            "wait",
            "pod",
            "caller",
            "-n",
            NAMESPACE,
            "--for=condition=Ready",
            f"--timeout={deadline_s:.0f}s",
            deadline_s=deadline_s + 10,
        )
        yield site
    finally:
        site.kube.run("delete", "namespace", NAMESPACE, "--ignore-not-found", deadline_s=70.0)


def test_release_is_deployed_and_ready(
    release: Release, both: tuple[Site, Site], settings: Settings, figure: Callable[[str], None]
) -> None:
    """Helm says deployed, from the inputs of this checkout; no object is missing; the conditions of `ready` hold."""
    site = next(site for site in both if site.name == release.site)
    record = helm.records(site.kube.get("secrets", namespace=release.namespace, selector=helm.RECORDS))[release.name]
    items = site.kube.get(",".join(record.kinds), selector=helm.MADE)
    figure(f"{release.name} {release.version}, revision {record.revision}, {len(record.objects)} objects")
    assert (record.status, record.inputs) == (helm.DEPLOYED, releases.inputs(release, settings))
    assert helm.missing(record, items) == []
    assert readiness.progress(release, items).faults == ()


@pytest.mark.sites("kvm-tacc")
def test_postgresql_finds_the_nearest_vector(site: Site) -> None:
    """Written and committed in a schema of our own, found again through an index by another connection."""
    try:
        _psql(site, DROP + WRITE)
        nearest = _psql(site, NEAREST)
    finally:
        _psql(site, DROP)
    assert nearest == "second"


@pytest.mark.sites("kvm-tacc")
def test_postgresql_takes_the_vaults_password_only(site: Site) -> None:
    """Over the network, as an application comes in; the password goes through stdin."""
    assert _login(site, "wrong").code == 2
    assert _login(site, site.vault.read()["postgresql"]["password"]).stdout.strip() == "1"


@pytest.mark.sites("chi-uc")
def test_prometheus_has_samples_of_both_sites(
    site: Site, both: tuple[Site, Site], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Its own cluster's targets, and this site's, which came by remote write through the link."""
    wanted = {one.name for one in both}
    up = wait_until(
        f"prometheus: samples of {site.name} too",
        lambda: query(both[0], "sum by (site) (up)", "site"),
        lambda found: wanted <= {name for name, count in found.items() if count >= 1},
        never,
        deadline_s=budget("charts.samples_deadline_s"),
    )
    figure(", ".join(f"{name}: {count:.0f} targets up" for name, count in sorted(up.items())))
    assert wanted <= set(up)


def test_metrics_of_the_stage_arrive(stage: Stage, both: tuple[Site, Site], budget: Callable[[str], float]) -> None:
    """The stage's own metrics, from its site, in the Prometheus of the other."""
    wait_until(
        f"prometheus: serving_ready of {stage.name}",
        lambda: query(both[0], "sum by (stage) (serving_ready)", "stage"),
        lambda found: found.get(stage.name, 0) >= 1,
        never,
        deadline_s=budget("charts.samples_deadline_s"),
    )
    found = query(both[0], f'count by (site) (serving_ready{{stage="{stage.name}"}})', "site")
    assert list(found) == [both[1].name]


def test_a_pod_across_gets_an_embedding(
    stage: Stage, caller: Site, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """POST /embed from the CPU site, by the name applications use, through the link, answered by this stage."""
    url = f"http://{stage.service}.{LINK_NAMESPACE}.svc:8000/embed"
    # Not wget's own -T: it makes Debian's static busybox crash.
    ask = ["timeout", f"{budget('charts.request_deadline_s'):.0f}", "wget", "-q", "-O", "-"]
    post = ["--header", "Content-Type: application/json", "--post-data", json.dumps({"texts": [TEXT]}), url]
    answer = json.loads(caller.kube.run("exec", "-n", NAMESPACE, "caller", "--", *ask, *post).stdout)
    vector = answer["embeddings"][0]
    figure(f"{answer['model']} {answer['version']}: {len(vector)} numbers, length {math.hypot(*vector):.4f}")
    assert len(vector) == DIMENSIONS
    assert math.isclose(math.hypot(*vector), 1.0, abs_tol=budget("charts.length_tolerance"))


def query(site: Site, expression: str, label: str) -> dict[str, float]:
    """label's value -> sample, of an instant query through the API server's proxy; {} while there is no answer."""
    path = f"/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={quote(expression)}"
    answer = site.kube.run("get", "--raw", path, ok=(0, 1))
    rows: list[Any] = json.loads(answer.stdout)["data"]["result"] if answer.code == 0 else []
    return {row["metric"].get(label, ""): float(row["value"][1]) for row in rows}


def _psql(site: Site, sql: str) -> str:
    """Run SQL over the pod's own socket as the owner of the database."""
    command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "tandem", "-v", "ON_ERROR_STOP=1", "-qAt"]
    return site.kube.run(*POSTGRESQL, *command, stdin=sql).stdout.strip()


def _login(site: Site, password: str) -> shell.Result:
    script = "read -r PGPASSWORD; export PGPASSWORD; psql -h postgresql.data.svc -U tandem -d tandem -w -Atc 'SELECT 1'"
    return site.kube.run(*POSTGRESQL, "sh", "-c", script, stdin=f"{password}\n", ok=(0, 1, 2))
