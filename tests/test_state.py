"""State: whole files or none, a lock that names its holder, receipts and events that read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision import say
from provision.errors import RunLocked
from provision.settings import Settings, load
from provision.state import Receipt, Receipts, Run, locked, write_atomic

RECEIPT = Receipt("lease", "kvm-tacc", "20261123T140211Z", "ok", 2, 41.5, "20261123T140300Z")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TANDEM_CONFIG", str(tmp_path))
    return load("rehearsal")


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "kubeconfig"
    write_atomic(path, "one")
    write_atomic(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["kubeconfig"]


def test_a_write_that_is_cut_short_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "receipt.json"
    write_atomic(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("provision.state.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"


def test_receipts_read_back(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    assert receipts.read("lease", "kvm-tacc") is None
    receipts.write(RECEIPT)
    assert receipts.read("lease", "kvm-tacc") == RECEIPT
    assert receipts.read("lease", "chi-uc") is None


def test_forgotten_receipts_are_gone(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    receipts.write(RECEIPT)
    receipts.forget()
    assert receipts.read("lease", "kvm-tacc") is None


def test_a_second_run_is_refused_and_told_who_holds_the_platform(settings: Settings) -> None:
    with locked(settings, "provision.all"), pytest.raises(RunLocked) as caught, locked(settings, "provision.destroy"):
        pytest.fail("two runs at a time")
    assert caught.value.exit_code == 3
    assert "provision.all, process" in caught.value.why
    assert "since 20" in caught.value.why


def test_the_lock_is_free_again_after_the_run(settings: Settings) -> None:
    for what in ("a rather long first command", "second"):
        with locked(settings, what):
            pass
    assert (settings.config_dir / "run.lock").read_text().startswith("second, process")


def test_the_lock_is_free_again_after_a_failure(settings: Settings) -> None:
    with pytest.raises(KeyError), locked(settings, "first"):
        raise KeyError("x")
    with locked(settings, "second"):
        pass


def test_said_lines_become_events_while_recording(tmp_path: Path) -> None:
    run = Run(tmp_path, "20261123T140211Z")
    with run.recording():
        say.line("lease", "plan", "one")
    say.line("lease", "plan", "not recorded")
    run.event("step", step="lease", seconds=1.5)
    rows = [json.loads(row) for row in (run.folder / "events.jsonl").read_text().splitlines()]
    assert [(row["kind"], row.get("text"), row.get("seconds")) for row in rows] == [
        ("say", "one", None),
        ("step", None, 1.5),
    ]
    assert run.log("lease", "kvm-tacc") == tmp_path / "runs" / "20261123T140211Z" / "lease.kvm-tacc.log"
