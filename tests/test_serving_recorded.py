"""What a version in the registry records of itself: its own files only, and never nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving import lifecycle, recorded
from serving.errors import ModelInvalid
from serving.lifecycle import Note
from serving.registry import DIGEST
from serving.tracking import Version
from tests.mlflow_double import Mlflow, write_model

NOTE = Note("somebody", "2026-11-25T12:00:00Z", "a test")


def registered(held: Mlflow, folder: Path, golden: str) -> Version:
    return lifecycle.register(held.tracking, "embedder", write_model(folder, **{"golden.json": golden}), NOTE)


def test_texts_and_vectors_come_from_its_files(tmp_path: Path) -> None:
    held = Mlflow()
    version = registered(held, tmp_path / "m", '{"texts": [{"text": "a", "vector": [1, 0]}]}')
    assert recorded.read(held.tracking, version) == [recorded.Recorded("a", [1.0, 0.0])]


@pytest.mark.parametrize("name", ["manifest.json", "golden.json"])
def test_a_file_that_was_not_registered_is_named(name: str, tmp_path: Path) -> None:
    held = Mlflow()
    version = registered(held, tmp_path / "m", '{"texts": [{"text": "a", "vector": [1, 0]}]}')
    (path,) = (path for path in held.artifacts if path.endswith(name))
    held.artifacts[path] = b'{"files": {}, "texts": []}'
    with pytest.raises(ModelInvalid, match=f"embedder 1: {name} is not the one that was registered"):
        recorded.read(held.tracking, version)


@pytest.mark.parametrize("golden", ["{}", "[]", '{"texts": []}', '{"texts": [{"text": "a"}]}', "none"])
def test_what_records_nothing_is_refused(golden: str, tmp_path: Path) -> None:
    held = Mlflow()
    version = registered(held, tmp_path / "m", golden)
    with pytest.raises(ModelInvalid, match=r"golden\.json"):
        recorded.read(held.tracking, version)


def test_a_version_without_a_digest_is_refused(tmp_path: Path) -> None:
    held = Mlflow()
    version = registered(held, tmp_path / "m", "{}")
    bare = replace(version, tags={key: value for key, value in version.tags.items() if key != DIGEST})
    with pytest.raises(ModelInvalid, match="cannot be read"):
        recorded.read(held.tracking, bare)
