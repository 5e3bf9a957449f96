"""One cgroup subtree a host, so that containers can be created in it and everything of it can be found and ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from provision.errors import PreconditionMissing

CGROUPS = Path("/sys/fs/cgroup")


def subtrees(platform: str, machine: str | None = None) -> list[Path]:
    """The host's (or the whole platform's) folder in every hierarchy, whether it exists or not.

    Version 1 has one hierarchy a controller, version 2 a single one. Raises PreconditionMissing where none is mounted.
    """
    if (CGROUPS / "cgroup.controllers").exists():
        hierarchies = [CGROUPS]
    else:
        hierarchies = sorted(entry for entry in CGROUPS.glob("*") if os.path.ismount(entry) and not entry.is_symlink())
    if not hierarchies:
        raise PreconditionMissing(
            f"no cgroups under {CGROUPS}",
            why="a process in a mount namespace of its own (`ip netns exec` makes one) does not see the machine's",
            next="nsenter --net=/run/netns/<name> -- <command>",
        )
    name = Path(f"tandem-{platform}")
    return [hierarchy / name / machine if machine else hierarchy / name for hierarchy in hierarchies]


def join(platform: str, machine: str) -> None:
    """Put this process, and so all its children, into the host's subtree."""
    for subtree in subtrees(platform, machine):
        _make(subtree.parent)
        _make(subtree)
        (subtree / "cgroup.procs").write_text(str(os.getpid()))


def members(platform: str, machine: str) -> set[int]:
    """Every process in the host's subtree."""
    return {pid for subtree in subtrees(platform, machine) for folder in _folders(subtree) for pid in _pids(folder)}


def remove(platform: str, machine: str | None = None) -> None:
    """Remove the subtrees, innermost first; what still has processes stays, and is then a leftover."""
    for subtree in subtrees(platform, machine):
        for folder in _folders(subtree):
            try:
                folder.rmdir()
            except OSError:
                continue


def existing(platform: str) -> list[Path]:
    """The platform's subtrees that exist."""
    return [subtree for subtree in subtrees(platform) if subtree.exists()]


def _make(subtree: Path) -> None:
    subtree.mkdir(exist_ok=True)
    # Version 1: a cpuset without cpus and memory nodes takes no process.
    for name in ("cpuset.cpus", "cpuset.mems"):
        inherited = subtree.parent / name
        if inherited.exists() and (subtree / name).exists() and not (subtree / "cgroup.controllers").exists():
            (subtree / name).write_text(inherited.read_text())
    # Version 2: children get the controllers that their parent hands on.
    control = subtree.parent / "cgroup.subtree_control"
    if control.exists() and (subtree / "cgroup.controllers").exists():
        offered = (subtree.parent / "cgroup.controllers").read_text().split()
        control.write_text(" ".join(f"+{controller}" for controller in offered))


def _folders(subtree: Path) -> Iterator[Path]:
    """The subtree's folders, innermost first."""
    for folder, _names, _files in os.walk(subtree, topdown=False):
        yield Path(folder)


def _pids(folder: Path) -> list[int]:
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []
