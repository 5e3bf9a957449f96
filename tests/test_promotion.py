"""Versions going up the stages: what the gates let pass, and who comes back when a stage will not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
from tests.promotion_doubles import OPTIONS, REFERENCE, RIGHT, WRONG, Stage, World, recorded

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """Version 2 is at testing, 1 everywhere else."""
    made, clock = World(), [0.0]
    for model in lifecycle.MODELS:
        for number in ("1", "2"):
            files = {"name": REFERENCE["model"], "golden.json": recorded(RIGHT)}
            folder = write_model(tmp_path / model / number, number, **files)
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


ROUNDED = [[*vector[:-1], vector[-1] + 0.1] for vector in RIGHT]  # by a cosine of about 0.995
SITES: Mapping[str, Any] = dict.fromkeys(load("rehearsal").sites)


def test_a_version_that_passes_goes_up_and_its_way_is_written_down(world: World) -> None:
    told = world.promote()
    assert (told["stage"], told["before"], told["after"], told["exit_code"]) == ("staging", "1", "2", 0)
    assert [one["gate"] for one in told["gates"]] == ["golden", "recorded", "p50", "p95", "errors", "memory"]
    assert (world.aliases["staging"], world.aliases["staging-previous"]) == ("2", "1")
    note = json.loads(world.mlflow.tags("embedder", "2")["tandem.staging"])
    assert note["why"] == "it is better" and "@" in note["who"] and note["at"].endswith("Z")
    assert set(note["gates"]) == {"golden", "recorded", "p50", "p95", "errors", "memory"}


def test_a_version_climbs_to_production_one_stage_at_a_time(world: World) -> None:
    assert [world.promote()["stage"] for _ in NAMES[1:]] == list(NAMES[1:])
    with pytest.raises(UsageError, match="nothing is due"):
        world.promote()


def test_a_summarizer_passes_gates_of_its_own(world: World) -> None:
    told = world.promote(model="summarizer")
    assert (told["stage"], told["gates"][0]["found"][:33]) == ("staging", "a log-probability moved by 0.0010")


BAD: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "wrong vectors": ({"vectors": WRONG}, "golden"),
    "vectors of another version": ({"vectors": [[x + 0.001 for x in vector] for vector in RIGHT]}, "recorded"),
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


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_wrong_version_that_vouches_for_itself_goes_nowhere(precision: str, world: World, tmp_path: Path) -> None:
    """Its vectors are those that it records, and int8's bound is the wider one: the reference is not its own word."""
    add(world, tmp_path / "wrong", WRONG, precision)
    with pytest.raises(CheckFailed) as refused:
        world.promote()
    assert "golden: " in refused.value.why and "recorded: " not in refused.value.why


def test_int8_may_differ_from_the_reference_as_far_as_rounding_goes(world: World, tmp_path: Path) -> None:
    add(world, tmp_path / "rounded", ROUNDED, "int8")
    assert world.promote()["after"] == "3"


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int4"])
def test_nothing_else_may(precision: str, world: World, tmp_path: Path) -> None:
    add(world, tmp_path / "rounded", ROUNDED, precision)
    with pytest.raises(CheckFailed) as refused:
        world.promote()
    assert "golden: " in refused.value.why and "recorded: " not in refused.value.why


def test_files_that_are_not_those_registered_are_found_out(world: World) -> None:
    for name in [name for name in world.mlflow.artifacts if name.endswith("golden.json")]:
        world.mlflow.artifacts[name] = recorded(WRONG).encode()
    with pytest.raises(CheckFailed, match="does not pass to staging") as refused:
        world.promote()
    assert refused.value.why == "embedder 2: golden.json is not the one that was registered"


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


def add(world: World, folder: Path, vectors: Sequence[Any], precision: str) -> None:
    """Register a version that records these vectors; testing serves it, and them."""
    write_model(folder, "3", **{"golden.json": recorded(vectors)})
    about = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(about | {"name": REFERENCE["model"], "precision": precision}))
    version = lifecycle.register(world.mlflow.tracking, "embedder", folder, NOTE)
    lifecycle.move(world.mlflow.tracking, Move("embedder", "testing", "2", version.number), NOTE)
    world.stages["testing"].vectors = vectors
