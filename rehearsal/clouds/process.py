"""One tree as a process: start it in the sealed namespace, know whether it lives, wait until it serves, stop it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from provision import shell
from provision.wait import wait_until
from rehearsal.clouds.config import environment
from rehearsal.clouds.layout import Places, Tree
from rehearsal.clouds.sites import SITES

PARENT = "rehearsal.clouds.services.parent"
STOP_S = 25.0


def inside(places: Places) -> tuple[str, ...]:
    """Command prefix into the sealed namespace. nsenter, not `ip netns exec`: that would also leave the mount namespace,
    and the mounts and cgroups of the hosts that nova boots would be invisible to this machine."""
    return ("nsenter", f"--net={places.netns}", "--")


def start(places: Places, tree: Tree, services: Sequence[str] = ()) -> None:
    """Spawn the tree's parent (all services, or only those named) unless it lives."""
    if find_pid(tree) is not None:
        return
    for service in services or SITES[tree.site].services:
        tree.ready_file(service).unlink(missing_ok=True)
    command = [*inside(places), tree.venv / "bin/python", "-m", PARENT, tree.root, *services]
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
    """Until every service listens. Raises DeadState at once when the parent died, DeadlineExceeded with who is missing."""

    def missing() -> tuple[str, ...]:
        waited = tuple(service for service in services if not is_serving(tree, service))
        return waited if find_pid(tree) is not None else ("parent died",)

    wait_until(f"cloud {tree.site}", missing, lambda names: not names, lambda names: names == ("parent died",),
               deadline_s=deadline_s, every_s=0.1, next=f"less {tree.file('log', 'parent.log')}")


def stop(tree: Tree) -> None:
    """Stop the parent, which stops its services; silent if nothing runs."""
    pid = find_pid(tree)
    if pid is not None:
        shell.end(pid, deadline_s=STOP_S)
    tree.pid_file.unlink(missing_ok=True)


def list_strays(root: Path) -> list[int]:
    """Pids of living processes that name a path below `root`: services whose parent was killed, while they end."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if PARENT in words and str(root) in words:
            found.append(int(entry.name))
    return found
