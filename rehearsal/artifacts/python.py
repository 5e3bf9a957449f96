"""Layers from Python: packages of a hash-pinned lock, and what a build-time program makes (the exported model)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from provision import shell
from provision.errors import ToolMissing
from rehearsal.artifacts.debian import compile_python
from rehearsal.artifacts.layers import Entry, walk
from rehearsal.artifacts.lock import Layer, sources

INSTALL_S = 900
EXPORT_S = 1800  # a toy is trained too, and two cores may be busy
PLATFORM = "x86_64-manylinux_2_36"  # the glibc of bookworm, which the images have


def packages(layer: Layer, root: Path, tree: Path, log: Path) -> Iterator[Entry]:
    """Install a lock into a folder. The lock is complete, so dependencies are not looked at."""
    shell.run(
        [
            _uv(),
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "--python-version",
            "3.11",
            "--python-platform",
            PLATFORM,
            "--link-mode",
            "copy",
            "--target",
            tree / layer.into,
            "-r",
            root / layer.requirements,
        ],
        deadline_s=INSTALL_S,
        log=log,
        heartbeat=f"installing {layer.requirements}",
    )
    compile_python(tree, tree / layer.into, log)
    return (entry for entry in walk(tree) if not any(fnmatch(entry.path, glob) for glob in layer.drop))


def export(layer: Layer, root: Path, tree: Path, scratch: Path, log: Path) -> Iterator[Entry]:
    """Run `python -m <module> <args> --out <folder>` in a venv of its own and take what it writes."""
    venv = scratch / "venv"
    shell.run([_uv(), "venv", "-q", "--python", sys.executable, venv], deadline_s=120, log=log)
    shell.run(
        [
            _uv(),
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--require-hashes",
            "--python",
            venv / "bin" / "python",
            "-r",
            root / layer.requirements,
        ],
        deadline_s=INSTALL_S,
        log=log,
        heartbeat=f"installing {layer.requirements}",
    )
    out = tree / layer.into
    out.mkdir(parents=True)
    shell.run(
        [venv / "bin" / "python", "-m", layer.module, *layer.args, "--out", out],
        deadline_s=EXPORT_S,
        cwd=scratch,
        log=log,
        env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        heartbeat=f"running {layer.module}",
    )
    return walk(tree)


def code(layer: Layer, root: Path, tree: Path, log: Path) -> Iterator[Entry]:
    """Files of this checkout, with byte code beside them."""
    for name in sources(root / layer.source, layer.pattern):
        target = tree / layer.into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / layer.source / name).read_bytes())
        target.chmod(0o644)
    compile_python(tree, tree / layer.into, log)
    return walk(tree)


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    found = beside if beside.exists() else shell.find("uv")
    if found is None:
        raise ToolMissing("uv: neither in this venv nor on this machine", next="./tandem invoke doctor")
    return found
