"""What a run leaves in `.state/`: receipts, logs, events. Never the truth: the truth is the cloud.

Atomic writes; a lock that one run at a time holds per platform (the kernel frees it when the run is killed).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from provision import say
from provision.errors import RunLocked
from provision.platform_settings import Settings


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a step last did at a site. utc: when it last ran. last_green: when its checks last passed, or ''."""

    step: str
    site: str
    utc: str
    result: str
    changes: int
    seconds: float
    last_green: str = ""


def utc_now() -> str:
    """Now, as receipts and folders write it: 20261123T140211Z."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def write_atomic(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a whole file or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


class Receipts:
    """The receipts of one environment."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "receipts"

    def read(self, step: str, site: str) -> Receipt | None:
        """The last receipt of a step at a site, or None."""
        path = self.folder / site / f"{step}.json"
        if not path.exists():
            return None
        return Receipt(**json.loads(path.read_text()))

    def write(self, receipt: Receipt) -> None:
        """Replace the receipt."""
        write_atomic(self.folder / receipt.site / f"{receipt.step}.json", json.dumps(asdict(receipt), indent=1))

    def forget(self) -> None:
        """Drop all receipts: after destroy nothing of what they tell is true."""
        for path in self.folder.glob("*/*.json"):
            path.unlink()


class Run:
    """One run's folder `.state/<env>/runs/<utc>/`: events.jsonl and one log a step."""

    def __init__(self, state_dir: Path, utc: str = "") -> None:
        self.utc = utc or utc_now()
        self.folder = state_dir / "runs" / self.utc
        self.folder.mkdir(parents=True, exist_ok=True)
        self._events = self.folder / "events.jsonl"
        self._lock = Lock()

    def log(self, step: str, site: str) -> Path:
        """The log file of a step at a site."""
        return self.folder / f"{step}.{site}.log"

    def event(self, kind: str, **fields: str | int | float | bool) -> None:
        """Append one event."""
        row = {"utc": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind, **fields}
        with self._lock, self._events.open("a") as file:
            file.write(json.dumps(row) + "\n")

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Every said line becomes an event as well."""
        stop = say.listen(lambda who, verb, text: self.event("say", who=who, verb=verb, text=text))
        try:
            yield
        finally:
            stop()


@contextmanager
def locked(settings: Settings, what: str) -> Iterator[None]:
    """Hold the platform's lock on this machine. Raises RunLocked with who, where, since."""
    settings.config_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.config_dir / "run.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            holder = os.read(descriptor, 4096).decode(errors="replace").strip()
            raise RunLocked(
                f"platform {settings.platform}: another run holds it",
                why=holder or "no holder written",
                next="invoke provision.status",
            ) from busy
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{what}, process {os.getpid()} on {socket.gethostname()}, since {utc_now()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
