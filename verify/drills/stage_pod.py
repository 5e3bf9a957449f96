"""The pod of a serving stage, and how its process is killed: on the host, since a container's first process is deaf
to SIGKILL from within.
"""

from __future__ import annotations

import time
from typing import Any

from provision.site import Site
from provision.wait import never, wait_until

NAMESPACE = "serving"
# The runtime names every process of a container after its pod, in HOSTNAME; STAGE is of the serving process only.
KILL = """
for at in $(grep -lzx "HOSTNAME={pod}" /proc/[0-9]*/environ 2>/dev/null || true); do
    if grep -qzx "STAGE={stage}" "$at"; then
        process=${{at%/environ}}
        kill -9 "${{process#/proc/}}"
        echo "${{process#/proc/}}"
    fi
done
"""


def find(site: Site, stage: str) -> Any:
    """The one that is not on its way out."""
    (found,) = _pods(site, stage)
    return found


def restarts(pod: Any) -> int:
    """How often its container was started again."""
    return sum(int(one["restartCount"]) for one in pod["status"].get("containerStatuses", ()))


def unspent(site: Site, stage: str, deadline_s: float) -> Any:
    """The stage's pod; another one where its container was started again before: kubelet backs off the second time."""
    pod = find(site, stage)
    if not restarts(pod):
        return pod
    site.kube.run("delete", "pod", pod["metadata"]["name"], "-n", NAMESPACE, "--wait=false")
    (made,) = wait_until(
        f"{stage}: another pod, ready",
        lambda: [one for one in _pods(site, stage) if _is_other(one, pod) and _is_ready(one)],
        bool,
        never,
        deadline_s=deadline_s,
        every_s=0.5,
    )
    return made


def kill(site: Site, stage: str, pod: Any) -> tuple[int, float]:
    """The serving process's id on its host, and a moment (monotonic) just before it was killed."""
    node, name = pod["spec"]["nodeName"], pod["metadata"]["name"]
    began_s = time.monotonic()
    killed = site.hosts.script(node, KILL.format(pod=name, stage=stage)).stdout.split()
    if not killed:
        raise LookupError(f"no process of {name} on {node}")
    return int(killed[0]), began_s


def _pods(site: Site, stage: str) -> list[Any]:
    found = site.kube.get("pods", namespace=NAMESPACE, selector=f"tandem.io/stage={stage}")
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def _is_other(one: Any, pod: Any) -> bool:
    return bool(one["metadata"]["uid"] != pod["metadata"]["uid"])


def _is_ready(one: Any) -> bool:
    told = one["status"].get("conditions", ())
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in told)
