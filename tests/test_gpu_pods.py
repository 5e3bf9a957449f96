from __future__ import annotations

from typing import Any

from verify import gpu_pods


def pod(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": list(conditions)}}


def test_the_schedulers_words_on_one_that_waits_are_found() -> None:
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert gpu_pods.unplaced([pod({"type": "PodScheduled", "status": "True"}), pod(waits)]) == "0/1 nodes"


def test_a_pod_that_nobody_has_looked_at_says_nothing() -> None:
    assert gpu_pods.unplaced([{"status": {"phase": "Pending"}}, pod({"type": "PodScheduled", "status": "True"})]) == ""
