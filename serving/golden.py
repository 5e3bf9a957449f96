"""Recorded vectors: the texts and the fp64 reference's answers that every load of a model is held against.

`golden.json` beside this file is the one of the published model in fp32, whose export writes the same file into its
folder; one of another precision records its own vectors.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from serving.errors import ModelInvalid

FILE = "golden.json"
GATE = 0.9999  # least cosine to a vector that the model itself records, in any precision


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class GoldenText(_Frozen):
    """One text and its reference vector (unit length)."""

    text: str
    vector: list[float]


class Golden(_Frozen):
    """Recorded vectors of one model version."""

    model: str
    version: str
    precision: str
    texts: list[GoldenText]


def load(folder: Path) -> Golden:
    """Raises ModelInvalid. An empty list is invalid: a check of nothing must not pass."""
    try:
        golden = Golden.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelInvalid(f"{folder / FILE} cannot be read as recorded vectors") from error
    if not golden.texts:
        raise ModelInvalid(f"{folder / FILE} records no vector")
    return golden


def cosine(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Cosine of the angle between two vectors, in fp64; not a number when one of them has no direction."""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    length = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / length if length else math.nan
