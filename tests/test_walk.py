"""The engine's loop with fakes: what runs, what waits, what is not reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision import engine, settings, walk
from provision.engine import Result
from provision.errors import DeadlineExceeded, PreconditionMissing, StepFailed, UsageError
from provision.site import Site
from provision.step import AnyStep, Change


@dataclass
class FakeStep:
    """A step whose world is a set: what is wanted and not there is created."""

    NAME: str
    NEEDS: tuple[str, ...] = ()
    JOINS: bool = False
    DEADLINE_S: int = 1
    SETTLE_S: int = 0
    CHECKS: tuple[str, ...] = ("check_none",)
    NOTHING: frozenset[str] = frozenset()
    world: set[str] = field(default_factory=set)
    deaf: bool = False

    def want(self, _settings: Any, site_name: str) -> frozenset[str]:
        return frozenset({f"{self.NAME}@{site_name}"})

    def look(self, _site: Any, _want: Any) -> frozenset[str]:
        return frozenset(self.world)

    def plan(self, want: frozenset[str], have: frozenset[str]) -> tuple[Change, ...]:
        return tuple(Change("create", name, "absent") for name in sorted(want - have))

    def apply(self, _site: Any, change: Change) -> None:
        if not self.deaf:
            self.world.add(change.what)

    def undo(self, have: frozenset[str]) -> tuple[Change, ...]:
        return tuple(Change("delete", name, "undo", data=name.startswith("data")) for name in sorted(have))


def as_step(step: FakeStep) -> AnyStep:
    return cast(AnyStep, step)


class FakeRun:
    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []

    def event(self, kind: str, **fields: object) -> None:
        self.events.append({"kind": kind, **fields})


class FakeReceipts:
    def read(self, _step: str, _site: str) -> None:
        return None

    def write(self, _receipt: object) -> None:
        pass


def fake_site(name: str) -> Site:
    peers = {"a": "b", "b": "a"}
    return cast(
        Site,
        SimpleNamespace(
            name=name,
            run=FakeRun(),
            receipts=FakeReceipts(),
            settings=SimpleNamespace(peer_of=peers.__getitem__),
            log=lambda step: f"{step}.log",
        ),
    )


SITES = {"a": fake_site("a"), "b": fake_site("b")}


def outcomes(results: list[Result]) -> dict[tuple[str, str], str]:
    return {(result.step, result.site): result.outcome for result in results}


def test_converge_applies_and_a_second_time_does_nothing() -> None:
    step = as_step(FakeStep("lease"))
    assert engine.converge(step, SITES["a"]) == 1
    assert engine.converge(step, SITES["a"]) == 0


def test_a_second_plan_that_is_not_empty_is_a_failure() -> None:
    with pytest.raises(StepFailed) as failure:
        engine.converge(as_step(FakeStep("lease", deaf=True)), SITES["a"])
    assert "lease@a" in failure.value.why
    assert failure.value.next == "invoke provision.lease --site a"


def test_a_step_that_takes_too_long_stops_before_its_next_change() -> None:
    with pytest.raises(DeadlineExceeded) as late:
        engine.converge(as_step(FakeStep("lease", DEADLINE_S=-1)), SITES["a"])
    assert "create lease@a was next" in late.value.why


def test_undo_keeps_data_unless_told() -> None:
    step = FakeStep("storage", world={"data-volume", "plan"})
    removed: list[str] = []
    step.apply = lambda _site, change: removed.append(change.what)  # type: ignore[method-assign]
    kept = engine.undo(as_step(step), SITES["a"], data=False)
    assert [change.what for change in kept] == ["data-volume"]
    assert removed == ["plan"]
    assert engine.undo(as_step(step), SITES["a"], data=True) == []


def test_both_sites_walk_all_steps() -> None:
    steps = [as_step(FakeStep("lease")), as_step(FakeStep("nodes", NEEDS=("lease",)))]
    results = walk.walk(steps, SITES, check=False)
    assert set(outcomes(results).values()) == {"ok"}
    assert [(result.step, result.site) for result in results] == [
        ("lease", "a"),
        ("lease", "b"),
        ("nodes", "a"),
        ("nodes", "b"),
    ]


def test_a_site_that_waits_never_holds_up_the_other() -> None:
    steps = [
        as_step(FakeStep("lease")),
        as_step(FakeStep("nodes", NEEDS=("lease",))),
        as_step(FakeStep("tunnel", NEEDS=("nodes",), JOINS=True)),
        as_step(FakeStep("charts", NEEDS=("nodes",))),
    ]

    def attempt(step: AnyStep, site: Site) -> Result:
        if (step.NAME, site.name) == ("lease", "b"):
            return Result("lease", "b", "waits", error=PreconditionMissing("no slot"))
        return Result(step.NAME, site.name, "ok", 1)

    found = outcomes(walk.walk(steps, SITES, check=False, attempt=attempt))
    assert found == {
        ("lease", "a"): "ok", ("lease", "b"): "waits", ("nodes", "a"): "ok", ("nodes", "b"): "not reached",
        ("tunnel", "a"): "waits", ("tunnel", "b"): "not reached", ("charts", "a"): "ok", ("charts", "b"): "not reached",
    }  # fmt: skip


def test_a_step_whose_needs_change_is_planned_as_known_after() -> None:
    steps = [as_step(FakeStep("lease")), as_step(FakeStep("nodes", NEEDS=("lease",)))]
    plans = engine.plan_site(steps, SITES["a"], asked=True)
    assert [(plan.step, plan.known_after) for plan in plans] == [("lease", ""), ("nodes", "lease")]


def test_exit_code_of_a_failure_outweighs_a_wait() -> None:
    from provision import commands

    assert commands.exit_code([None, PreconditionMissing("x"), StepFailed("y")]) == 1
    assert commands.exit_code([None, PreconditionMissing("x")]) == 3
    assert commands.exit_code([None]) == 0


def test_span_names_the_right_order() -> None:
    from provision import commands

    assert [step.NAME for step in commands.span("network", "nodes")] == ["network", "nodes"]
    with pytest.raises(UsageError):
        commands.span("nodes", "network")
    with pytest.raises(UsageError):
        commands.span("bogus", "")


def test_both_environments_load() -> None:
    assert settings.load("rehearsal").platform == "rehearsal"
    assert settings.load("chameleon", platform="ours").kubernetes.engine == "kubespray"


def test_after_the_join_no_site_checks_before_the_other_has_applied_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    slow = Event()

    def attempted(step: AnyStep, site: Site) -> Result:
        if (step.NAME, site.name) == ("charts", "b"):
            slow.wait(0.05)  # nobody sets it: "b" is slower
        order.append(f"apply {step.NAME} {site.name}")
        return Result(step.NAME, site.name, "ok", 1)

    def checked(_settings: object, _run: object, step: AnyStep, site: str, *, alone: bool) -> str:
        order.append(f"check {step.NAME} {site}{' alone' if alone else ''}")
        return "now"

    monkeypatch.setattr("provision.verification.run_checks", checked)
    steps = [as_step(FakeStep("tunnel", JOINS=True)), as_step(FakeStep("charts"))]
    walk.walk(steps, SITES, check=True, attempt=attempted)
    assert order.index("apply charts b") < order.index("check charts a")
    assert "check charts b alone" in order  # what speaks about both is asked once, by the first site's checks
