"""Every binary of the lock: from the cache, else from its vendor, else built. One line is said for each."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from rehearsal.artifacts import golang, vendor
from rehearsal.artifacts.layers import Entry, write
from rehearsal.artifacts.lock import Lock, Served, digest_of, file_hash
from rehearsal.artifacts.store import Row, Store, write_atomic

TOOLS = ("helm", "sops", "kubectl", "kubeadm", "promtool")


def resolve(lock: Lock, store: Store, log_dir: Path) -> tuple[Row, ...]:
    """All of them; what is there already costs a stat."""
    missing = [name for name in lock.commands if not store.has_binary(lock, name)]
    new = {row.name: row for row in vendor.fetch(lock, store, missing)}
    new |= {row.name: row for row in golang.build(lock, store, [name for name in missing if name not in new], log_dir)}
    return tuple(new.get(name) or store.binary_row(lock, name) for name in lock.commands)


def serve_files(lock: Lock, store: Store) -> Path:
    """The folder the file server shows: paths as the vendors have them, and SHA256SUMS. Returns it."""
    key = lock_key(lock)
    folder = store.root / "files" / key
    if (folder / "SHA256SUMS").exists():
        return folder
    for name in {served.module for served in lock.file if served.module}:
        golang.members(lock, store, name, [served.member for served in lock.file if served.module == name])
    sums = []
    for served in lock.file:
        target = folder / served.path
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(lock, store, served, target)
        sums.append(f"{file_hash(target)}  {served.path}\n")
    write_atomic(folder / "SHA256SUMS", "".join(sums))
    return folder


def link_tools(lock: Lock, store: Store) -> None:
    """Stable names for what tandem itself runs on this machine."""
    tools = tools_dir(store.root)
    tools.mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        part = tools / f".{name}.part"
        part.unlink(missing_ok=True)
        part.symlink_to(store.binary(lock, name))
        part.rename(tools / name)


def tools_dir(cache: Path) -> Path:
    """Where helm, sops, kubectl and kubeadm can be called from."""
    return cache / "tools"


def lock_key(lock: Lock) -> str:
    """Names the served folder: two checkouts with different pins do not disturb each other."""
    return digest_of(
        [[served.model_dump(), [lock.command_key(name) for name in served.commands]] for served in lock.file]
    )


def _place(lock: Lock, store: Store, served: Served, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    if served.module:
        shutil.copyfile(golang.members(lock, store, served.module, [served.member])[served.member], part)
    elif served.path.endswith(".tgz"):
        _pack(lock, store, served, part)
    else:
        shutil.copyfile(store.binary(lock, served.commands[0]), part)
    part.rename(target)


def _pack(lock: Lock, store: Store, served: Served, part: Path) -> None:
    entries = [Entry(name, 0o755, source=store.binary(lock, name)) for name in served.commands]
    with tarfile.open(part, "w:gz", compresslevel=1) as archive:
        write(entries, archive)
