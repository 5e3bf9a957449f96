"""What a registered version says that its vectors are, read from its own files.

Like `golden`, for the machine that promotes, which has neither numpy nor the model.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelInvalid
from serving.manifest import MANIFEST
from serving.registry import DIGEST
from serving.tracking import Tracking, Version

FILE = "golden.json"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One text, and the vector that a version records for it."""

    text: str
    vector: Sequence[float]


def read(mlflow: Tracking, version: Version) -> Sequence[Recorded]:
    """All of them. Raises TrackingFailed, or ModelInvalid when the files are not those that were registered.

    Also when they record nothing: a check of nothing must not pass."""
    about = _file(mlflow, version, MANIFEST)
    try:
        _require(version, MANIFEST, about, version.tags[DIGEST])
        golden = _file(mlflow, version, FILE)
        _require(version, FILE, golden, json.loads(about)["files"][FILE])
        found = [Recorded(str(row["text"]), [float(x) for x in row["vector"]]) for row in json.loads(golden)["texts"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ModelInvalid(f"{version.model} {version.number}: {FILE} cannot be read as recorded vectors") from error
    if not found:
        raise ModelInvalid(f"{version.model} {version.number}: {FILE} records no vector")
    return found


def _file(mlflow: Tracking, version: Version, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        mlflow.download(version.source, name, Path(folder, name))
        return Path(folder, name).read_bytes()


def _require(version: Version, name: str, content: bytes, wanted: str) -> None:
    if hashlib.sha256(content).hexdigest() != wanted:
        raise ModelInvalid(f"{version.model} {version.number}: {name} is not the one that was registered")
