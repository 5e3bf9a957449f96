"""All artifacts as one file for another machine: a tar of the cache and a sha256 for each file, checked on arrival.

A bundle holds root file systems and programs that will run as root: take it only from whom you would give root.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from provision import say
from provision.errors import PlatformError, PreconditionMissing
from provision.wait import HEARTBEAT_S
from rehearsal.artifacts.lock import file_hash
from rehearsal.artifacts.store import Store

PARTS = ("bin", "layers", "registry", "files", "releases", "roots", "templates")
SUMS = "SHA256SUMS"


def pack(cache: Path, out: Path) -> Path:
    """Write the bundle; it appears whole or not at all. Beside it lies `<out>.sha256`."""
    store = Store(cache)
    with store.alone():
        scratch = store.scratch("pack")
        names = sorted(_files(cache))
        if not names:
            raise PreconditionMissing("nothing to pack", why=f"{cache} is empty", next="./tandem invoke rehearsal.up")
        say.line("artifacts", "pack", f"{len(names)} files into {out}")
        beat = _beat("packing")
        (scratch / SUMS).write_text("".join(f"{_hashed(cache, name, beat)}  {name}\n" for name in names))
        part = out.with_name(f".{out.name}.part")
        with tarfile.open(part, "w:gz", compresslevel=1) as archive:
            archive.add(scratch / SUMS, SUMS)
            for folder in (folder for folder in PARTS if (cache / folder).exists()):
                archive.add(cache / folder, folder, filter=lambda member: beat() or member)
        part.rename(out)
        store.drop_scratch()
    out.with_name(f"{out.name}.sha256").write_text(f"{file_hash(out)}  {out.name}\n")
    return out


def unpack(cache: Path, bundle: Path) -> int:
    """Check a bundle and take it in beside what is there; returns how many files. PlatformError if one differs."""
    store = Store(cache)
    with store.alone():
        scratch, beat = store.scratch("unpack"), _beat("unpacking")
        with tarfile.open(bundle) as archive:
            # Trusted fully, because roots need their set-user-id programs (sudo) as they are.
            archive.extractall(scratch, filter=lambda member, _path: beat() or member)
        lines = [line.split("  ", 1) for line in (scratch / SUMS).read_text().splitlines()]
        broken = [name for wanted, name in lines if _hashed(scratch, name, beat) != wanted]
        if broken:
            raise PlatformError(
                f"{bundle}: {len(broken)} files are not what was packed",
                why=", ".join(broken[:5]),
                next="fetch the bundle again and compare its .sha256",
            )
        for folder in (folder for folder in PARTS if (scratch / folder).exists()):
            _merge(scratch / folder, cache / folder)
        shutil.rmtree(scratch)
    return len(lines)


def _hashed(root: Path, name: str, beat: Callable[[], None]) -> str:
    beat()
    return file_hash(root / name) if (root / name).is_file() else "absent"


def _beat(what: str) -> Callable[[], None]:
    """Called for every file; says a line when the last one is 30 s old."""
    told = [time.monotonic()]

    def beat() -> None:
        if time.monotonic() - told[0] >= HEARTBEAT_S:
            told[0] = time.monotonic()
            say.line("artifacts", "wait", what)

    return beat


def _files(cache: Path) -> Iterator[str]:
    for part in PARTS:
        for folder, _, names in os.walk(cache / part):
            for name in names:
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink():
                    yield str(path.relative_to(cache))


def _merge(source: Path, target: Path) -> None:
    """Move what is not there yet. Whole folders where possible: they appear by one rename."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(target):
        source.rename(target)
    elif source.is_dir() and not source.is_symlink():
        for child in source.iterdir():
            _merge(child, target / child.name)
