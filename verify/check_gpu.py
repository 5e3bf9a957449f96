"""GPUs: NVML on the host, shares in the cluster. Where the settings say so, every line reads "GPU: simulated"."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from provision import releases
from provision.settings import Gpu
from verify import gpu_pods
from verify.gpu_pods import RESOURCE, GpuPods

if TYPE_CHECKING:
    from provision.site import Site
    from verify.nodes import NodeUnderTest


# NVML as nvidia-ml-py calls it, with nothing to install on the host: the library itself is the question.
NVML = """
import ctypes, json
nvml = ctypes.CDLL("libnvidia-ml.so.1")
class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]
def call(name, *args):
    code = getattr(nvml, name)(*args)
    if code:
        raise SystemExit(f"{name}: NVML error {code}")
count, cards = ctypes.c_uint(), []
call("nvmlInit_v2")
call("nvmlDeviceGetCount_v2", ctypes.byref(count))
for index in range(count.value):
    handle, name, memory = ctypes.c_void_p(), ctypes.create_string_buffer(96), Memory()
    call("nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(handle))
    call("nvmlDeviceGetName", handle, name, 96)
    call("nvmlDeviceGetMemoryInfo", handle, ctypes.byref(memory))
    cards.append({"name": name.value.decode(), "gib": memory.total / 2**30})
call("nvmlShutdown")
print(json.dumps(cards))
"""


def test_nvml_names_every_card_of_the_settings(
    gpu: NodeUnderTest, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """As many cards as leased, of the leased kind, with the memory that the planner counts on."""
    want = _wanted(gpu)
    cards = json.loads(gpu.host.check_output(f"python3 -c {shlex.quote(NVML)}"))
    slack = budget("gpu.vram_slack_gib")
    figure(told(want, f"{len(cards)} x {cards[0]['name']}, {cards[0]['gib']:.0f} GiB" if cards else "no card"))
    assert [card["name"] for card in cards] == [want.name] * want.count
    assert [card for card in cards if abs(card["gib"] - want.vram_gib) > slack] == []


@pytest.fixture(scope="module")
def lent(gpu: NodeUnderTest, namespaced: Callable[[Site], str]) -> Iterator[GpuPods]:
    """Pods of ours that ask for shares and give way to everybody; gone afterwards."""
    with gpu_pods.lent(gpu.site, namespaced(gpu.site)) as made:
        yield made


def test_the_cluster_offers_the_sum_of_what_is_asked_for(gpu: NodeUnderTest, figure: Callable[[str], None]) -> None:
    """The device plugin has cut the card into as many shares as the site's releases ask for: no fewer, no more."""
    want = _wanted(gpu)
    offered = shares_offered(gpu)
    asked = sum(release.requests.gpu_shares for release in releases.at(gpu.site.name, gpu.site.settings))
    figure(told(want, f"{offered} shares"))
    assert offered == want.shares * want.count == asked


def test_no_more_shares_are_asked_for_than_there_are(gpu: NodeUnderTest, figure: Callable[[str], None]) -> None:
    """Every pod that wants a share has one, and the sum fits."""
    want = _wanted(gpu)
    pods = gpu.site.kube.get("pod")
    asked = shares_asked(pods)
    unplaced = [name for name, shares in asked.items() if shares and name not in placed(pods)]
    figure(told(want, f"{sum(asked.values())} of {want.shares * want.count} shares asked for"))
    assert unplaced == []
    assert 0 < sum(asked.values()) <= want.shares * want.count


def test_one_share_too_many_stays_pending_with_its_reason(
    gpu: NodeUnderTest, lent: GpuPods, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Of pods that ask for every free share and one more, one waits, and its event says for what."""
    free = max(0, shares_offered(gpu) - sum(shares_asked(gpu.site.kube.get("pod")).values()))
    reason = lent.reason_of_waiting(free + 1, deadline_s=budget("gpu.refused_deadline_s"))
    figure(told(_wanted(gpu), f"{free} free, {free + 1} more asked for: {reason}"))
    assert f"Insufficient {RESOURCE}" in reason


def test_two_shares_for_one_pod_are_refused(
    gpu: NodeUnderTest, lent: GpuPods, budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """Put on the node past the scheduler, the pod is turned away there: it never starts."""
    status = lent.decided(2, node=gpu.name, deadline_s=budget("gpu.refused_deadline_s"))
    figure(told(_wanted(gpu), f"{status['reason']}: {status['message']}"))
    assert (status["phase"], status["reason"]) == ("Failed", "UnexpectedAdmissionError")


def shares_offered(gpu: NodeUnderTest) -> int:
    """Shares that the node has, free or not."""
    node = gpu.site.kube.get("node", name=gpu.name)[0]
    return int(node["status"]["allocatable"].get(RESOURCE, "0"))


def shares_asked(pods: Sequence[Any]) -> dict[str, int]:
    """Shares that each pod which has not ended asks for, by `namespace/name`."""
    live = [pod for pod in pods if pod["status"].get("phase") not in {"Succeeded", "Failed"}]
    return {_name(pod): sum(_shares(container) for container in pod["spec"]["containers"]) for pod in live}


def placed(pods: Sequence[Any]) -> set[str]:
    """Pods that a node has taken."""
    return {_name(pod) for pod in pods if pod["spec"].get("nodeName")}


def told(gpu: Gpu, text: str) -> str:
    """A figure that never hides a simulated card."""
    return f"GPU: simulated; {text}" if gpu.simulated else text


def _shares(container: Any) -> int:
    resources = container.get("resources", {})
    return int(resources.get("limits", {}).get(RESOURCE, resources.get("requests", {}).get(RESOURCE, "0")))


def _name(pod: Any) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _wanted(gpu: NodeUnderTest) -> Gpu:
    assert gpu.site.own.gpu is not None
    return gpu.site.own.gpu
