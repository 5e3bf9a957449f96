"""Evidence of a failed check: every collector leaves a file or says why not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.errors import DeadlineExceeded
from provision.settings import Settings, load
from provision.site import Site
from verify import evidence


@pytest.fixture
def settings() -> Settings:
    return load("rehearsal")


def pod(name: str, phase: str = "Running", **containers: bool) -> dict[str, Any]:
    ready = [{"name": each, "ready": is_ready} for each, is_ready in containers.items()]
    return {"metadata": {"namespace": "data", "name": name}, "status": {"phase": phase, "containerStatuses": ready}}


def test_pods_not_ready_are_found() -> None:
    pods = [
        pod("well", a=True),
        pod("half", a=True, b=False),
        pod("pending", "Pending"),
        pod("job", "Succeeded", a=False),
        pod("failed", "Failed", a=False),
    ]
    assert [name for _, name in evidence.not_ready(pods)] == ["half", "pending", "failed"]


def test_a_nodeid_becomes_one_folder() -> None:
    nodeid = "verify/check_onnx.py::test_latency[testing]"
    assert evidence.folder_name(nodeid) == "check_onnx.test_latency.testing"
    assert "/" not in evidence.folder_name("a/../b.py::test_x[../../etc]")


class Doors:
    """A site whose hosts answer and whose cluster does not."""

    def __init__(self, settings: Settings) -> None:
        self.name, self.own, self.asked = "chi-uc", settings.sites["chi-uc"], 0
        self.kube = self.hosts = self

    def run(self, *words: Any, deadline_s: float, **_options: Any) -> Any:
        self.asked += 1
        if words[0] != "gpu1":
            raise DeadlineExceeded("kubectl: not within 20 s")
        return SimpleNamespace(stdout="from the host\n")


def test_a_failing_collector_leaves_its_error_and_the_others_their_files(tmp_path: Path, settings: Settings) -> None:
    told = evidence.collect([cast(Site, Doors(settings))], tmp_path, "verify/check_gpu.py::test_x", env="rehearsal")
    folder = tmp_path / "check_gpu.test_x" / "chi-uc"
    assert "not collected: DeadlineExceeded: kubectl: not within 20 s" in (folder / "pods.txt").read_text()
    assert (folder / "gpu1.journal.txt").read_text() == "from the host\n"
    assert "not collected: nodes.txt" in told
    assert "check_gpu.test_x" in (tmp_path / "check_gpu.test_x" / "summary.txt").read_text()


def test_fresh_evidence_is_pointed_to_and_not_collected_again(tmp_path: Path, settings: Settings) -> None:
    doors = Doors(settings)
    evidence.collect([cast(Site, doors)], tmp_path, "verify/check_gpu.py::test_x", env="rehearsal")
    asked = doors.asked
    told = evidence.collect([cast(Site, doors)], tmp_path, "verify/check_gpu.py::test_y", env="rehearsal")
    assert doors.asked == asked
    assert told == f"chi-uc: as in {tmp_path / 'check_gpu.test_x' / 'chi-uc'}"
    assert told in (tmp_path / "check_gpu.test_y" / "summary.txt").read_text()


def test_without_sites_the_failure_still_has_a_summary(tmp_path: Path) -> None:
    assert evidence.collect([], tmp_path, "verify/check_lease.py::test_x", env="rehearsal").startswith("none")
