"""A cluster that is too busy to answer is waited for, not given up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision import rollout
from provision.applications import Application
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing, SettingsError
from provision.readiness import Progress


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
