"""The cache on disk: binaries by key, layers by key, and one lock so that two runs do not fill it at the same time.

    bin/<name>-<version>-<key>/{<name>,record.json}      layers/<name>-<key>.json      registry/      files/      tools/
    scratch/      what is half made; removed when the next run starts

Everything appears by one rename, so a run that is killed leaves either nothing or the whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from provision.errors import DeadlineExceeded, RunLocked
from provision.wait import never, wait_until
from rehearsal.artifacts.lock import Lock, file_hash

LOCK_DEADLINE_S = 5400.0  # as long as a whole cold run of somebody else


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report. source: where it came from in this run; made: how it was made when it was."""

    kind: str
    name: str
    version: str
    source: str
    made: str
    sha256: str
    seconds: float
    mb: float


@dataclass(frozen=True, slots=True)
class Store:
    """The cache folder."""

    root: Path

    def binary_folder(self, lock: Lock, name: str) -> Path:
        """Where a binary lies, or would."""
        module, _ = lock.commands[name]
        return self.root / "bin" / f"{name}-{module.version.lstrip('v')}-{lock.command_key(name)}"

    def binary(self, lock: Lock, name: str) -> Path:
        """The binary itself."""
        return self.binary_folder(lock, name) / name

    def has_binary(self, lock: Lock, name: str) -> bool:
        """Whether it is there, whole (the folder appears by one rename)."""
        return (self.binary_folder(lock, name) / "record.json").exists()

    def add_binary(self, lock: Lock, name: str, made: Path, source: str, seconds: float) -> Row:
        """Take a finished binary in; it is moved."""
        target = self.binary_folder(lock, name)
        part = self.scratch(f"add-{name}")
        binary = part / name
        shutil.move(made, binary)
        binary.chmod(0o755)
        version = lock.commands[name][0].version
        row = Row("binary", name, version, source, source, file_hash(binary), round(seconds, 1), _mb(binary))
        (part / "record.json").write_text(json.dumps(asdict(row)))
        target.parent.mkdir(parents=True, exist_ok=True)
        part.rename(target)
        return row

    def binary_row(self, lock: Lock, name: str) -> Row:
        """What was recorded when it was made; `source` says cache."""
        row = json.loads((self.binary_folder(lock, name) / "record.json").read_text())
        return Row(**{**row, "source": "cache"})

    def scratch(self, name: str) -> Path:
        """A fresh folder for something half made; the id keeps children of a killed run out of it."""
        folder = self.root / "scratch" / str(os.getpid()) / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def drop_scratch(self) -> None:
        """Remove what an earlier run left half made. Only while the lock is held."""
        shutil.rmtree(self.root / "scratch", ignore_errors=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for other runs that fill this cache, then keep them out."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / "artifacts.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(handle)
            yield
        finally:
            os.close(handle)


def write_atomic(path: Path, text: str) -> None:
    """A whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.rename(path)


def _acquire(handle: int) -> None:
    what = "the artifact cache, in use by another run"
    try:
        wait_until(what, lambda: _locked(handle), bool, never, deadline_s=LOCK_DEADLINE_S, every_s=1.0)
    except DeadlineExceeded as late:
        raise RunLocked("the artifact cache is in use by another run", why=late.why) from late


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mb(path: Path) -> float:
    return round(path.stat().st_size / 1e6, 1)
