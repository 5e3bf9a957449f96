"""The OpenStack environment: one venv a lock, built by uv from hash-pinned wheels, kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from provision import say, shell
from provision.errors import ToolMissing
from rehearsal.clouds.layout import Places

CODE = Path(__file__).resolve().parent.parent.parent
LOCK = CODE / "requirements" / "openstack.lock"
BUILD_S = 900.0


def path(places: Places) -> Path:
    """Where this lock's environment lies, built or not."""
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    return places.cache / "venvs" / f"openstack-{digest}"


def ensure(places: Places) -> Path:
    """The environment, built if need be. Raises ToolMissing without uv, CommandFailed if a wheel cannot be had."""
    final = path(places)
    done = final / "tandem-complete"
    if done.exists():
        return final
    say.line("clouds", "build", f"OpenStack environment {final.name}")
    shutil.rmtree(final, ignore_errors=True)
    uv, log = _uv(), places.cache / "venvs" / f"{final.name}.log"
    shell.run([uv, "venv", "--quiet", "--python", sys.executable, final], deadline_s=60, log=log)
    shell.run(
        [uv, "pip", "install", "--python", final / "bin/python", "--require-hashes", "--compile-bytecode", "-r", LOCK],
        deadline_s=BUILD_S,
        log=log,
        heartbeat="installing the OpenStack services",
    )
    done.touch()
    return final


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    found = beside if beside.exists() else shell.find("uv")
    if found is None:
        raise ToolMissing("uv: neither beside this Python nor on PATH", next="./tandem invoke doctor")
    return found
