"""The vendor's release files: used where the lock knows their sha256 and the vendor can be reached.

One probe a run for all vendors together, five seconds at most: a machine without internet loses five seconds once.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path

from provision import say, shell
from provision.errors import CommandFailed, DeadlineExceeded, PlatformError
from rehearsal.artifacts.lock import Command, Lock, file_hash
from rehearsal.artifacts.store import Row, Store

PROBE_S = 5
DOWNLOAD_S = 600


def fetch(lock: Lock, store: Store, names: Iterable[str]) -> list[Row]:
    """Fetch what vendors publish of `names`; what cannot be had is simply not in the answer, and will be built."""
    wanted = [name for name in names if lock.commands[name][1].is_pinned]
    if not wanted:
        return []
    if not is_reachable(lock.commands[wanted[0]][1].url):
        say.line("artifacts", "vendor", f"not reachable within {PROBE_S} s: building from source")
        return []
    by_url: dict[str, list[Command]] = {}
    for name in wanted:
        by_url.setdefault(lock.commands[name][1].url, []).append(lock.commands[name][1])
    return [row for commands in by_url.values() for row in _fetch_one(lock, store, commands)]


def _fetch_one(lock: Lock, store: Store, commands: list[Command]) -> list[Row]:
    """One file and every binary that is in it."""
    url, file = commands[0].url, store.scratch("vendor") / "file"
    try:
        result = shell.run(
            ["curl", "-fsSL", "--connect-timeout", str(PROBE_S), "--max-time", str(DOWNLOAD_S), "-o", file, url],
            deadline_s=DOWNLOAD_S + 30,
            heartbeat=f"fetching {url}",
        )
    except (CommandFailed, DeadlineExceeded) as failed:
        say.warn(f"{url}: {failed.why.splitlines()[-1] if failed.why else failed.what}; building instead")
        return []
    check(file, commands[0].sha256, url)
    return [_take(lock, store, command, file, result.seconds / len(commands)) for command in commands]


def is_reachable(url: str) -> bool:
    """Whether the vendor answers within the probe's five seconds."""
    try:
        shell.run(["curl", "-fsSIL", "--max-time", str(PROBE_S), "-o", "/dev/null", url], deadline_s=PROBE_S + 2)
    except (CommandFailed, DeadlineExceeded):
        return False
    return True


def _take(lock: Lock, store: Store, command: Command, file: Path, seconds: float) -> Row:
    made = store.scratch(f"fetched-{command.name}") / command.name
    _copy_out(file, command.member, made)
    row = store.add_binary(lock, command.name, made, "vendor", seconds)
    say.line("artifacts", "vendor", f"{row.name} {row.version} {row.mb:.0f} MB {row.seconds:.0f} s")
    return row


def check(file: Path, wanted: str, url: str) -> None:
    """A file that differs from what its vendor published is never used and never silently built around."""
    found = file_hash(file)
    if found != wanted:
        raise PlatformError(
            f"{url}: not the published file",
            why=f"sha256 {found}, the lock says {wanted}",
            next="check the lock and the network path (a proxy that rewrites?), then run again",
        )


def _copy_out(file: Path, member: str, target: Path) -> None:
    if not member:
        target.write_bytes(file.read_bytes())
        return
    with tarfile.open(file) as archive:
        stream = archive.extractfile(member)
        if stream is None:
            raise PlatformError(f"{file}: no file {member} inside")
        target.write_bytes(stream.read())
