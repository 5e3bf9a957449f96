"""The int8 engine: ONNX Runtime on a CPU, every row of every product rounded by its own largest value.

Chosen from two short runs with MiniLM-L6 on two cores with AVX512-VNNI and AMX, while the machine had other work:
times fp32's speed with one thread (a text of 200 tokens; 21 queries of 10), the worst cosine between a text alone and
the same text among others, and the mean cosine to fp32. This graph was in the second run only, OpenVINO in the first
only and with fewer batches of mixed lengths, CTranslate2 in both:

    engine                                   abstract    queries    alone/among  to fp32
    ONNX Runtime, this graph                 2.3         2.6        1.0000       0.9975
    CTranslate2 4.8.5, int8                  2.1 - 2.5   2.1 - 3.1  0.9978       0.9973
    OpenVINO 2026.4.1, the same rounding     2.4         2.3        0.9993       0.9975

Not run again, from earlier figures: dynamic int8 per tensor (ONNX Runtime) 0.984 among others, and static int8
(OpenVINO) 0.9946 to fp32, which is at the gate's edge. What each costs behind HTTP is in `docs/bench`.

The first is the only one that gives the same vector whatever else is in the batch. It has to be the same to the last
bits: a difference of 1e-7 moves a value over a rounding edge, and six layers later the cosine is 0.998. So the path
that a text takes may depend on its own length only. It also adds nothing to the image (CTranslate2: 146 MB, OpenVINO:
178 MB) and 56 MB to the process (CTranslate2: 49 MB, OpenVINO: 201 MB).

Without VNNI the runtime's product of bytes saturates; the recorded vectors then differ and the model is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving import ort
from serving.config import Config
from serving.engine import Ids, Vectors
from serving.errors import ProviderMissing

ALONE_TOKENS = 48  # a longer text runs alone: no padding, so the faster attention without a mask serves
PADDING = 1 / 8  # of a real token: from 1/20 to 1/7 in one short run with batches of 22 queries


@dataclass(frozen=True, slots=True)
class RowwiseEngine:
    """One session whose graph was made by `quantise`."""

    inner: ort.OrtEngine

    @property
    def provider(self) -> str:
        """Always a CPU."""
        return self.inner.provider

    @property
    def batch_tokens(self) -> int:
        """As in fp32: the working set of a batch has to stay in a core's own cache."""
        return self.inner.batch_tokens

    @property
    def padding(self) -> float:
        """Padding is in attention only (see `quantise`)."""
        return PADDING

    def run(self, batch: Sequence[Ids], /) -> Vectors:
        """Unit vectors of a batch: long texts one by one, short ones together."""
        short = [row for row, ids in enumerate(batch) if len(ids) <= ALONE_TOKENS]
        if len(short) == len(batch) or len(batch) == 1:
            return self.inner.run(batch)
        groups = [[row] for row, ids in enumerate(batch) if len(ids) > ALONE_TOKENS] + ([short] if short else [])
        parts = [self.inner.run([batch[row] for row in group]) for group in groups]
        vectors = np.empty((len(batch), parts[0].shape[1]), np.float32)
        for group, part in zip(groups, parts, strict=True):
            vectors[group] = part
        return vectors


def open_engine(config: Config, graph: Path) -> RowwiseEngine:
    """On a CPU, whatever else is there. Raises ProviderMissing where a stage requires something else."""
    if config.required_provider != ort.CPU and not config.allow_cpu:
        raise ProviderMissing(
            f"{config.required_provider} is required, an int8 model runs on {ort.CPU} only; ALLOW_CPU=1 would serve it"
        )
    return RowwiseEngine(ort.open_engine(config.model_copy(update={"required_provider": ort.CPU}), graph))
