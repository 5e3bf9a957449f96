"""With two shares free, a pod that asks for both is placed, and refused by the device plugin itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until
from verify import gpu_pods
from verify.drills.cli import Cli
from verify.gpu_pods import GpuPods
from verify.ray_caller import ready

OPERATOR = ("-n", "ray", "deployment", "kuberay-operator")
WORKERS = "ray.io/node-type=worker"


@pytest.fixture
def free(
    doors: Mapping[str, Site], settings: Settings, cli: Cli, namespaced: Callable[[Site], str]
) -> Iterator[GpuPods]:
    """Ray's workers give up their shares as long as their operator is away."""
    site = doors[settings.link.client]
    site.kube.run("scale", *OPERATOR, "--replicas=0")
    try:
        site.kube.run("delete", "pod", "-n", "ray", "-l", WORKERS, "--wait=true", deadline_s=60.0)
        with gpu_pods.lent(site, namespaced(site)) as made:
            yield made
    finally:
        site.kube.run("scale", *OPERATOR, "--replicas=1")
        wait_until(
            "ray: the workers are back",
            lambda: ready(site, "worker"),
            lambda count: count == 2,
            never,
            deadline_s=cli.budget("drill.ray_back_s"),
        )


@pytest.mark.breaks
def test_two_free_shares_are_not_given_to_one_pod(free: GpuPods, cli: Cli, figure: Callable[[str], None]) -> None:
    """The scheduler sees two and would give them; the plugin says why it does not."""
    status = free.decided(2, deadline_s=cli.budget("gpu.refused_deadline_s"))
    figure(f"{status['reason']}: {status['message']}")
    assert (status["phase"], status["reason"]) == ("Failed", "UnexpectedAdmissionError")
    assert "maximum request size for shared resources is 1; found 2" in status["message"]
