"""Models kept on disk by what they contain, and which of them each alias last named.

<root>/<model>/<digest>/          one model folder; digest: SHA-256 of its manifest, which has those of all other files
<root>/<model>/aliases/<alias>    the digest that the alias last named
A folder is whole or not there: it is filled beside its place, checked, and moved in one step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from serving.errors import ModelInvalid
from serving.manifest import MANIFEST, sha256

DIGEST = re.compile("[0-9a-f]{64}")
NAME = re.compile("[A-Za-z0-9._-]+")
Fetch = Callable[[str, Path], None]  # name of a file, where to write it


class Store:
    """One model's part of the cache. keep: so many folders stay, those last used."""

    def __init__(self, root: Path, model: str, keep: int) -> None:
        self._at = root / model
        self._keep = keep
        self._sound: set[str] = set()  # checked since this process started

    def find(self, digest: str) -> Path | None:
        """The folder of a digest; one that is there and damaged is removed."""
        folder = self._at / digest
        if digest not in self._sound and folder.is_dir():
            try:
                check(folder, digest)
            except ModelInvalid:
                shutil.rmtree(folder)
                return None
            self._sound.add(digest)
        return folder if digest in self._sound and folder.is_dir() else None

    def fill(self, digest: str, fetch: Fetch) -> Path:
        """The folder of a digest, fetched file by file. Raises ModelInvalid for a checksum, and what `fetch` raised."""
        if not DIGEST.fullmatch(digest):
            raise ModelInvalid(f"a version's digest is to be a SHA-256, not {digest[:80]!r}")
        part = self._at / f".{digest}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            fetch(MANIFEST, part / MANIFEST)
            _match(part / MANIFEST, digest)
            for name in _files(part):
                fetch(name, part / name)
            check(part, digest)
            shutil.rmtree(self._at / digest, ignore_errors=True)
            part.rename(self._at / digest)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        self._sound.add(digest)
        return self._at / digest

    def remember(self, alias: str, digest: str) -> None:
        """What an alias names, for a start without MLflow; then the oldest folders beyond `keep` go."""
        place = self._alias(alias)
        if place.is_file() and place.read_text() == digest:
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.{os.getpid()}")
        part.write_text(digest)
        part.rename(place)
        os.utime(self._at / digest)
        self._prune()

    def last(self, alias: str) -> Path | None:
        """The folder that an alias last named, if it is still there and sound."""
        place = self._alias(alias)
        digest = place.read_text() if place.is_file() else ""
        return self.find(digest) if DIGEST.fullmatch(digest) else None

    def _prune(self) -> None:
        named = {place.read_text() for place in (self._at / "aliases").iterdir() if not place.name.startswith(".")}
        folders = [one for one in self._at.iterdir() if DIGEST.fullmatch(one.name)]
        newest = sorted(folders, key=lambda one: one.stat().st_mtime, reverse=True)
        for old in newest[self._keep :]:
            if old.name not in named:
                self._sound.discard(old.name)
                shutil.rmtree(old)

    def _alias(self, alias: str) -> Path:
        return self._at / "aliases" / alias


def check(folder: Path, digest: str) -> None:
    """Every file against the manifest, and that against the digest. Raises ModelInvalid naming the file."""
    _match(folder / MANIFEST, digest)
    for name, wanted in _files(folder).items():
        _match(folder / name, wanted)


def _files(folder: Path) -> Mapping[str, str]:
    """File -> SHA-256, as the manifest has it. A name must not lead out of the folder."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelInvalid(f"{folder.name}/{MANIFEST} lists no files") from error
    for name in files:
        if not NAME.fullmatch(name) or name in {MANIFEST, ".", ".."}:
            raise ModelInvalid(f"{MANIFEST} lists {name!r}, which is no name of a file")
    return {str(name): str(digest) for name, digest in files.items()}


def _match(path: Path, wanted: str) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise ModelInvalid(f"{path.name} cannot be read: {error.strerror}") from error
    if found != wanted:
        raise ModelInvalid(f"{path.name} has SHA-256 {found[:12]}…, expected {wanted[:12]}…")
