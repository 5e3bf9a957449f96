"""Free disk: one number a situation, and every one of them from one module."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from provision.errors import PreconditionMissing
from provision.settings import ROOT
from rehearsal.artifacts import disk, lock


def free(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=gib * 2**30))


def test_a_full_cache_needs_less_than_one_that_must_be_built(tmp_path: Path) -> None:
    assert disk.of(lock.load(), []).gib == disk.WARM_GIB < disk.BUILD_GIB
    cold = disk.needed(tmp_path)
    assert cold.gib == disk.BUILD_GIB
    assert re.fullmatch(r"(\d+) of \1 binaries are not cached and may have to be built", cold.why)


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 5.5)
    with pytest.raises(PreconditionMissing) as caught:
        disk.require(tmp_path / "not" / "there", 8, "to start")
    assert caught.value.what == "disk: 6 GiB free, 8 needed to start"
    assert caught.value.why.startswith("2.5 GiB are missing on the file system of")


def test_enough_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 8)
    disk.require(tmp_path, 8, "to start")


def test_nobody_else_has_a_number_of_its_own() -> None:
    texts = {path: path.read_text() for folder in ("rehearsal", "provision") for path in (ROOT / folder).rglob("*.py")}
    assert {path.name for path, text in texts.items() if "disk_usage(" in text} == {"paths.py", "usage.py"}
    assert [path.name for path, text in texts.items() if re.search(r"^FREE_GI?B\b", text, re.MULTILINE)] == []
