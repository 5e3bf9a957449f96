"""A Ray worker is killed in the middle of a job: the job ends well, from the checkpoint that the worker left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from pipelines.train import job
from provision.settings import Settings
from provision.site import Site
from provision.threads import interruptible
from provision.wait import never, wait_until
from verify import ray_caller
from verify.drills.cli import Cli
from verify.ray_caller import Caller, ready

EPOCHS, PAUSE_S = 40, 0.5  # twenty seconds of training, a checkpoint each two and a half
FOLDER = "drill"
WORKERS = "ray.io/node-type=worker"


@pytest.fixture
def caller(
    doors: Mapping[str, Site], settings: Settings, cli: Cli, namespaced: Callable[[Site], str]
) -> Iterator[Caller]:
    """A pod at the other site."""
    both = doors[settings.link.server], doors[settings.link.client]
    with ray_caller.caller(both, namespaced(both[0]), cli.budget) as made:
        yield made


@pytest.mark.breaks
def test_a_job_outlives_one_of_its_workers(caller: Caller, cli: Cli, figure: Callable[[str], None]) -> None:
    """Killed without grace once checkpoints are there; the task is started again and goes on from its last one."""
    words = ("--epochs", str(EPOCHS), "--pause-s", str(PAUSE_S))
    with interruptible(1) as pool:
        answer = pool.submit(caller.transaction, FOLDER, *words)
        killed = kill_one(caller)
        told = answer.result()
    outcomes = told["job"]["result"].get("outcomes", [])
    figure(f"{killed} killed; job {told['job']['status']} after {told['job']['ms'] / 1000:.0f} s")
    figure(", ".join(f"{one['name']} in {one['pod']} from epoch {one['resumed_from']}" for one in outcomes))
    assert told["job"]["status"] == "SUCCEEDED", told["job"]["log"]
    assert [one["epochs"] for one in outcomes] == [EPOCHS] * 2
    assert max(one["resumed_from"] for one in outcomes) > 0
    assert killed not in {one["pod"] for one in outcomes}
    wait_until(
        "ray: both workers are ready",
        lambda: ready(caller.there, "worker"),
        lambda count: count == 2,
        never,
        deadline_s=cli.budget("drill.ray_back_s"),
    )


def kill_one(caller: Caller) -> str:
    """Once every candidate has left a checkpoint, end one worker without grace; returns its name."""
    wait_until(
        "every candidate's first checkpoint",
        lambda: caller.written(FOLDER),
        lambda found: len(found) >= len(job.CANDIDATES),
        never,
        deadline_s=caller.deadline_s,
        every_s=0.5,
    )
    site = caller.there
    name = str(site.kube.get("pod", namespace="ray", selector=WORKERS)[0]["metadata"]["name"])
    site.kube.run("delete", "pod", name, "-n", "ray", "--grace-period=0", "--force", "--wait=false")
    return name
