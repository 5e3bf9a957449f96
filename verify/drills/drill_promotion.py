"""A version goes up all stages under load; a wrong one is stopped by the gates, and behind them by the router.

The versions are copies of the one in production: one with another name only, one whose weights are spoiled and which
vouches for itself (wrong_model.py), and two whose vectors are right: one that is slow, and one that takes memory under
traffic and keeps it (bad_graph.py). Afterwards every alias names what it named before; the versions stay registered.
"""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from provision import forwarding, probing, promotion
from provision.settings import Settings
from provision.site import Site
from provision.wait import never, wait_until
from serving import lifecycle, manifest
from serving.lifecycle import Move, Note
from serving.registry import VERSION
from serving.router.split import spot
from serving.stages import NAMES, load_router
from serving.store import check
from serving.tracking import Tracking, Version
from verify.drills import bad_graph, wrong_model
from verify.drills.cli import Cli
from verify.drills.steady import Steady

MODEL, CANARY, FIRST = "embedder", "canary", "testing"
TEXT = "Graph neural networks learn representations of nodes from the edges between them."
WHY = ("--why", "drill")


@dataclass(frozen=True)
class World:
    """Both sites, the registry, and the versions: the one in production, as good a one, and three bad ones."""

    settings: Settings
    there: Site
    mlflow: Tracking
    usual: Version
    good: Version
    wrong: Version
    slow: Version
    swelling: Version

    def note(self, why: str) -> Note:
        """By this drill, now."""
        return Note("drill_promotion", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), why)

    def put(self, stage: str, version: Version) -> None:
        """Move an alias past all gates, as a hand would."""
        before = self.mlflow.aliases(MODEL).get(stage, "")
        lifecycle.move(self.mlflow, Move(MODEL, stage, before, version.number), self.note("put there by a drill"))

    def await_alias(self, stage: str, version: Version, deadline_s: float) -> None:
        """Until a stage's alias names a version."""
        wait_until(
            f"the alias of {stage} names {version.number}",
            lambda: self.mlflow.aliases(MODEL)[stage],
            lambda number: number == version.number,
            never,
            deadline_s=deadline_s,
            every_s=0.5,
        )

    def await_served(self, stage: str, version: Version, deadline_s: float) -> None:
        """Until a stage serves a version."""
        with probing.opened(self.there, stage, deadline_s) as live:
            wait_until(
                f"{stage} serves {version.number}",
                lambda: live.standing(MODEL),
                lambda now: now.version == version.tags[VERSION],
                never,
                deadline_s=deadline_s,
                every_s=0.5,
            )


@pytest.fixture(scope="module")
def world(
    both: tuple[Site, Site], settings: Settings, cli: Cli, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Registers the versions, and gives every alias back."""
    folder = tmp_path_factory.mktemp("models")
    with promotion.opened(both[0]) as mlflow:
        before = mlflow.aliases(MODEL)
        usual = mlflow.version(MODEL, before["production"])
        download(mlflow, usual, folder / "usual")
        name, stamp = usual.tags[VERSION], datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        good = renamed(folder / "usual", folder / "good", f"{name}-good-{stamp}")
        assert wrong_model.main(good, folder / "spoiled") == 0
        wrong = renamed(folder / "spoiled", folder / "wrong", f"{name}-wrong-{stamp}")
        trips, mib = int(cli.budget("drill.slow_trips")), int(cli.budget("drill.swelling_mib"))
        token = Tokenizer.from_file(str(folder / "usual" / manifest.TOKENIZER)).token_to_id(bad_graph.WORD)
        assert token is not None, f"the model has no token {bad_graph.WORD!r}"
        bad_graph.slow(folder / "usual", folder / "slowed", trips)
        bad_graph.swelling(folder / "usual", folder / "swollen", token, mib)
        slow = renamed(folder / "slowed", folder / "slow", f"{name}-slow-{stamp}")
        swelling = renamed(folder / "swollen", folder / "swelling", f"{name}-swelling-{stamp}")
        note = Note("drill_promotion", stamp, "drill")
        made = [lifecycle.register(mlflow, MODEL, path, note) for path in (good, wrong, slow, swelling)]
        world = World(settings, both[1], mlflow, usual, *made)
        yield world
        restore(mlflow, before)
        for stage in NAMES:
            world.await_served(stage, mlflow.version(MODEL, before[stage]), cli.budget("onnx.served_deadline_s"))


@pytest.mark.slow
@pytest.mark.breaks
def test_a_version_goes_up_under_load_and_no_request_fails(
    world: World, cli: Cli, figure: Callable[[str], None]
) -> None:
    """Testing, staging, canary, production: each by its command, with the router asked all the time; then back."""
    with (
        forwarding.forwarded(world.there, router(world.settings)) as port,
        Steady(f"http://127.0.0.1:{port}", [TEXT]) as load,
    ):
        took = [cli.must("serving.promote", *promoted(world.good, stage)).seconds for stage in NAMES]
        back = cli.must("serving.rollback", "--model", MODEL, "--stage", "production", *WHY)
        world.await_served("production", world.usual, cli.budget("onnx.served_deadline_s"))
    figure(f"{load.told()}; promotions {', '.join(f'{seconds:.0f}' for seconds in took)} s")
    figure(f"rollback {back.data['seconds']} s, as a command {back.seconds:.1f} s")
    assert load.failed == {}
    assert load.answers[200, world.good.tags[VERSION]] > 0
    assert back.seconds <= cli.budget("onnx.rollback_deadline_s")


@pytest.mark.slow
@pytest.mark.breaks
def test_a_wrong_version_does_not_pass_the_gates(world: World, cli: Cli, figure: Callable[[str], None]) -> None:
    """At testing it loads, since it vouches for itself; to staging it does not come."""
    cli.must("serving.promote", *promoted(world.wrong, FIRST))
    answer = cli.invoke("serving.promote", *promoted(world.wrong, "staging"))
    cli.must("serving.rollback", "--model", MODEL, "--stage", FIRST, *WHY)
    figure(f"exit code {answer.code}: {answer.data['why']}")
    assert answer.code == 1
    assert "golden" in answer.data["why"]
    assert world.mlflow.aliases(MODEL)["staging"] != world.wrong.number


@pytest.mark.slow
@pytest.mark.breaks
@pytest.mark.parametrize(("which", "gates"), [("slow", ("p50", "p95")), ("swelling", ("memory",))])
def test_a_version_with_right_vectors_does_not_pass_the_other_gates(
    which: str, gates: tuple[str, ...], world: World, cli: Cli, figure: Callable[[str], None]
) -> None:
    """At testing it serves, and nothing is wrong with its vectors; to staging it does not come."""
    version: Version = getattr(world, which)
    cli.must("serving.promote", *promoted(version, FIRST))
    answer = cli.invoke("serving.promote", *promoted(version, "staging"))
    cli.must("serving.rollback", "--model", MODEL, "--stage", FIRST, *WHY)
    figure(f"{which}: exit code {answer.code}: {answer.data['why']}")
    assert answer.code == 1
    assert any(f"{gate}: " in answer.data["why"] for gate in gates)
    assert "golden" not in answer.data["why"]
    assert world.mlflow.aliases(MODEL)["staging"] != version.number


@pytest.mark.slow
@pytest.mark.breaks
def test_a_slow_version_at_the_canary_is_taken_back(world: World, cli: Cli, figure: Callable[[str], None]) -> None:
    """Its vectors get it a share; its latencies lose it, once enough requests were answered. None of them fails.

    Half of the clients name their requests so that the canary gets them: at its usual share a minute has too few."""
    good = world.mlflow.version(MODEL, world.mlflow.aliases(MODEL)[CANARY])
    with (
        forwarding.forwarded(world.there, router(world.settings)) as port,
        Steady(f"http://127.0.0.1:{port}", [TEXT], clients=8, headers=half_to_canary) as load,
    ):
        began = time.monotonic()
        world.put(CANARY, world.slow)
        world.await_alias(CANARY, good, cli.budget("drill.slow_taken_back_s"))
        took_s = time.monotonic() - began
        world.await_served(CANARY, good, cli.budget("onnx.served_deadline_s"))
    note = json.loads(world.mlflow.version(MODEL, world.slow.number).tags["tandem.canary.rolled-back"])
    figure(f"{note['who']} after {took_s:.0f} s: {note['why']}; {load.told()}")
    assert (note["who"], note["why"].partition(":")[0]) == ("the router", "latency")
    assert load.failed == {}
    assert load.answers[200, world.slow.tags[VERSION]] > 0


@pytest.mark.slow
@pytest.mark.breaks
def test_a_wrong_version_at_the_canary_is_taken_back(world: World, cli: Cli, figure: Callable[[str], None]) -> None:
    """Put there past all gates: the router gives it no share and takes its alias back; nobody sees it at all."""
    good = world.mlflow.version(MODEL, world.mlflow.aliases(MODEL)[CANARY])
    deadline_s = cli.budget("onnx.served_deadline_s")
    with (
        forwarding.forwarded(world.there, router(world.settings)) as port,
        Steady(f"http://127.0.0.1:{port}", [TEXT]) as load,
    ):
        world.put(CANARY, world.wrong)
        world.await_alias(CANARY, good, deadline_s)
        world.await_served(CANARY, good, deadline_s)
    note = json.loads(world.mlflow.version(MODEL, world.wrong.number).tags["tandem.canary.rolled-back"])
    figure(f"{note['who']}: {note['why']}; {load.told()}")
    assert note["who"] == "the router"
    assert load.failed == {}
    assert load.answers[200, world.wrong.tags[VERSION]] == 0


def half_to_canary(client: int, turn: int) -> Mapping[str, str]:
    """An id that the router sends to the canary from every second client, and one that it does not from the others."""
    share, names = load_router().canary_share, (f"drill-{client}.{turn}.{attempt}" for attempt in itertools.count())
    return {"x-request-id": next(name for name in names if (spot(name) < share) == (client % 2 == 0))}


def promoted(version: Version, stage: str) -> tuple[str, ...]:
    """Words of the command."""
    return ("--model", MODEL, "--version", version.number, "--to", stage, *WHY)


def router(settings: Settings) -> str:
    """Where the router is reached at its own site."""
    return forwarding.target(forwarding.row(settings, "serving"))


def download(mlflow: Tracking, version: Version, folder: Path) -> None:
    """All files of a version, checked."""
    folder.mkdir()
    mlflow.download(version.source, manifest.MANIFEST, folder / manifest.MANIFEST)
    for name in json.loads((folder / manifest.MANIFEST).read_bytes())["files"]:
        mlflow.download(version.source, name, folder / name)
    check(folder, manifest.sha256(folder / manifest.MANIFEST))


def renamed(source: Path, target: Path, version: str) -> Path:
    """A copy that calls itself another version."""
    shutil.copytree(source, target)
    about = json.loads((target / manifest.MANIFEST).read_bytes())
    (target / manifest.MANIFEST).write_text(json.dumps({**about, "version": version}))
    return target


def restore(mlflow: Tracking, before: Mapping[str, str]) -> None:
    """Every alias as it was, and none that was not."""
    for alias in mlflow.aliases(MODEL).keys() - before.keys():
        mlflow.delete_alias(MODEL, alias)
    for alias, number in before.items():
        mlflow.set_alias(MODEL, alias, number)
