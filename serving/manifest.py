"""The model folder: what lies in it, what it is called, and whether its files are the ones that were written.

manifest.json   name, version, precision, sizes and the SHA-256 of every other file
model.onnx      the graph            model.onnx.data   its weights, mapped into memory, not copied
tokenizer.json  the tokenizer        golden.json       texts and the fp64 reference's vectors for them
SHA256SUMS      the same checksums for `sha256sum -c`
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import ModelInvalid

MANIFEST = "manifest.json"
GRAPH = "model.onnx"
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"
SUMS = "SHA256SUMS"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Gate(_Frozen):
    """What a rounded variant reached when it was made; cosines to fp32 over the labelled set of `passages`."""

    cosine_mean: float
    cosine_min: float
    recall_fp32: float  # share of queries whose passage is among the first ten
    recall: float
    mates_cosine_min: float  # between a text alone and the same text among others


class Manifest(_Frozen):
    """What a model folder says of itself."""

    format: int = 1
    name: str
    version: str
    precision: str
    dimensions: int
    max_tokens: int
    opset: int
    source_sha256: str  # of the weights file it was made from
    gate: Gate | None = None  # of a rounded variant; fp32 is judged by the fp64 reference alone
    files: dict[str, str]  # file name -> SHA-256


def load(folder: Path) -> Manifest:
    """Read and check every file against its checksum. Raises ModelInvalid naming the file."""
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise ModelInvalid(f"no model in {folder}: {error.strerror}: {error.filename}") from error
    except ValidationError as error:
        raise ModelInvalid(f"{folder / MANIFEST}: {error.error_count()} wrong or missing keys") from error
    for name, wanted in manifest.files.items():
        _require(folder / name, wanted)
    return manifest


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require(path: Path, wanted: str) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise ModelInvalid(f"{path} is in the manifest but cannot be read: {error.strerror}") from error
    if found != wanted:
        raise ModelInvalid(f"{path} has SHA-256 {found[:12]}…, the manifest says {wanted[:12]}…")
