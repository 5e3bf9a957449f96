"""How near a server's vectors come to fp32, and what they find: asked over HTTP, as a user would get them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import load, texts
from serving.gate import recall

AT_ONCE = 8  # texts in a request

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Quality:
    """Cosines to fp32, and the share of queries whose passage is among the first ten, here and in fp32."""

    cosine_mean: float
    cosine_min: float
    recall: float
    recall_fp32: float


def of(port: int, models: Path, limit: int) -> Quality:
    """Ask for the first `limit` judged passages, and their queries."""
    judged = texts.judged()
    wanted = json.loads((models / "quality.json").read_bytes())
    want_p, want_q = (_unit(np.asarray(wanted[part][:limit], np.float32)) for part in ("passages", "queries"))
    found_p, found_q = (_unit(_ask(port, part[:limit])) for part in (judged.passages, judged.queries))
    answers = judged.answers[:limit]
    near = np.concatenate([(found_p * want_p).sum(axis=1), (found_q * want_q).sum(axis=1)])
    return Quality(
        float(near.mean()),
        float(near.min()),
        recall(found_p, found_q, answers),
        recall(want_p, want_q, answers),
    )


def _ask(port: int, wanted: Sequence[str]) -> Vectors:
    rows: list[list[float]] = []
    for chunk in load.chunks(wanted, AT_ONCE):
        status, body = load.ask(port, "/embed", json.dumps({"texts": list(chunk)}).encode())
        if status != 200:
            raise load.ServerFailed(f"status {status} for {len(chunk)} texts")
        rows += json.loads(body)["embeddings"]
    return np.asarray(rows, np.float32)


def _unit(rows: Vectors) -> Vectors:
    """The original does not normalise; a search by cosine would."""
    unit: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
