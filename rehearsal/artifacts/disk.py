"""How much free disk the rehearsal needs: said here and nowhere else. The doctor, preflight and the builds ask here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from provision.errors import PreconditionMissing
from provision.paths import free_gib
from rehearsal.artifacts import lock as locks
from rehearsal.artifacts.lock import Lock
from rehearsal.artifacts.store import Store

WARM_GIB = 8
"""With every binary cached: both clouds, four hosts with their images, volumes, logs."""
BUILD_GIB = 24
"""While binaries are built from Go modules: 25 GB, the caches of the largest of them, dropped afterwards."""
IMAGES_GIB = 5
"""What assembling images needs at most, when all the rest lies there already."""


@dataclass(frozen=True, slots=True)
class Need:
    """Free disk that is needed, and why so much."""

    gib: int
    why: str


def needed(cache: Path) -> Need:
    """What the next `up` needs, from what the cache lacks."""
    lock, store = locks.load(), Store(cache)
    return of(lock, [name for name in lock.commands if not store.has_binary(lock, name)])


def of(lock: Lock, missing: list[str]) -> Need:
    """missing: binaries that are not cached."""
    if not missing:
        return Need(WARM_GIB, f"all {len(lock.commands)} binaries are cached")
    return Need(BUILD_GIB, f"{len(missing)} of {len(lock.commands)} binaries are not cached and may have to be built")


def require(root: Path, gib: int, what: str, *, can: str = "") -> None:
    """Raises PreconditionMissing with what is free and what is missing. can: what is possible without it."""
    free = free_gib(root)
    if free < gib:
        raise PreconditionMissing(
            f"disk: {free:.0f} GiB free, {gib} needed {what}",
            why=f"{gib - free:.1f} GiB are missing on the file system of {root}" + (f"\n{can}" if can else ""),
            next="free some, or set TANDEM_CACHE to a larger disk, then the same command again",
        )
