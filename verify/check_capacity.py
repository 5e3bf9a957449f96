"""What the platform really uses, as the kubelets count it: memory of every release, below its limits, and of nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from provision import capacity, releases
from provision.releases import Release
from provision.settings import Settings, load
from provision.site import Site

if TYPE_CHECKING:
    from verify.nodes import NodeUnderTest

INSTANCE = "app.kubernetes.io/instance"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """One running container. used, limit: MiB; limit 0: none."""

    node: str
    namespace: str
    release: str
    where: str
    used: float
    limit: float


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A check a release; with `--site`, the site's."""
    if "release" not in metafunc.fixturenames:
        return
    settings, asked = load(metafunc.config.getoption("env")), metafunc.config.getoption("site")
    here = [release for release in releases.every(settings) if asked in {"", release.site}]
    rows = [release for release in here if any(ready.condition != "Exists" for ready in release.ready)]
    metafunc.parametrize("release", rows, ids=[f"{release.site}-{release.name}" for release in rows])


@pytest.fixture(scope="module")
def usage(both: tuple[Site, Site]) -> Mapping[str, Sequence[Usage]]:
    """Site -> its containers, asked once."""
    return {site.name: of(site) for site in both}


def test_release_stays_below_its_limits(
    release: Release,
    usage: Mapping[str, Sequence[Usage]],
    budget: Callable[[str], float],
    figure: Callable[[str], None],
) -> None:
    """Every container of it has a limit, and is not about to be killed for it."""
    mine = [row for row in usage[release.site] if row.release == release.name]
    used, limit = sum(row.used for row in mine), sum(row.limit for row in mine)
    figure(f"{used:.0f} MiB in {len(mine)} containers, limits {limit:.0f} MiB")
    assert mine, "no container of it runs"
    assert [row.where for row in mine if not row.limit] == []
    assert [row.where for row in mine if row.used > row.limit * budget("capacity.most_of_limit")] == []


def test_pods_of_a_node_fit_what_the_planner_counts(
    node: NodeUnderTest, usage: Mapping[str, Sequence[Usage]], settings: Settings, figure: Callable[[str], None]
) -> None:
    """What runs there, all together, against the memory that the planner takes the node to have."""
    mine = [row for row in usage[node.site.name] if row.node == node.name]
    planned = next(one for one in capacity.of_site(settings, node.site.name).nodes if one.name == node.name)
    have = planned.room.memory_mib
    figure(f"{sum(row.used for row in mine):.0f} MiB used by {len(mine)} containers, the planner's node has {have} MiB")
    assert sum(row.used for row in mine) <= have


def of(site: Site) -> list[Usage]:
    """Every running container of a site with what it uses and may use."""
    names = {release.namespace: release.name for release in releases.at(site.name, site.settings)}
    pods = {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in site.kube.get("pods")}
    rows = []
    for node in site.own.nodes:
        told = json.loads(site.kube.run("get", "--raw", f"/api/v1/nodes/{node.name}/proxy/stats/summary").stdout)
        for entry in told["pods"]:
            namespace, name = entry["podRef"]["namespace"], entry["podRef"]["name"]
            if (pod := pods.get((namespace, name))) is not None:
                release = pod["metadata"].get("labels", {}).get(INSTANCE, "") or names.get(namespace, "")
                rows += [
                    Usage(
                        node.name,
                        namespace,
                        release,
                        f"{namespace}/{name}/{container['name']}",
                        container["memory"]["workingSetBytes"] / MIB,
                        _limit(pod, container["name"]),
                    )
                    for container in entry.get("containers", ())
                    if container.get("memory", {}).get("workingSetBytes")
                ]
    return rows


def _limit(pod: Mapping[str, Any], name: str) -> float:
    """A container's memory limit in MiB, 0 for none."""
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", ())]
    told = [one.get("resources", {}).get("limits", {}).get("memory", "") for one in containers if one["name"] == name]
    text = str(told[0]) if told else ""
    units = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}
    return float(text[:-2]) * units[text[-2:]] if text[-2:] in units else float(text or 0) / MIB
