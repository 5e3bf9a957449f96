"""A cluster that is too busy to answer is waited for, not given up."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from provision import applications, rollout, values
from provision.applications import Application
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing, SettingsError
from provision.readiness import Progress
from provision.releases import Ready, Release, named
from provision.settings import load
from provision.wait import wait_until


@pytest.mark.parametrize("kind", [CommandFailed, DeadlineExceeded, PreconditionMissing])
def test_a_look_that_is_not_answered_is_a_state_to_wait_through(kind: type[Exception]) -> None:
    answers: Iterator[Progress | Exception] = iter([kind("kubectl get pods: not within 60 s"), Progress(())])

    def look() -> Progress:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    once = rollout.heard(look, lambda why: Progress((why,)))
    assert "kubectl get pods: not within 60 s" in repr(once())
    assert once().faults == ()


def test_what_is_wrong_with_ourselves_is_not_waited_for() -> None:
    def look() -> Progress:
        raise SettingsError("no such release")

    with pytest.raises(SettingsError):
        rollout.heard(look, lambda why: Progress((why,)))()


def test_a_silent_cluster_is_neither_synced_nor_healthy() -> None:
    assert "does not answer" in rollout.heard(lambda: _raise(), rollout._silent)().fault("")


def _raise() -> Application:
    raise DeadlineExceeded("kubectl: not within 60 s")


COMMIT = "c0ffee"
READY = {
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "web", "generation": 2},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}},
    "status": {"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1},
}
STALE = {**READY, "status": {**READY["status"], "observedGeneration": 1}}  # type: ignore[dict-item]


class Busy:
    """A cluster that answers as it is told to: one entry a look, the last for ever."""

    def __init__(self, *answers: list[Any] | Exception) -> None:
        self.answers, self.looks, self.kubeconfig = list(answers), 0, "kubeconfig"

    def get(self, kinds: str, **_where: str) -> list[Any]:
        if kinds == "Pod":
            return []
        self.looks += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setattr(rollout, "wait_until", partial(wait_until, sleep=lambda _s: None))
    settings = load("rehearsal")
    web = (Ready(kind="Deployment", name="web", condition="Available"),)
    one = named("mlflow", "kvm-tacc", settings)
    return one.model_copy(update={"name": "web", "namespace": "web", "ready": web, "crds": ()})


def at(busy: Busy) -> Any:
    return SimpleNamespace(name="kvm-tacc", kube=busy, settings=load("rehearsal"))


SILENCE = DeadlineExceeded("kubectl get: not within 60 s")


def test_a_release_is_ready_although_its_cluster_was_silent_in_both_waits(release: Release) -> None:
    busy = Busy(SILENCE, [STALE], [READY], SILENCE, [READY])
    rollout.await_ready(at(busy), release)
    assert busy.looks == 5


def test_a_release_is_synced_although_its_cluster_was_silent(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Iterator[Application | Exception] = iter([SILENCE, Application("web", "Synced", "Healthy", COMMIT)])

    def look(_watch: object) -> Application:
        answer = next(seen)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(applications.Watch, "look", look)
    monkeypatch.setattr(applications, "refresh", lambda _site, _name: None)
    monkeypatch.setattr(values, "commit_at", lambda _site, _settings: COMMIT)
    rollout.await_synced(at(Busy([READY])), release)
    assert next(seen, None) is None
