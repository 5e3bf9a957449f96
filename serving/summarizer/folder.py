"""The model folder of a summarizer: what lies in it, and whether its files are the ones that were written.

manifest.json   name, version, precision, search settings, what the gate found, the SHA-256 of every other file
encoder.onnx, decoder.onnx   the graphs      weights.data   their weights, mapped into memory, not copied
tokenizer.json  the tokenizer                golden.json    texts, this variant's summaries, their log-probabilities
SHA256SUMS      the same checksums for `sha256sum -c`
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import ModelInvalid
from serving.manifest import MANIFEST, SUMS, TOKENIZER, sha256
from serving.summarizer.generation import Generation

ENCODER = "encoder.onnx"
DECODER = "decoder.onnx"
WEIGHTS = "weights.data"
GOLDEN = "golden.json"

__all__ = ["DECODER", "ENCODER", "GOLDEN", "MANIFEST", "SUMS", "TOKENIZER", "WEIGHTS"]

T = TypeVar("T", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Gate(_Frozen):
    """How near a variant comes to the fp64 reference over the golden texts (1 is equal)."""

    cosine_mean: float  # of the centred logits at every step of its own summaries
    cosine_min: float
    exact: float  # share of summaries that are the reference's, token for token
    rouge_l: float  # mean F1 against the reference's summaries, over tokens


class Manifest(_Frozen):
    """What a model folder says of itself."""

    format: int = 1
    kind: Literal["summarizer"] = "summarizer"
    name: str
    version: str
    precision: Literal["fp32", "int8"]
    max_tokens: int  # of a source text
    generation: Generation
    opset: int
    source_sha256: str  # of the weights file it was made from
    gate: Gate
    files: dict[str, str]  # file name -> SHA-256


class GoldenText(_Frozen):
    """A text, the summary this variant gave for it, and the log-probability it gave every token of that."""

    text: str
    summary: list[int]
    log_probs: list[float]


class Golden(_Frozen):
    """Recorded summaries of one model version, and the settings they were searched with."""

    generation: Generation
    texts: list[GoldenText]


def load_manifest(folder: Path) -> Manifest:
    """Read and check every file against its checksum. Raises ModelInvalid naming the file."""
    manifest = _load(Manifest, folder / MANIFEST)
    for name, wanted in manifest.files.items():
        try:
            found = sha256(folder / name)
        except OSError as error:
            raise ModelInvalid(f"{folder / name} is in the manifest but cannot be read: {error.strerror}") from error
        if found != wanted:
            raise ModelInvalid(f"{folder / name} has SHA-256 {found[:12]}…, the manifest says {wanted[:12]}…")
    return manifest


def load_golden(folder: Path) -> Golden:
    """Raises ModelInvalid. An empty list is invalid: a check of nothing must not pass."""
    golden = _load(Golden, folder / GOLDEN)
    if not golden.texts:
        raise ModelInvalid(f"{folder / GOLDEN} records no summary")
    return golden


def _load(kind: type[T], path: Path) -> T:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelInvalid(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ModelInvalid(f"{path}: {error.error_count()} wrong or missing keys") from error
