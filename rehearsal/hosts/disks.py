"""Loop devices that appear as /dev/vdb and so on in a running host, and are there again after its reboot."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from provision.errors import PreconditionMissing, UsageError
from rehearsal.hosts.places import root_dir
from rehearsal.hosts.processes import leader_pid

_NAME = re.compile(r"vd[b-z]")
_SERIAL = re.compile(r"[A-Za-z0-9-]{0,64}")
_MODE = stat.S_IFBLK | 0o660
_DISK_GROUP = 6  # Debian's, the same on every installation
# virtio hands on this much of a volume's id, and /dev/disk/by-id is named by it.
_SERIAL_LENGTH = 20


def attach_disk(platform: str, machine: str, loop_device: Path, name: str = "vdb", serial: str = "") -> None:
    """Make the loop device appear as /dev/<name>; safe to repeat.

    serial: the volume's id, for /dev/disk/by-id/virtio-<first 20 characters>. Raises PreconditionMissing if the host
    does not exist, or if another device already has the name.
    """
    _named(name)
    if not _SERIAL.fullmatch(serial):
        raise UsageError(f"serial {serial!r}: letters, digits and dashes were expected")
    number = loop_device.stat().st_rdev
    root = _root(platform, machine)
    _write(root / "etc/tandem/disks" / name, serial[:_SERIAL_LENGTH] + "\n")
    _write(_boot_file(root, name), _boot_text(name, number))
    leader = leader_pid(platform, machine)
    if leader is not None:
        _make_node(Path(f"/proc/{leader}/root/dev/{name}"), number)


def detach_disk(platform: str, machine: str, name: str = "vdb") -> None:
    """Take the device away; silent if it or the host is absent."""
    _named(name)
    root = root_dir(platform, machine)
    for path in (_boot_file(root, name), root / "etc/tandem/disks" / name):
        path.unlink(missing_ok=True)
    leader = leader_pid(platform, machine)
    if leader is not None:
        Path(f"/proc/{leader}/root/dev/{name}").unlink(missing_ok=True)


def disk_names(platform: str, machine: str) -> tuple[str, ...]:
    """The names of the host's disks."""
    folder = root_dir(platform, machine) / "etc/tandem/disks"
    return tuple(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else ()


def _boot_text(name: str, number: int) -> str:
    """What makes the node again at the next boot: /dev of a host does not outlive it. And the watch for its label."""
    return f"b! /dev/{name} 0660 root disk - {os.major(number)}:{os.minor(number)}\n"


def _boot_file(root: Path, name: str) -> Path:
    return root / f"etc/tmpfiles.d/disk-{name}.conf"


def _root(platform: str, machine: str) -> Path:
    root = root_dir(platform, machine)
    if not os.path.ismount(root):
        raise PreconditionMissing(f"host {machine} is not up", why=f"{root} is not mounted")
    return root


def _make_node(node: Path, number: int) -> None:
    if node.exists():
        if node.stat().st_rdev != number:
            raise PreconditionMissing(f"{node.name} of the host is another disk", why=f"{node}")
        return
    os.mknod(node, _MODE, number)
    node.chmod(stat.S_IMODE(_MODE))  # mknod's mode is cut by our umask
    os.chown(node, 0, _DISK_GROUP)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _named(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"disk {name!r}: vdb to vdz were expected")
