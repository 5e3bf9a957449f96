"""GPUs: NVML on the host, shares in the cluster. Where the settings say so, every line reads "GPU: simulated"."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from provision.settings import Gpu

if TYPE_CHECKING:
    from verify.conftest import NodeUnderTest

RESOURCE = "nvidia.com/gpu.shared"

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


def test_the_cluster_offers_every_share(gpu: NodeUnderTest, figure: Callable[[str], None]) -> None:
    """The device plugin has cut each card into as many shares as the settings say."""
    want = _wanted(gpu)
    node = gpu.site.kube.get("node", name=gpu.name)[0]
    offered = int(node["status"]["allocatable"].get(RESOURCE, "0"))
    figure(told(want, f"{offered} shares"))
    assert offered == want.shares * want.count


def test_no_more_shares_are_asked_for_than_there_are(gpu: NodeUnderTest, figure: Callable[[str], None]) -> None:
    """Every pod that wants a share has one, and the sum fits."""
    want = _wanted(gpu)
    pods = gpu.site.kube.get("pod")
    asked = shares_asked(pods)
    unplaced = [name for name, shares in asked.items() if shares and name not in placed(pods)]
    figure(told(want, f"{sum(asked.values())} of {want.shares * want.count} shares asked for"))
    assert unplaced == []
    assert 0 < sum(asked.values()) <= want.shares * want.count


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
