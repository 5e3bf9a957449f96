"""Virtual environments of the peers, made once from a hash-pinned lock and kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from provision import shell
from provision.errors import CommandFailed, PlatformError, ToolMissing
from provision.paths import ROOT, cache_dir

INSTALL_S = 1800
DONE = ".complete"


class Unavailable(PlatformError):
    """A peer's packages cannot be had, or its model cannot be made: it is reported as such, never imitated."""


def python(locks: Sequence[str]) -> Path:
    """The interpreter of the environment with these locks (names under requirements/). Raises Unavailable."""
    files = [ROOT / "requirements" / f"{name}.lock" for name in locks]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    venv = cache_dir() / "bench" / "venvs" / f"{'+'.join(locks)}-{digest}"
    if not (venv / DONE).exists():
        shutil.rmtree(venv, ignore_errors=True)
        try:
            _make(venv, files)
        except CommandFailed as error:
            raise Unavailable(f"{' and '.join(locks)} cannot be installed", why=error.why or error.what) from error
        (venv / DONE).touch()
    return venv / "bin" / "python"


def _make(venv: Path, locks: Sequence[Path]) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if not Path(uv).exists():
        raise ToolMissing("uv is not installed", next="./tandem invoke --list")
    venv.parent.mkdir(parents=True, exist_ok=True)
    shell.run([uv, "venv", "-q", "--python", sys.executable, venv], deadline_s=120)
    for lock in locks:
        words = ["-q", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        shell.run(
            [uv, "pip", "install", *words, "--python", venv / "bin" / "python", "-r", lock],
            deadline_s=INSTALL_S,
            heartbeat=f"installing {lock.name}",
        )
