"""Loop devices of the block store's sparse files. Runs in tandem's environment and inside nova alike."""

from __future__ import annotations

import json
from pathlib import Path

from provision import shell

DEADLINE_S = 20.0


def attach(image: Path) -> Path:
    """The loop device of a sparse file; the one it has, else a new one."""
    existing = find(image)
    if existing is not None:
        return existing
    found = shell.run(["losetup", "--find", "--show", image], deadline_s=DEADLINE_S)
    return Path(found.stdout.strip())


def find(image: Path) -> Path | None:
    """The loop device of a sparse file, if it has one."""
    found = shell.run(["losetup", "--json", "--list", "--output", "NAME", "--associated", image], deadline_s=DEADLINE_S)
    devices = json.loads(found.stdout)["loopdevices"] if found.stdout.strip() else []
    return Path(devices[0]["name"]) if devices else None


def detach(image: Path) -> None:
    """Free the loop device of a sparse file; silent if it has none."""
    device = find(image)
    if device is not None:
        shell.run(["losetup", "--detach", device], deadline_s=DEADLINE_S)


def list_below(folder: Path) -> list[str]:
    """Backing files below a folder that hold a loop device."""
    found = shell.run(["losetup", "--json", "--list", "--output", "BACK-FILE"], deadline_s=DEADLINE_S)
    devices = json.loads(found.stdout)["loopdevices"] if found.stdout.strip() else []
    backing = [device["back-file"] or "" for device in devices]
    return [file for file in backing if file.startswith(f"{folder}/")]
