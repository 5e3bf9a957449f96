"""Binaries and images of the rehearsal: pinned in artifacts.lock.toml, cached, fetched or built, then served.

lock       what is wanted, and a key over every input            store      the cache on disk
binaries   cache -> vendor -> golang                             images     layers (debian, python) -> oci
releases   vendors' files that only Kubespray asks for           bundle     all of it as one file
servers    registry and files on the sealed network
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from provision import say
from rehearsal.artifacts import binaries, images, lock, releases
from rehearsal.artifacts.binaries import tools_dir
from rehearsal.artifacts.bundle import pack, unpack
from rehearsal.artifacts.store import Row, Store, write_atomic

__all__ = ["APT_PACKAGES", "Row", "ensure", "is_current", "missing_releases", "pack", "report", "tools_dir", "unpack"]

APT_PACKAGES = (
    "apache2-utils",
    "ca-certificates",
    "curl",
    "debian-archive-keyring",
    "docker-registry",
    "gcc",
    "libc6-dev",
    "mmdebstrap",
    "util-linux",
)
ROOT = Path(__file__).resolve().parents[2]
KEY = "artifacts.key"


def ensure(cache: Path, *, log_dir: Path, root: Path = ROOT) -> tuple[Row, ...]:
    """Have everything: binaries, images in the registry's storage, served files, tools. Returns a row each.

    Safe to repeat and to kill: what is whole is kept. Logs of builds go to `log_dir`; `root` is the checkout.
    Raises ToolMissing, PreconditionMissing (disk), RunLocked, CommandFailed.
    """
    wanted, store = lock.load(), Store(cache)
    log_dir.mkdir(parents=True, exist_ok=True)
    with store.alone():
        store.drop_scratch()
        rows = binaries.resolve(wanted, store, log_dir)
        rows += images.resolve(wanted, store, root, log_dir)
        releases.fetch(wanted, store)
        releases.serve(wanted, store, binaries.serve_files(wanted, store))
        binaries.link_tools(wanted, store)
        store.drop_scratch()
        write_atomic(cache / "artifacts.json", json.dumps([asdict(row) for row in rows], indent=1))
        write_atomic(cache / KEY, _key(wanted, cache, root))
    cached = sum(row.source == "cache" for row in rows)
    say.line("artifacts", "ok", f"{len(rows)} there, {cached} from the cache, {sum(row.mb for row in rows):.0f} MB")
    return rows


def is_current(cache: Path, *, root: Path = ROOT) -> bool:
    """Whether the last `ensure` had the same lock and the same files of the checkout."""
    path = cache / KEY
    return path.exists() and path.read_text() == _key(lock.load(), cache, root)


def missing_releases(cache: Path) -> dict[str, str]:
    """Release files that Kubespray needs and the cache has not: name -> where it may be put by hand."""
    return releases.missing(lock.load(), cache)


def report(cache: Path) -> tuple[Row, ...]:
    """The rows of the last `ensure` with this cache; empty before the first."""
    path = cache / "artifacts.json"
    return tuple(Row(**row) for row in json.loads(path.read_text())) if path.exists() else ()


def _key(wanted: lock.Lock, cache: Path, root: Path) -> str:
    return " ".join(filter(None, (wanted.key(root), releases.state(wanted, cache))))
