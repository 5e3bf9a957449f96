"""`rclone mount`, one process a mount, and what is remembered of each so that a new pod of ours mounts it again.

A mount lives as long as its process, so all of them die with the pod. What is remembered lies in the host's memory (a
tmpfs): a host that boots anew has no mounts and no pods either, and the store's key never comes to a disk.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

from rehearsal.csi.volumes import Mount

log = logging.getLogger("csi")

MOUNTED_S = 30.0
STOPPED_S = 30.0
POLL_S = 0.05
DETACH = 2  # umount2: at once, whoever is still in it
FUSE = "fuse.rclone"
RECORD, CONFIG, SAID = ".json", ".conf", ".log"


class Mounts:
    """All mounts of this node. folder: where they are remembered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def publish(self, mount: Mount) -> None:
        """Mount it, unless it is mounted already. Raises OSError saying what rclone said."""
        running = self._processes.get(mount.target)
        if running is not None and running.poll() is None and is_mounted(mount.target):
            return
        self._remember(mount)
        self._start(mount)
        log.info("mounted %s at %s", mount.volume, mount.target)

    def unpublish(self, target: str) -> None:
        """Unmount, after what was written has gone out; silent if it is gone."""
        detach(target)
        process = self._processes.pop(target, None)
        if process is not None:
            _stop(process)
        for suffix in (RECORD, CONFIG, SAID):
            self._file(target, suffix).unlink(missing_ok=True)
        if Path(target).is_dir():
            Path(target).rmdir()
        log.info("unmounted %s", target)

    def restore(self) -> None:
        """Mount again what an earlier pod had mounted, as far as somebody still wants it.

        Pods that run keep the dead mount: the kubelet gave it to them when they started. New ones, and containers that
        are started anew, get the living one.
        """
        for path in sorted(self._folder.glob(f"*{RECORD}")):
            told = json.loads(path.read_text())
            mount = Mount(**{**told, "options": tuple(told["options"])})
            if not Path(mount.target).parent.is_dir():
                self.unpublish(mount.target)
                continue
            try:
                self._start(mount)
                log.info("mounted %s again at %s", mount.volume, mount.target)
            except OSError as error:
                log.error("cannot mount %s again at %s: %s", mount.volume, mount.target, error)

    def _start(self, mount: Mount) -> None:
        detach(mount.target)
        Path(mount.target).mkdir(mode=0o750, parents=True, exist_ok=True)
        said = self._file(mount.target, SAID)
        with said.open("wb") as stream:
            process = subprocess.Popen(self._command(mount), stdout=stream, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + MOUNTED_S
        while not is_mounted(mount.target):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                process.wait()
                why = said.read_text(errors="replace")[-500:].strip()
                raise OSError(f"rclone mount: {why or 'not mounted in time'}")
            time.sleep(POLL_S)
        self._processes[mount.target] = process

    def _command(self, mount: Mount) -> list[str]:
        config = self._file(mount.target, CONFIG)
        return ["rclone", "mount", mount.source, mount.target, f"--config={config}", *mount.options]

    def _remember(self, mount: Mount) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for suffix, text in ((CONFIG, mount.config), (RECORD, json.dumps(asdict(mount)))):
            path = self._file(mount.target, suffix)
            path.touch(mode=0o600)
            path.write_text(text)

    def _file(self, target: str, suffix: str) -> Path:
        """One target holds one mount."""
        return self._folder / f"{hashlib.sha256(target.encode()).hexdigest()[:16]}{suffix}"


def is_mounted(target: str) -> bool:
    """Whether rclone is mounted exactly there."""
    rows = (line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(row[4] == target and FUSE in row for row in rows)


def detach(target: str) -> None:
    """Take away every mount at a place, dead ones too."""
    libc = ctypes.CDLL(None, use_errno=True)
    while is_mounted(target):
        if libc.umount2(target.encode(), DETACH) != 0:
            raise OSError(ctypes.get_errno(), f"umount {target}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """By itself once it is unmounted; asked, then killed, if not."""
    try:
        process.wait(STOPPED_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
