"""Layers as reproducible tar files: sorted, fixed times and owners, so the same inputs give the same digest everywhere.

Layers are not compressed: the way from the registry to the hosts is memory, and two cores have better things to do.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

MERGED = ("bin", "lib", "lib64", "sbin")  # links into usr/ since Debian 12
NOISE = (
    *("usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/lintian/*"),
    *("usr/share/bug/*", "usr/share/bash-completion/*", "usr/share/icons/*", "usr/share/pixmaps/*", "usr/share/i18n/*"),
    *("usr/share/applications/*", "usr/share/nodejs/*", "usr/share/dpkg/*", "usr/share/debconf/*", "usr/include/*"),
    *("usr/share/perl*/*", "usr/bin/perl*", "usr/lib/*/perl*/*", "usr/lib/*/libperl*", "usr/lib/*/gconv/*"),
    *(
        "usr/bin/dpkg*",
        "usr/sbin/dpkg*",
        "usr/lib/dpkg/*",
        "usr/lib/systemd/*",
        "usr/lib/*/libdb-*",
        "usr/sbin/adduser",
    ),
    *("var/cache/*", "var/log/*", "var/lib/apt/*", "var/lib/dpkg/*", "etc/apt/*", "etc/init.d/*", "etc/cron*"),
    *("tmp/*", "dev/*"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer. path: without a leading slash. One of source, data, target (a link) or none (a folder)."""

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    source: Path | None = None
    data: bytes | None = None
    target: str = ""

    @property
    def is_folder(self) -> bool:
        """Neither a file nor a link."""
        return self.source is None and self.data is None and not self.target


class HashedFile(io.FileIO):
    """A file that knows its sha256 and size when it has been written, from front to back."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w")
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: ReadableBuffer, /) -> int:
        """Written through."""
        self._hash.update(data)
        written = super().write(data)
        self.size += written
        return written

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"


def pack(entries: Iterable[Entry], target: Path) -> tuple[str, int]:
    """Write one layer; returns its digest and size."""
    with HashedFile(target) as stream:
        with tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            write(entries, archive)
        os.fsync(stream.fileno())  # on the disk before anything refers to it
        return stream.digest, stream.size


def write(entries: Iterable[Entry], archive: tarfile.TarFile) -> None:
    """Put entries into an open tar, parents first, everything in name order."""
    for entry in sorted(with_parents(entries), key=lambda each: each.path):
        info = _header(entry)
        with _content(entry) as content:
            archive.addfile(info, content if info.isreg() else None)


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """Add the folders above that nobody listed. A path listed twice: the later entry wins."""
    known = {entry.path: entry for entry in entries}
    for path in list(known):
        for parent in Path(path).parents:
            if str(parent) != ".":
                known.setdefault(str(parent), Entry(str(parent), 0o755))
    return list(known.values())


def walk(root: Path, into: str = "") -> Iterator[Entry]:
    """Everything below a folder: files, links, folders; sockets and devices are left out."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            entry = _seen(path, str(Path(into) / path.relative_to(root)))
            if entry is not None:
                yield entry


def merge_usr(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Move bin/, lib/, lib64/ and sbin/ under usr/ and leave links, as an installed Debian has them."""
    for entry in entries:
        first, _, rest = entry.path.partition("/")
        if first not in MERGED:
            yield entry
        elif rest:
            yield replace(entry, path=f"usr/{entry.path}")
    for name in MERGED:
        yield Entry(name, 0o777, target=f"usr/{name}")
        yield Entry(f"usr/{name}", 0o755)


def select(entries: Iterable[Entry], keep: Iterable[str], drop: Iterable[str]) -> Iterator[Entry]:
    """Only what `keep` names (everything when empty), without what `drop` names or nobody needs in an image."""
    keep, drop = tuple(keep), (*drop, *NOISE)
    for entry in entries:
        kept = not keep or any(fnmatch(entry.path, glob) for glob in keep) or entry.path in MERGED
        is_licence = fnmatch(entry.path, "usr/share/doc/*/copyright") and not keep
        if is_licence or (kept and not any(fnmatch(entry.path, glob) for glob in drop)):
            yield entry


def _seen(path: Path, name: str) -> Entry | None:
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(found.st_mode):
        return Entry(name, 0o777, found.st_uid, found.st_gid, target=str(path.readlink()))
    if stat.S_ISDIR(found.st_mode):
        return Entry(name, mode, found.st_uid, found.st_gid)
    if stat.S_ISREG(found.st_mode):
        return Entry(name, mode, found.st_uid, found.st_gid, source=path)
    return None


def _header(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.uid, entry.gid, 0
    if entry.target:
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    elif entry.is_folder:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(entry.data) if entry.data is not None else entry.source.stat().st_size if entry.source else 0
    return info


def _content(entry: Entry) -> IO[bytes]:
    return entry.source.open("rb") if entry.source is not None else io.BytesIO(entry.data or b"")
