"""What a run tells of memory and disk."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision import prometheus, say, usage
from provision.errors import CommandFailed
from provision.prometheus import Sample
from provision.settings import load

Space = namedtuple("Space", "used")
SITES = cast(Any, {"kvm-tacc": SimpleNamespace(kube=None), "chi-uc": SimpleNamespace(kube=None)})


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> usage.Disk:
    used = iter([10, 13, 11])
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Space(next(used) * usage.GIB))
    with usage.disk(tmp_path) as watched:
        say.line("x", "wait", "while much is there")
    return watched


def test_the_most_that_was_there_is_kept(grown: usage.Disk) -> None:
    assert grown.peak_gib == 3


def test_memory_is_told_by_node_and_container(monkeypatch: pytest.MonkeyPatch, grown: usage.Disk) -> None:
    answers = {
        usage.BY_NODE: (Sample({"site": "chi-uc", "node": "gpu1"}, 2048.0 * usage.MIB),),
        usage.BY_CONTAINER: (
            Sample({"site": "chi-uc", "namespace": "ray", "container": "ray-head"}, 900.4 * usage.MIB),
            Sample({"site": "chi-uc", "namespace": "kube-system", "container": "etcd"}, 50.0 * usage.MIB),
        ),
    }
    monkeypatch.setattr(prometheus, "query", lambda _kube, expression: answers[expression])
    told = usage.tell(load("rehearsal"), SITES, grown)
    assert told == {
        "disk_peak_gib": 3,
        "memory_mib": {"nodes": {"chi-uc/gpu1": 2048}, "applications": {"chi-uc/ray/ray-head": 900}},
    }


def test_a_silent_prometheus_is_no_failure(monkeypatch: pytest.MonkeyPatch, grown: usage.Disk) -> None:
    def silent(_kube: object, _expression: str) -> tuple[Sample, ...]:
        raise CommandFailed("no answer")

    monkeypatch.setattr(prometheus, "query", silent)
    assert usage.tell(load("rehearsal"), SITES, grown) == {"disk_peak_gib": 3}
