"""Which processes are a host. Read from /proc, never from a file of ours: whoever started a host may be long gone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from rehearsal.hosts import cgroups
from rehearsal.hosts.places import root_dir

_PROC = Path("/proc")
_SUPERVISOR = b"rehearsal.hosts.supervise"


def is_running(platform: str, machine: str) -> bool:
    """Whether the host runs, or is about to."""
    return bool(nspawn_pids(platform, machine))


def leader_pid(platform: str, machine: str) -> int | None:
    """The host's process 1, as the machine counts; None while it has none."""
    for parent in nspawn_pids(platform, machine):
        for child in _children(parent):
            if _is_first(child) and _comm(child) == "systemd":
                return child
    return None


def nspawn_pids(platform: str, machine: str) -> list[int]:
    """The nspawn processes of the host (also while they are still nsenter)."""
    mark = directory_option(platform, machine).encode()
    return [pid for pid in _all() if mark in _cmdline(pid)]


def directory_option(platform: str, machine: str) -> str:
    """The argument by which a host's processes are known."""
    return f"--directory={root_dir(platform, machine)}"


def listens(pid: int, port: int) -> bool:
    """Whether something listens on the port in the network namespace of the process.

    Read instead of asked, so that it needs no route, no security group and no packet.
    """
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        for line in _read(_PROC / str(pid) / "net" / table).splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


def power_off(leader: int) -> None:
    """Ask the host's systemd to power off (SIGRTMIN+4, systemd(1))."""
    _signal(leader, signal.SIGRTMIN + 4)


def kill(platform: str, machine: str) -> set[int]:
    """Kill what the host still has, and return what that was; to be repeated until nothing is left.

    The supervisor comes last: it waits for nspawn, and then ends by itself.
    """
    found = alive(platform, machine)
    hosted = {pid for pid in found if _SUPERVISOR not in _cmdline(pid)}
    for pid in hosted or found:
        _signal(pid, signal.SIGKILL)
    return found


def alive(platform: str, machine: str) -> set[int]:
    """Every process of the host: in its cgroups, or nspawn itself."""
    return cgroups.members(platform, machine) | set(nspawn_pids(platform, machine))


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _all() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _cmdline(pid: int) -> list[bytes]:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _children(pid: int) -> list[int]:
    return [int(child) for child in _read(_PROC / str(pid) / "task" / str(pid) / "children").split()]


def _is_first(pid: int) -> bool:
    """Whether the process is number 1 of a pid namespace below ours."""
    lines = [line for line in _read(_PROC / str(pid) / "status").splitlines() if line.startswith("NSpid:")]
    numbers = lines[0].split()[1:] if lines else []
    return len(numbers) > 1 and numbers[-1] == "1"


def _comm(pid: int) -> str:
    return _read(_PROC / str(pid) / "comm").strip()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
