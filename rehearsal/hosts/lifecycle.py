"""A host's life: prepared, booted, stopped, deleted. Every function can be called again after being killed half-way."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from provision import say, shell
from provision.errors import DeadlineExceeded, PreconditionMissing, ToolMissing
from provision.wait import never, wait_until
from rehearsal.hosts import cgroups, places, processes, seed
from rehearsal.hosts.spec import HostSpec
from rehearsal.network.namespace import exists, netns

_CHECKOUT = Path(__file__).resolve().parents[2]
_BOOT_DEADLINE_S = 30.0
_KILL_DEADLINE_S = 15.0
_UNIT_DEADLINE_S = 60.0
_DATA = ("containerd", "kubelet")


def boot(spec: HostSpec) -> None:
    """Bring the host up; returns when its process 1 runs. Nothing happens if it runs already.

    Raises PreconditionMissing without network namespace or with another host of that name, DeadState with the console's
    place if it does not start.
    """
    known = places.read_spec(spec.platform, spec.machine)
    if known is not None and known != spec:
        raise PreconditionMissing(f"host {spec.machine} exists with another specification", why="it was not stopped")
    if known is None:
        _delete_files(spec.platform, spec.machine)
        _prepare(spec)
    _launch(spec)


def start(platform: str, machine: str) -> None:
    """Boot what `stop(keep=True)` left."""
    spec = places.read_spec(platform, machine)
    if spec is None:
        raise PreconditionMissing(f"host {machine} does not exist", why=f"no {places.host_dir(platform, machine)}")
    _launch(spec)


def restart(platform: str, machine: str) -> None:
    """Power off, and boot again with the same files."""
    stop(platform, machine, keep=True)
    start(platform, machine)


def stop(platform: str, machine: str, *, keep: bool = False, deadline_s: float = 15.0) -> None:
    """Power off, within the deadline by itself, else by force; delete its files unless `keep`. Silent if absent.

    deadline_s 0: pull the plug. Disks are written back in either case.
    """
    cgroups.subtrees(platform, machine)  # fails before anything is touched if they cannot be seen from here
    leader = processes.leader_pid(platform, machine)
    if leader is not None and deadline_s > 0:
        _power_off(platform, machine, leader, deadline_s)
    wait_until(
        f"host {machine} gone",
        lambda: sorted(processes.kill(platform, machine)),
        lambda pids: not pids,
        never,
        deadline_s=_KILL_DEADLINE_S,
        every_s=0.1,
    )
    _unmount(platform, machine)
    cgroups.remove(platform, machine)
    if not keep:
        _delete_files(platform, machine)


def destroy_all(platform: str) -> None:
    """Stop and delete every host of the platform."""
    for machine in places.list_hosts(platform):
        stop(platform, machine, deadline_s=0)
    cgroups.remove(platform)
    folder = places.hosts_dir(platform)
    if folder.is_dir():
        folder.rmdir()


def leftovers(platform: str) -> list[str]:
    """What of any host is still on the machine, in words."""
    machines = places.list_hosts(platform)
    found = [
        f"host {machine} (process {pid})" for machine in machines for pid in processes.nspawn_pids(platform, machine)
    ]
    found += [f"files {places.host_dir(platform, machine)}" for machine in machines]
    found += [f"mount {path}" for path in _mounts() if places.hosts_dir(platform) in path.parents]
    return found + [f"cgroup {subtree}" for subtree in cgroups.existing(platform)]


def wait_ssh(spec: HostSpec, *, deadline_s: float = 120.0) -> None:
    """Return when sshd listens in the host. By then cloud-init has made user `cc` with its keys: sshd starts after it.

    Raises DeadState if the host stops, DeadlineExceeded.
    """

    def probe() -> str:
        leader = processes.leader_pid(spec.platform, spec.machine)
        if leader is None:
            return "stopped"
        return "listening" if processes.listens(leader, 22) else "booting"

    wait_until(
        f"host {spec.hostname}: sshd",
        probe,
        lambda state: state == "listening",
        lambda state: state == "stopped",
        deadline_s=deadline_s,
        every_s=0.2,
        next=f"less {places.log_path(spec.platform, spec.machine)}",
    )


def disable_unit(platform: str, machine: str, unit: str) -> None:
    """Stop a systemd unit of a running host, and keep it from starting again. Silent if the host is not there."""
    leader = processes.leader_pid(platform, machine)
    if leader is not None:
        inside = ("nsenter", f"--target={leader}", "--all", "--")
        shell.run((*inside, "systemctl", "disable", "--now", "--quiet", unit), deadline_s=_UNIT_DEADLINE_S)


def _prepare(spec: HostSpec) -> None:
    """Folders, and the first files of the host's own."""
    folder = places.host_dir(spec.platform, spec.machine)
    for name in ("upper", "work", "root", *_DATA):
        (folder / name).mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _mount(spec)
    for path, (mode, text) in seed.files(spec).items():
        target = places.root_dir(spec.platform, spec.machine) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.touch(mode=mode)
        target.write_text(text)
    places.write_spec(spec)


def _launch(spec: HostSpec) -> None:
    if not exists(spec.platform):
        raise PreconditionMissing(f"no network namespace {netns(spec.platform)}", next="invoke rehearsal.up")
    if shell.find("systemd-nspawn") is None:
        raise ToolMissing("systemd-nspawn: not on this machine", next="apt-get install systemd-container")
    log = places.log_path(spec.platform, spec.machine)
    if not processes.is_running(spec.platform, spec.machine):
        _mount(spec)
        shell.run(
            (sys.executable, "-S", "-m", "rehearsal.hosts.supervise", spec.platform, spec.machine),
            env={"PYTHONPATH": str(_CHECKOUT)},
            cwd=Path("/"),
            log=log,
            deadline_s=_BOOT_DEADLINE_S,
        )
    wait_until(
        f"host {spec.hostname}: process 1",
        lambda: processes.leader_pid(spec.platform, spec.machine),
        lambda leader: leader is not None,
        never,
        deadline_s=_BOOT_DEADLINE_S,
        every_s=0.05,
        next=f"less {log}",
    )


def _mount(spec: HostSpec) -> None:
    root = places.root_dir(spec.platform, spec.machine)
    if os.path.ismount(root):
        return
    folder = root.parent
    lower = ":".join(str(tree) for tree in spec.lower)
    options = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
    shell.run(("mount", "-t", "overlay", "-o", options, f"tandem-{spec.machine}", root), deadline_s=_BOOT_DEADLINE_S)


def _unmount(platform: str, machine: str) -> None:
    root = places.root_dir(platform, machine)
    if os.path.ismount(root):
        # Lazily: the last of the host's processes may still be on its way out.
        shell.run(("umount", "-l", root), deadline_s=_KILL_DEADLINE_S)


def _power_off(platform: str, machine: str, leader: int, deadline_s: float) -> None:
    """Ask, and wait; a host that does not listen is killed afterwards."""
    processes.power_off(leader)
    try:
        wait_until(
            f"host {machine} powered off",
            lambda: sorted(processes.alive(platform, machine)),
            lambda pids: not pids,
            never,
            deadline_s=deadline_s,
            every_s=0.1,
        )
    except DeadlineExceeded as late:
        say.warn(f"{late.what}: killed")


def _delete_files(platform: str, machine: str) -> None:
    _unmount(platform, machine)
    folder = places.host_dir(platform, machine)
    if folder.exists():
        shutil.rmtree(folder)


def _mounts() -> list[Path]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(line.split()[1]) for line in lines]
