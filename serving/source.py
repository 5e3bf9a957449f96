"""Where a model comes from: a folder, and what changes when another one is to be served.

A source is asked again and again while the process serves, in a thread, and may take its time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.config import Config
from serving.manifest import MANIFEST, sha256

EMBEDDER, SUMMARIZER = "embedder", "summarizer"  # also the names that stand for them in a request, and in MLflow


@dataclass(frozen=True, slots=True)
class Found:
    """One model that can be loaded. digest: another one means another model, whatever its version is called."""

    folder: Path
    version: str
    digest: str


class Source(Protocol):
    """What says which model a process is to serve."""

    def current(self) -> Found:
        """The one of now; its folder stays as it is while the process lives. Raises SourceUnavailable."""
        ...


class Folder:
    """One folder, looked at once: what lies in it when the process starts is what it serves."""

    def __init__(self, folder: Path) -> None:
        """Whether there is a model in it is for the load to say."""
        manifest = folder / MANIFEST
        try:
            self._found = Found(folder, str(json.loads(manifest.read_bytes())["version"]), sha256(manifest))
        except (OSError, ValueError, LookupError, TypeError):
            self._found = Found(folder, "", "")

    def current(self) -> Found:
        """Always the same."""
        return self._found


@dataclass(frozen=True, slots=True)
class Sources:
    """Of every model that a process is to serve."""

    embedder: Source
    summarizer: Source | None = None


def folders(config: Config) -> Sources:
    """What the settings name, for the life of the process."""
    there = config.summarizer_dir
    return Sources(Folder(config.model_dir), Folder(there) if there is not None else None)
