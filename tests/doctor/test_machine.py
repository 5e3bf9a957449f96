"""This machine: names, registries, stray variables."""

from __future__ import annotations

import json

import pytest

from provision import checkout
from provision.doctor import machine, registries
from provision.doctor.machine import HUB_API, Headers
from provision.settings import Registry, Settings, load


@pytest.fixture
def testbed() -> Settings:
    return load("chameleon", platform="case")


def test_stray_variables_are_named_and_their_values_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_PASSWORD", "hunter2")
    monkeypatch.setenv("OS_CLOUD", "x")
    found = machine.strays()
    assert (found.ok, found.next) == (False, "unset OS_CLOUD OS_PASSWORD")
    assert "hunter2" not in f"{found.why}{found.next}"


def test_a_name_is_resolved_or_told_why_not() -> None:
    def unknown(_host: str) -> str:
        raise OSError("Name or service not known")

    assert machine.name("kvm.example.org", lambda _host: "192.0.2.1").why == "192.0.2.1"
    found = machine.name("kvm.example.org", unknown)
    assert (found.ok, found.why) == (False, "Name or service not known")


def test_the_engine_is_told_with_the_reason_for_its_fallback(
    testbed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "missing", lambda: "cluster/kubespray is empty")
    here = machine.engine(load("rehearsal"))
    assert here.ok
    assert here.why.startswith("kubeadm (not kubespray: cluster/kubespray is empty")
    there = machine.engine(testbed)
    assert (there.ok, there.next.partition("   ")[0]) == (False, checkout.INIT)
    monkeypatch.setattr(checkout, "missing", lambda: "")
    assert machine.engine(testbed).why == "kubespray"


class Hub:
    """A registry with a limit. left: what it tells; None for no limit."""

    def __init__(self, left: int | None, down: str = "") -> None:
        self.left, self.down = left, down

    def __call__(self, url: str, headers: Headers) -> tuple[int, Headers, bytes]:
        if self.down and self.down in url:
            raise OSError("timed out")
        if url == HUB_API:
            challenge = 'Bearer realm="https://auth.example/token",service="hub"'
            return 401, {"www-authenticate": challenge}, b""
        if url == "https://auth.example/token?service=hub&scope=repository:ratelimitpreview/test:pull":
            return 200, {}, json.dumps({"token": "t"}).encode()
        if "/manifests/" in url:
            assert headers == {"Authorization": "Bearer t"}
            return 200, {} if self.left is None else {"ratelimit-remaining": f"{self.left};w=21600"}, b""
        return 401, {}, b""


@pytest.mark.parametrize(("left", "ok", "why"), [
    (100, True, "100 left"), (12, False, "12 left"), (None, True, "no limit"),
])  # fmt: skip
def test_what_docker_hub_still_gives(testbed: Settings, left: int | None, ok: bool, why: str) -> None:
    found = list(registries.registries(testbed, Hub(left)))
    assert [finding.name for finding in found if not finding.ok] == ([] if ok else ["pulls from docker.io"])
    assert why in found[-1].why
    assert len(found) == len(testbed.registry.upstreams) + 1


def test_a_registry_out_of_reach_is_told(testbed: Settings) -> None:
    found = {finding.name: finding for finding in registries.registries(testbed, Hub(100, down="quay.io"))}
    assert found["registry quay.io"].why == "timed out"
    assert found["registry ghcr.io"].ok


def test_a_limit_that_is_not_told_is_no_limit_passed(testbed: Settings) -> None:
    found = {finding.name: finding for finding in registries.registries(testbed, Hub(100, down="auth.example"))}
    assert found["pulls from docker.io"].why == "the limit is not told: timed out"
    assert not found["pulls from docker.io"].ok


def test_a_mirror_answers_for_all(testbed: Settings) -> None:
    mirrored = testbed.model_copy(update={"registry": Registry(mirror="10.0.0.1:5000")})
    (found,) = registries.registries(mirrored, Hub(None, down="https"))
    assert found.ok
