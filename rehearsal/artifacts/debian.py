"""Layers from Debian packages: unpacked, not installed, so that an image holds files and no package manager.

mmdebstrap resolves dependencies and checks Debian's signatures; maintainer scripts do not run, so what they would have
done (links, users) is written in the lock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from provision import shell
from provision.errors import PreconditionMissing
from rehearsal.artifacts.layers import Entry, merge_usr, select, walk
from rehearsal.artifacts.lock import Layer

UNPACK_S = 600
PACKAGES = "packages.list"
USERS = {"root": 0, "nobody": 65534}


def entries(layer: Layer, tree: Path, log: Path) -> Iterator[Entry]:
    """Everything of a layer; `tree` is an empty folder that takes the unpacked packages."""
    unpack(layer, tree, log)
    if layer.compile:
        compile_python(tree, tree / layer.compile, log)
    appended = {entry.path: entry for entry in _appended(layer, tree)}
    for entry in select(merge_usr(walk(tree)), layer.keep, layer.drop):
        if entry.path not in {*layer.links, *appended, PACKAGES}:
            yield replace(entry, mode=entry.mode & 0o1777)  # no set-user-id program belongs in these images
    yield from appended.values()
    for path, target in layer.links.items():
        yield Entry(path, 0o777, target=target)
    yield from _applets(layer, tree)
    yield Entry(f"usr/share/tandem/{layer.name}.packages", 0o644, data=versions(tree).encode())
    yield from identity(layer.users)


def unpack(layer: Layer, tree: Path, log: Path) -> None:
    """Fetch and unpack the packages with what they depend on."""
    shell.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=extract",
            "--format=directory",
            f"--include={','.join(layer.packages)}",
            "--aptopt=Apt::Install-Recommends false",
            f'--extract-hook=ls "$1"/var/cache/apt/archives > "$1"/{PACKAGES}',
            layer.suite,
            tree,
            *sources(layer.suite),
        ],
        deadline_s=UNPACK_S,
        log=log,
        env={"SOURCE_DATE_EPOCH": "0"},
        heartbeat=f"unpacking Debian packages for {layer.name}",
    )


def versions(tree: Path) -> str:
    """`name version` a line: the Debian packages that went in."""
    debs = [name.split("_") for name in (tree / PACKAGES).read_text().split() if name.endswith(".deb")]
    return "".join(f"{name} {version.replace('%3a', ':')}\n" for name, version, _ in sorted(debs))


def sources(suite: str) -> list[str]:
    """`deb` lines for a suite, from the mirrors this machine already uses."""
    found = shell.run(
        ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
        deadline_s=30,
    )
    return deb_lines(suite, found.stdout)


def deb_lines(suite: str, targets: str) -> list[str]:
    """From `label|address` lines: the archive, its updates, and the security archive where the machine has one."""
    by_label = dict(line.split("|", 1) for line in targets.splitlines() if "|" in line)
    archive = by_label.get("Debian")
    if archive is None:
        raise PreconditionMissing(
            "apt: no Debian archive configured",
            why="images are made of Debian packages",
            next="add Debian's archive to /etc/apt/sources.list.d, apt-get update, then run again",
        )
    lines = [f"deb {archive} {suite} main", f"deb {archive} {suite}-updates main"]
    if security := by_label.get("Debian-Security"):
        lines.append(f"deb {security} {suite}-security main")
    return lines


def compile_python(root: Path, folder: Path, log: Path) -> None:
    """Byte-compile for a root that is read-only at run time; by hash, so that times do not matter.

    Our interpreter and the image's are both Python 3.11, which share one byte-code format.
    """
    shell.run(
        [
            sys.executable,
            "-m",
            "compileall",
            "-q",
            "-j",
            "0",
            "-s",
            str(root),
            "-p",
            "/",
            "--invalidation-mode",
            "unchecked-hash",
            folder,
        ],
        deadline_s=300,
        ok=(0, 1),
        log=log,
        heartbeat="compiling Python",  # 1: a file for another Python version, by design
    )


def identity(users: dict[str, int]) -> list[Entry]:
    """/etc/passwd and friends, /tmp, and no more."""
    everyone = {**USERS, **users}
    passwd = "".join(f"{name}:x:{uid}:{uid}::/{'root' if uid == 0 else ''}:/bin/sh\n" for name, uid in everyone.items())
    group = "".join(f"{name}:x:{uid}:\n" for name, uid in everyone.items())
    return [
        Entry("etc/passwd", 0o644, data=passwd.encode()),
        Entry("etc/group", 0o644, data=group.encode()),
        Entry("etc/nsswitch.conf", 0o644, data=b"passwd: files\ngroup: files\nhosts: files dns\n"),
        Entry("tmp", 0o1777),
        Entry("root", 0o700),
    ]


def _appended(layer: Layer, tree: Path) -> Iterator[Entry]:
    for path, text in layer.append.items():
        yield Entry(path, 0o644, data=(tree / path).read_bytes() + text.encode())


def _applets(layer: Layer, tree: Path) -> Iterator[Entry]:
    if not layer.applets:
        return
    binary = next(path for path in (tree / layer.applets, tree / layer.applets.removeprefix("usr/")) if path.exists())
    for name in shell.run([binary, "--list"], deadline_s=10).stdout.split():
        if name != "busybox":
            yield Entry(f"usr/bin/{name}", 0o777, target="busybox")
