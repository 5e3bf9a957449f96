"""The RayCluster as the other site uses it: one job, one client, its checkpoint, its metrics; nobody without the token.

One transaction answers every check of this file but the last: a job is handed in once, and each check looks at a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from provision import prometheus, releases, values
from provision.site import Site
from provision.wait import never, wait_until
from verify import ray_caller

REFUSED = {401, 403}


@pytest.fixture(scope="module")
def given(both: tuple[Site, Site]) -> Mapping[str, Any]:
    """The values of the release."""
    site = both[1]
    return values.of(releases.named("ray", site.name, site.settings), site.settings)


@pytest.fixture(scope="module")
def told(
    both: tuple[Site, Site],
    given: Mapping[str, Any],
    namespaced: Callable[[Site], str],
    budget: Callable[[str], float],
) -> Iterator[Mapping[str, Any]]:
    """What a pod at the CPU site was told by the cluster, whose pods may just have been made anew."""
    nodes = 1 + given["workers"]["replicas"]
    with ray_caller.caller(both, namespaced(both[0]), budget) as caller:
        wait_until(
            "ray: head and workers are ready",
            lambda: ray_caller.ready(both[1]),
            lambda count: count == nodes,
            never,
            deadline_s=budget("ray.up_deadline_s"),
        )
        yield caller.transaction("check", "--epochs", "10")


def test_a_job_trains_on_every_workers_share(
    told: Mapping[str, Any], given: Mapping[str, Any], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """By the Jobs API: a candidate a worker, each given a card by Ray, and what was learned is better than guessing."""
    job = told["job"]
    assert job["status"] == "SUCCEEDED", job["log"]
    outcomes = job["result"]["outcomes"]
    figure(f"{job['ms']:.0f} ms from handed in to read back, accuracy {job['result']['accuracy']:.2f}")
    assert len({outcome["pod"] for outcome in outcomes}) == given["workers"]["replicas"]
    assert [outcome for outcome in outcomes if not outcome["gpu"]] == []
    assert job["result"]["accuracy"] >= budget("ray.accuracy_min")


def test_its_checkpoint_lies_in_the_object_store(told: Mapping[str, Any], figure: Callable[[str], None]) -> None:
    """Read back from the other site, byte for byte what the job wrote; then gone."""
    found = told["checkpoint"]
    figure(f"{found['bytes']} bytes, {found['ms']:.0f} ms")
    assert found["sha256"] == told["job"]["result"]["sha256"]
    assert found["left"] == 0


def test_a_client_of_the_other_site_computes_there(told: Mapping[str, Any], figure: Callable[[str], None]) -> None:
    """`ray://` through the link: numbers go over, are added up in a pod of the cluster, the sum comes back."""
    client = told["client"]
    figure(f"{client['ms']:.0f} ms, in {client['pod']}")
    assert client["sum"] == sum(range(1000))
    assert client["pod"].startswith("raycluster-")


def test_nobody_gets_in_without_the_token(told: Mapping[str, Any]) -> None:
    """No token and a wrong one."""
    assert set(told["refused"].values()) <= REFUSED


def test_the_dashboard_answers_with_the_version_of_the_release(
    told: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Its page, and the API behind it."""
    assert (told["dashboard"]["page"], told["dashboard"]["ray_version"]) == (200, given["rayVersion"])


def test_its_metrics_are_in_the_other_sites_prometheus(
    both: tuple[Site, Site], given: Mapping[str, Any], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Every Ray node's own, with the site that they are of."""
    nodes = 1 + given["workers"]["replicas"]
    found = wait_until(
        "prometheus: metrics of every Ray node",
        lambda: {
            sample.labels["site"]: sample.value
            for sample in prometheus.query(both[0].kube, "count by (site) (ray_node_mem_total)")
        },
        lambda seen: seen.get(both[1].name) == nodes,
        never,
        deadline_s=budget("ray.samples_deadline_s"),
    )
    figure(f"{found[both[1].name]:.0f} nodes")
    assert set(found) == {both[1].name}
