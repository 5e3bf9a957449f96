"""Kubespray's checkout: the commit that cluster/kubespray.lock names, unedited, from the submodule or another source.

TANDEM_KUBESPRAY names another source of the same commit: a checkout, a bare repository or a URL. What is not a
checkout is fetched from into the cache, the one commit alone; git's own hash is the proof that it is the right one.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from provision import shell
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing
from provision.paths import ROOT, cache_dir

SUBMODULE = ROOT / "cluster" / "kubespray"
LOCK = ROOT / "cluster" / "kubespray.lock"
SOURCE = "TANDEM_KUBESPRAY"
INIT = "git submodule update --init cluster/kubespray"
FETCH_S, GIT_S = 600.0, 60.0


@dataclass(frozen=True, slots=True)
class File:
    """A file that Kubespray fetches. path: its URL without `https://`. variable: says another sum to Kubespray."""

    name: str
    version: str
    path: str
    sha256: str
    variable: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What cluster/kubespray.lock says. images: what nodes pull while a cluster is made."""

    repository: str
    version: str
    commit: str
    kubernetes: str
    files: tuple[File, ...]
    images: tuple[str, ...]


@cache
def lock() -> Lock:
    """The lock, read once."""
    told = tomllib.loads(LOCK.read_text())
    files = tuple(File(**file) for file in told["file"])
    return Lock(told["repository"], told["version"], told["commit"], told["kubernetes"], files, tuple(told["images"]))


def source() -> str:
    """Where the commit comes from: TANDEM_KUBESPRAY, else the submodule."""
    return os.environ.get(SOURCE, "") or str(SUBMODULE)


def missing() -> str:
    """Why there is no checkout to work with, or ''. Looks at this machine only; `obtain` proves it."""
    where = source()
    if "://" in where or is_checkout(Path(where)) or _is_repository(Path(where)):
        return ""
    if where != str(SUBMODULE):
        return f"{SOURCE}={where} is no checkout"
    return "" if is_checkout(_fetched()) else "cluster/kubespray is empty"


def obtain() -> Path:
    """The checkout, proven to be the locked commit without an edit. Raises PreconditionMissing."""
    where = source()
    if "://" not in where and is_checkout(Path(where)):
        found = Path(where).resolve()
    else:
        if reason := missing():
            raise PreconditionMissing(f"no checkout of Kubespray {lock().version}", why=reason, next=INIT)
        found = _fetched()
        if not is_checkout(found):
            _fetch(where, found)
    _prove(found)
    return found


def is_checkout(path: Path) -> bool:
    """Whether a folder has Kubespray's playbooks in it."""
    return (path / "playbooks" / "cluster.yml").is_file()


def _fetched() -> Path:
    return cache_dir() / "kubespray" / lock().commit[:12]


def _is_repository(path: Path) -> bool:
    return (path / "objects").is_dir() and (path / "HEAD").is_file()


def _fetch(where: str, target: Path) -> None:
    """Only the one commit. A fetch that was killed is done again over what it left."""
    target.mkdir(parents=True, exist_ok=True)
    git: list[str | Path] = ["git", "-C", target]
    try:
        shell.run([*git, "init", "-q"], deadline_s=GIT_S)
        fetch = [*git, "fetch", "-q", "--depth", "1", where, lock().commit]
        shell.run(fetch, deadline_s=FETCH_S, env={"GIT_TERMINAL_PROMPT": "0"}, heartbeat=f"fetching {where}")
        shell.run([*git, "checkout", "-q", "--force", "--detach", lock().commit], deadline_s=GIT_S)
    except (CommandFailed, DeadlineExceeded) as failed:
        raise PreconditionMissing(
            f"Kubespray's commit {lock().commit[:12]} could not be had from {where}", why=failed.why, next=INIT
        ) from failed


def _prove(path: Path) -> None:
    """git says which commit it is, and that no file differs. An untracked one could be a role or a variable."""
    git: list[str | Path] = ["git", "-C", path]
    try:
        commit = shell.run([*git, "rev-parse", "HEAD"], deadline_s=GIT_S).stdout.strip()
        top = shell.run([*git, "rev-parse", "--show-toplevel"], deadline_s=GIT_S).stdout.strip()
        edits = shell.run([*git, "status", "--porcelain"], deadline_s=GIT_S).stdout.rstrip()
    except CommandFailed as failed:
        raise _wrong(path, f"git does not know it: {failed.why}") from failed
    if Path(top) != path.resolve() or commit != lock().commit:
        raise _wrong(path, f"is at {commit}, cluster/kubespray.lock names {lock().commit}")
    if edits:
        raise _wrong(path, "has been edited:\n" + "\n".join(edits.splitlines()[:8]))


def _wrong(path: Path, why: str) -> PreconditionMissing:
    undo = f"git -C {path} checkout --force {lock().commit} && git -C {path} clean -df"
    return PreconditionMissing(f"{path}: not Kubespray {lock().version} as it was released", why=why, next=undo)
