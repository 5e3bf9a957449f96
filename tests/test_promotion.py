"""Versions going up the stages: what the gates let pass, and who comes back when a stage will not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from provision import probing, promotion, stages
from provision.errors import (
    CheckFailed,
    CommandFailed,
    DeadlineExceeded,
    PreconditionMissing,
    UsageError,
)
from provision.probing import Live
from provision.settings import load
from provision.wait import wait_until
from serving import lifecycle
from serving.lifecycle import Move, Note
from serving.stages import NAMES
from tests.mlflow_double import write_model
from tests.promotion_doubles import OPTIONS, REFERENCE, RIGHT, Stage, World

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Version 2 is at testing, 1 everywhere else."""
    made, clock = World(), [0.0]
    for model in lifecycle.MODELS:
        for number in ("1", "2"):
            folder = write_model(tmp_path / model / number, number, name=REFERENCE["model"])
            lifecycle.register(made.mlflow.tracking, model, folder, NOTE)
            for tag in made.mlflow.models[model][-1]["tags"]:
                tag["value"] = REFERENCE["model"] if tag["key"] == "tandem.name" else tag["value"]
        for stage in NAMES:
            lifecycle.move(made.mlflow.tracking, Move(model, stage, "", "1"), NOTE)
        lifecycle.move(made.mlflow.tracking, Move(model, "testing", "1", "2"), NOTE)
    made.stages = {name: Stage(dict.fromkeys(lifecycle.MODELS, "1"), clock=clock) for name in NAMES}
    made.follow()

    @contextmanager
    def opened(_site: object, stage: str, _answer_s: float) -> Iterator[Live]:
        made.follow()
        transport = httpx.MockTransport(made.stages[stage].answer)
        yield Live(stage, httpx.Client(base_url="http://stage", transport=transport))

    @contextmanager
    def registry(_site: object) -> Iterator[Any]:
        yield made.mlflow.tracking

    @contextmanager
    def session(*_words: object) -> Iterator[Any]:
        yield None, SITES

    def patient(*words: Any, **more: Any) -> Any:
        return wait_until(*words, **more, sleep=lambda s: clock.__setitem__(0, clock[0] + s), clock=lambda: clock[0])

    monkeypatch.setattr(probing, "opened", opened)
    monkeypatch.setattr(promotion, "opened", registry)
    monkeypatch.setattr(promotion, "session", session)
    monkeypatch.setattr(promotion, "open_sites", lambda *_: SITES)
    monkeypatch.setattr(promotion, "wait_until", patient)
    monkeypatch.setattr(probing, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    return made


SITES: Mapping[str, Any] = dict.fromkeys(load("rehearsal").sites)


def test_a_version_that_passes_goes_up_and_its_way_is_written_down(world: World) -> None:
    told = world.promote()
    assert (told["stage"], told["before"], told["after"], told["exit_code"]) == ("staging", "1", "2", 0)
    assert [one["gate"] for one in told["gates"]] == ["golden", "p50", "p95", "errors", "memory"]
    assert (world.aliases["staging"], world.aliases["staging-previous"]) == ("2", "1")
    note = json.loads(world.mlflow.tags("embedder", "2")["tandem.staging"])
    assert note["why"] == "it is better" and "@" in note["who"] and note["at"].endswith("Z")
    assert set(note["gates"]) == {"golden", "p50", "p95", "errors", "memory"}


def test_a_version_climbs_to_production_one_stage_at_a_time(world: World) -> None:
    assert [world.promote()["stage"] for _ in NAMES[1:]] == list(NAMES[1:])
    with pytest.raises(UsageError, match="nothing is due"):
        world.promote()


def test_a_summarizer_passes_gates_of_its_own(world: World) -> None:
    told = world.promote(model="summarizer")
    assert (told["stage"], told["gates"][0]["found"][:33]) == ("staging", "a log-probability moved by 0.0010")


BAD: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "wrong vectors": ({"vectors": [[-x for x in vector] for vector in RIGHT]}, "golden"),
    "too few vectors": ({"vectors": RIGHT[:1]}, "golden"),
    "slow": ({"took_s": 2.0}, "p95"),
    "failing": ({"status": 500}, "errors"),
    "leaking": ({"grows_mib": 100.0}, "memory"),
    "too large": ({"resident_mib": 4096.0}, "memory"),
}


@pytest.mark.parametrize(("how", "gate"), BAD.values(), ids=BAD)
def test_a_bad_version_goes_nowhere(how: Mapping[str, Any], gate: str, world: World) -> None:
    vars(world.stages["testing"]).update(how)
    before = dict(world.aliases)
    with pytest.raises(CheckFailed) as refused:
        world.promote()
    assert f"{gate}: " in refused.value.why
    assert refused.value.next == "invoke serving.rollback --model embedder --stage testing"
    assert world.aliases == before


def test_what_is_measured_is_what_serves(world: World) -> None:
    world.follows, world.stages["testing"].served["embedder"] = False, "1"
    with pytest.raises(PreconditionMissing, match="testing does not serve embedder 2"):
        world.promote()


def test_a_model_without_an_independent_reference_does_not_pass(world: World) -> None:
    for tag in world.mlflow.models["embedder"][1]["tags"]:
        tag["value"] = "something else" if tag["key"] == "tandem.name" else tag["value"]
    with pytest.raises(CheckFailed, match="does not pass"):
        world.promote()


@pytest.mark.parametrize(("refuses", "follows"), [("2", True), ("", False)], ids=["refused", "never served"])
def test_a_stage_that_will_not_serve_it_gets_its_alias_back(refuses: str, follows: bool, world: World) -> None:
    world.stages["staging"].refuses, world.follows = refuses, follows
    with pytest.raises(DeadlineExceeded):
        world.promote()
    assert world.aliases["staging"] == "1"
    assert "not served" in json.loads(world.mlflow.tags("embedder", "2")["tandem.staging.rolled-back"])["why"]


def test_a_rollback_is_one_command(world: World) -> None:
    world.promote()
    told = promotion.rollback(OPTIONS, "embedder", "staging", "users complain")
    assert (told["before"], told["after"]) == ("2", "1")
    assert world.aliases["staging"] == "1"
    assert json.loads(world.mlflow.tags("embedder", "2")["tandem.staging.rolled-back"])["why"] == "users complain"
    with pytest.raises(PreconditionMissing, match="no version before that of staging"):
        promotion.rollback(OPTIONS, "embedder", "staging", "again")


def test_a_rollback_waits_for_no_lock(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.promote()
    monkeypatch.delattr(promotion, "session")
    assert promotion.rollback(OPTIONS, "embedder", "staging", "now")["after"] == "1"


def test_a_folder_is_registered_once(world: World, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "new", "3")
    told = promotion.register(OPTIONS, "embedder", str(folder), "a new export")
    assert (told["version"], told["named"]) == ("3", ())
    assert promotion.register(OPTIONS, "embedder", str(folder), "again")["version"] == "3"
    (folder / "model.onnx").write_text("changed")
    with pytest.raises(UsageError) as refused:
        promotion.register(OPTIONS, "embedder", str(folder), "changed")
    assert "model.onnx has SHA-256" in refused.value.why


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: promotion.rollback(OPTIONS, "embedder", "staging", " "), "--why is missing"),
        (lambda: promotion.rollback(OPTIONS, "embeder", "staging", "x"), "no model 'embeder'"),
        (lambda: promotion.rollback(OPTIONS, "embedder", "prod", "x"), "no stage 'prod'"),
        (lambda: promotion.register(OPTIONS, "embedder", "/nowhere", "x"), "no folder '/nowhere'"),
    ],
)
def test_a_wrong_command_says_what_is_right(call: Any, error: str, world: World) -> None:
    assert world.stages
    with pytest.raises(UsageError) as refused:
        call()
    assert error in refused.value.what and refused.value.next


def test_mlflow_down_is_a_failure_of_the_platform(world: World) -> None:
    world.mlflow.is_down = True
    with pytest.raises(CommandFailed) as failed:
        world.promote()
    assert "connection refused" in failed.value.why and "verify(mlflow)" in failed.value.next


def test_without_the_user_in_the_vault_the_step_is_named() -> None:
    site: Any = SimpleNamespace(vault=SimpleNamespace(read=dict))
    with pytest.raises(PreconditionMissing, match="no mlflow-promotion"), promotion.opened(site):
        pass


def test_the_stages_side_by_side_know_what_their_aliases_name(world: World) -> None:
    site: Any = None
    known = stages.named(site)
    assert (known["testing", "embedder"].number, known["staging", "embedder"].number) == ("2", "1")
    assert len(known["testing", "summarizer"].digest) == 64
    world.mlflow.is_down = True
    assert stages.named(site) == {}
