"""What is destroyed, and what is not even looked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision import demolition
from provision.errors import CommandFailed, DeadlineExceeded, PlatformError, PreconditionMissing
from provision.step import AnyStep
from provision.steps import charts, kubespray, network, nodes, secrets, tunnel


def site(servers: int) -> Any:
    return SimpleNamespace(name="kvm-tacc", cloud=SimpleNamespace(count_servers=lambda: servers))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Steps that were undone; each finds no cluster."""
    found: list[str] = []

    def undo(step: AnyStep, _site: Any, *, data: bool) -> list[Any]:
        found.append(step.NAME)
        raise PreconditionMissing("no cluster", why="", next="")

    monkeypatch.setattr(demolition, "undo", undo)
    return found


@pytest.mark.parametrize("step", [kubespray, secrets, tunnel, charts])
def test_what_lay_on_servers_is_not_looked_for_where_none_stands(step: AnyStep, asked: list[str]) -> None:
    assert demolition._undo(step, site(servers=0), False) == []
    assert asked == []


@pytest.mark.parametrize(("step", "servers"), [(network, 0), (nodes, 0), (charts, 3)])
def test_everything_else_is_and_a_cluster_that_does_not_answer_stops_nothing(
    step: AnyStep, servers: int, asked: list[str]
) -> None:
    assert demolition._undo(step, site(servers), False) == []
    assert asked == [step.NAME]


@pytest.mark.parametrize("error", [CommandFailed("ssh: exit code 255"), DeadlineExceeded("ssh: not within 60 s")])
def test_servers_that_do_not_answer_are_destroyed_all_the_same(
    error: PlatformError, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo(_step: AnyStep, _site: Any, *, data: bool) -> list[Any]:
        raise error

    monkeypatch.setattr(demolition, "undo", undo)
    assert demolition._undo(tunnel, site(servers=3), False) == []
    with pytest.raises(type(error)):
        demolition._undo(nodes, site(servers=3), False)
