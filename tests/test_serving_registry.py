"""Which model a stage serves: from its alias, from what is kept, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving import lifecycle, registry
from serving.errors import ConfigInvalid, GateFailed, ModelInvalid, SourceUnavailable, TrackingRefused
from serving.lifecycle import Move, Note
from serving.manifest import MANIFEST, sha256
from serving.registry import Registered, from_env
from serving.source import Folder
from serving.stages import NAMES
from serving.store import Store
from serving.tracking import Version
from tests.mlflow_double import Mlflow, folders, write_model

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")
STAGE = "canary"


@dataclass
class World:
    """A registry, a cache and folders to register."""

    root: Path
    mlflow: Mlflow = field(default_factory=Mlflow)
    made: Iterator[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.made = folders(self.root)

    def registered(self, alias: str = STAGE) -> Version:
        """A new version, which the stage's alias names."""
        version = lifecycle.register(self.mlflow.tracking, "embedder", next(self.made), NOTE)
        self.mlflow.tracking.set_alias("embedder", alias, version.number)
        return version

    def source(self, seed: Path = Path("/nowhere"), keep: int = 3) -> Registered:
        """As a process has it that just started."""
        return Registered(self.mlflow.tracking, Store(self.root / "cache", "embedder", keep), "embedder", STAGE, seed)

    def kept(self) -> list[str]:
        """Digests in the cache."""
        return sorted(path.name for path in (self.root / "cache/embedder").iterdir() if len(path.name) == 64)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_alias_names_what_serves_and_every_file_is_there(world: World) -> None:
    version = world.registered()
    found = world.source().current()
    assert (found.version, found.digest) == ("1", version.tags[registry.DIGEST])
    assert found.digest == sha256(found.folder / MANIFEST)
    assert (found.folder / "model.onnx").read_text() == "graph 1"


def test_an_alias_that_moves_is_seen_and_nothing_is_fetched_twice(world: World) -> None:
    world.registered()
    source = world.source()
    first = source.current()
    assert source.current() == first
    fetched = len([one for one in world.mlflow.asked if one.startswith("GET -artifacts")])
    world.registered()
    assert source.current().version == "2"
    world.mlflow.tracking.set_alias("embedder", STAGE, "1")
    assert source.current() == first
    assert len([one for one in world.mlflow.asked if one.startswith("GET -artifacts")]) == 2 * fetched == 6


def test_with_mlflow_down_the_last_good_one_serves_and_that_is_said(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.registered()
    before = world.source().current()
    world.mlflow.is_down = True
    source = world.source()
    assert source.current() == before
    assert "models:/embedder@canary" in caplog.text and "from the cache" in caplog.text
    with pytest.raises(SourceUnavailable, match="connection refused"):
        source.current()
    world.mlflow.is_down = False
    assert source.current() == before


def test_the_last_good_one_is_that_of_the_alias(world: World) -> None:
    world.registered()
    world.source().current()
    world.registered()
    world.source().current()
    world.mlflow.tracking.set_alias("embedder", STAGE, "1")
    world.source().current()
    world.mlflow.is_down = True
    assert world.source().current().version == "1"


def test_a_process_without_mlflow_and_cache_starts_with_its_image(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seed = write_model(tmp_path / "image", "of the image")
    world.mlflow.is_down = True
    assert world.source(seed).current().folder == seed
    assert "the image's own" in caplog.text
    with pytest.raises(SourceUnavailable, match="nothing is kept"):
        world.source().current()


def test_a_version_that_the_image_brings_is_not_fetched(world: World) -> None:
    seed = next(world.made)
    version = lifecycle.register(world.mlflow.tracking, "embedder", seed, NOTE)
    world.mlflow.tracking.set_alias("embedder", STAGE, version.number)
    world.mlflow.artifacts.clear()
    assert world.source(seed).current().digest == sha256(seed / MANIFEST)


@pytest.mark.parametrize("name", ["model.onnx", MANIFEST])
def test_a_file_that_was_changed_is_refused(name: str, world: World) -> None:
    world.registered()
    good = world.source().current()
    version = world.registered()
    path = f"{version.source.removeprefix('mlflow-artifacts:/')}/{name}"
    world.mlflow.artifacts[path] = world.mlflow.artifacts[path].replace(b"2", b"3")
    source = world.source()
    assert source.current() == good  # the last good one of the alias, for the start
    with pytest.raises(SourceUnavailable, match=f"{name} has SHA-256"):
        source.current()
    assert world.kept() == [good.digest]


def test_a_file_that_is_damaged_on_disk_is_fetched_again(world: World) -> None:
    world.registered()
    found = world.source().current()
    (found.folder / "model.onnx").write_text("damaged")
    assert world.source().current() == found
    assert (found.folder / "model.onnx").read_text() == "graph 1"


def test_a_fetch_that_breaks_off_leaves_nothing(world: World) -> None:
    version = world.registered()
    del world.mlflow.artifacts[f"{version.source.removeprefix('mlflow-artifacts:/')}/model.onnx"]
    with pytest.raises(SourceUnavailable, match="404"):
        world.source().current()
    assert [path.name for path in (world.root / "cache/embedder").iterdir()] == []


def test_a_manifest_cannot_name_a_file_elsewhere(world: World, tmp_path: Path) -> None:
    evil = write_model(tmp_path / "evil", "1")
    (evil / MANIFEST).write_text('{"name": "x", "version": "1", "precision": "fp32", "files": {"../../x": "00"}}')
    with pytest.raises(ModelInvalid, match="no name of a file"):
        lifecycle.register(world.mlflow.tracking, "embedder", evil, NOTE)


def test_so_many_versions_are_kept_and_those_that_an_alias_names(world: World) -> None:
    digests = []
    for _ in range(4):
        digests.append(world.registered().tags[registry.DIGEST])
        world.source(keep=2).current()
    assert len(world.kept()) == 2 and digests[-1] in world.kept()


def test_a_refused_login_is_asked_once_and_the_cache_serves(world: World) -> None:
    world.registered()
    good = world.source().current()
    world.mlflow.status, world.mlflow.asked = 401, []
    assert world.source().current() == good
    assert len(world.mlflow.asked) == 1
    with pytest.raises(TrackingRefused, match="401"):
        world.mlflow.tracking.aliases("embedder")


def test_registering_twice_makes_one_version(world: World, tmp_path: Path) -> None:
    folder = next(world.made)
    first = lifecycle.register(world.mlflow.tracking, "embedder", folder, NOTE)
    assert lifecycle.register(world.mlflow.tracking, "embedder", folder, NOTE) == first
    other = write_model(tmp_path / "other", "1", extra="more")
    with pytest.raises(GateFailed, match="registered with other content, as 1"):
        lifecycle.register(world.mlflow.tracking, "embedder", other, NOTE)


def test_every_stage_gets_an_alias_once(world: World) -> None:
    mlflow = world.mlflow.tracking
    version = lifecycle.register(mlflow, "embedder", next(world.made), NOTE)
    assert lifecycle.assign(mlflow, version, NOTE) == NAMES
    assert lifecycle.assign(mlflow, version, NOTE) == ()
    assert world.mlflow.aliases["embedder"] == dict.fromkeys(NAMES, "1")


def test_a_rollback_goes_back_once_and_is_written_down(world: World) -> None:
    mlflow = world.mlflow.tracking
    for _ in range(2):
        lifecycle.register(mlflow, "embedder", next(world.made), NOTE)
    lifecycle.move(mlflow, Move("embedder", STAGE, "", "1"), NOTE)
    lifecycle.move(mlflow, Move("embedder", STAGE, "1", "2"), NOTE)
    step = lifecycle.way_back(mlflow.aliases("embedder"), "embedder", STAGE)
    assert step == Move("embedder", STAGE, "2", "1")
    lifecycle.roll_back(mlflow, step, NOTE)
    assert world.mlflow.aliases["embedder"] == {STAGE: "1"}
    assert '"back_to": "1"' in world.mlflow.tags("embedder", "2")["tandem.canary.rolled-back"]
    assert lifecycle.way_back(mlflow.aliases("embedder"), "embedder", STAGE) is None


def test_without_an_address_the_image_serves(tmp_path: Path) -> None:
    found = registry.source(from_env({}), "embedder", STAGE, write_model(tmp_path / "seed"))
    assert isinstance(found, Folder)


def test_a_wrong_setting_is_named_and_no_password_is_shown() -> None:
    with pytest.raises(ConfigInvalid, match="CACHE_KEEP"):
        from_env({"CACHE_KEEP": "0"})
    assert "geheim" not in repr(from_env({"MLFLOW_TRACKING_PASSWORD": "geheim"}))
