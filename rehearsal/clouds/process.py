"""One tree as a process: start it in the sealed namespace, know whether it lives, wait until it serves, stop it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from provision import shell
from provision.wait import wait_until
from rehearsal.clouds.config import environment
from rehearsal.clouds.layout import Places, Tree
from rehearsal.clouds.sites import SITES

SERVICES = "rehearsal.clouds.services."
PARENT = SERVICES + "parent"
STOP_S = 25.0
HOPELESS = 3
"""Deaths after which a service that does not listen is given up."""


def inside(places: Places) -> tuple[str, ...]:
    """Command prefix into the sealed namespace.

    nsenter, not `ip netns exec`: that would also leave the mount namespace, and the mounts and cgroups of the hosts
    that nova boots would be invisible to this machine.
    """
    return ("nsenter", f"--net={places.netns}", "--")


def start(places: Places, tree: Tree, services: Sequence[str] = ()) -> None:
    """Spawn the tree's parent (all services, or only those named) unless it lives."""
    if find_pid(tree) is not None:
        return
    for service in services or SITES[tree.site].services:
        tree.ready_file(service).unlink(missing_ok=True)
        tree.deaths_file(service).unlink(missing_ok=True)
    command: list[str | Path] = [*inside(places), tree.venv / "bin/python", "-m", PARENT, tree.root, *services]
    pid = shell.spawn(command, log=tree.file("log", "parent.log"), env=environment(tree))
    tree.pid_file.write_text(str(pid))


def find_pid(tree: Tree) -> int | None:
    """Pid of the tree's living parent. The pid file alone proves nothing: pids are used again."""
    try:
        pid = int(tree.pid_file.read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except (OSError, ValueError):
        return None
    return pid if str(tree.root) in words and PARENT in words else None


def is_serving(tree: Tree, service: str) -> bool:
    """Whether a service listens: it left its pid after binding its port, and that process lives."""
    try:
        return shell.is_alive(int(tree.ready_file(service).read_text()))
    except (OSError, ValueError):
        return False


def wait_ready(tree: Tree, services: Sequence[str], *, deadline_s: float) -> None:
    """Until every service listens.

    Raises DeadlineExceeded with who is missing; DeadState when the parent died or a service dies again and again.
    """
    wait_until(
        f"cloud {tree.site}",
        lambda: _missing(tree, services),
        lambda missing: not missing,
        lambda missing: _hopeless(tree, missing),
        deadline_s=deadline_s,
        every_s=0.1,
        next=f"tail {tree.file('log')}/*.out",
    )


def _missing(tree: Tree, services: Sequence[str]) -> dict[str, int]:
    """Services that do not listen yet, and how often each has died."""
    return {service: _deaths(tree, service) for service in services if not is_serving(tree, service)}


def _hopeless(tree: Tree, missing: Mapping[str, int]) -> bool:
    # Not find_pid: while the new process changes from nsenter to Python its command line is empty for a moment.
    return not _lives(tree) or any(deaths >= HOPELESS for deaths in missing.values())


def _lives(tree: Tree) -> bool:
    try:
        return shell.is_alive(int(tree.pid_file.read_text()))
    except (OSError, ValueError):
        return False


def _deaths(tree: Tree, service: str) -> int:
    try:
        return int(tree.deaths_file(service).read_text())
    except (OSError, ValueError):
        return 0


def stop(tree: Tree) -> None:
    """Stop the parent, which stops its services; then whatever a killed parent left. Silent if nothing runs."""
    pid = find_pid(tree)
    if pid is not None:
        shell.end(pid, deadline_s=STOP_S)
    for stray in list_strays(tree.root):
        shell.end(stray)
    tree.pid_file.unlink(missing_ok=True)


def list_strays(root: Path) -> list[int]:
    """Pids of living processes of a tree, by their command lines."""
    return [
        pid
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        if _belongs(pid, root)
    ]


def _belongs(pid: int, root: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return str(root) in words and any(word.startswith(SERVICES) for word in words)
