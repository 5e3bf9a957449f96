"""ONNX Runtime as an engine: the session, its provider, and arrays padded to the longest text of a batch.

The weights are mapped from their file, so pages that no text touches (most of the word table) cost no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from serving.config import Config
from serving.engine import Ids, Vectors
from serving.errors import ProviderMissing

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU_BATCH_TOKENS = 256  # larger batches fall out of the caches and only add padding
GPU_BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class OrtEngine:
    """One session. `session.run` may be called from several threads at once."""

    session: Any  # onnxruntime.InferenceSession, which has no types
    provider: str

    @property
    def batch_tokens(self) -> int:
        """By provider."""
        return CPU_BATCH_TOKENS if self.provider == CPU else GPU_BATCH_TOKENS

    @property
    def padding(self) -> float:
        """All of a padded batch is computed."""
        return 1.0

    def run(self, batch: Sequence[Ids], /) -> Vectors:
        """Unit vectors of a batch, padded to its own longest text only."""
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        vectors: Vectors = self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors


def open_engine(config: Config, graph: Path) -> OrtEngine:
    """The graph on the required provider, or on a CPU where that is allowed. Raises ProviderMissing."""
    session = _session(config, graph)
    provider: str = session.get_providers()[0]
    if provider != config.required_provider and not config.allow_cpu:
        raise ProviderMissing(
            f"{config.required_provider} is required, ONNX Runtime gave {provider} "
            f"(available: {', '.join(onnxruntime.get_available_providers())}); ALLOW_CPU=1 would serve degraded"
        )
    return OrtEngine(session, provider)


def _session(config: Config, graph: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning worker takes the core that the client or another stage needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(graph), options, providers=_providers(config))


def _providers(config: Config) -> list[Any]:
    """The required one first when this build has it; CPU always last, also for nodes the first one lacks."""
    wanted = config.required_provider
    if wanted == CPU or wanted not in onnxruntime.get_available_providers():
        return [CPU]
    if wanted == CUDA:
        onnxruntime.preload_dlls()  # the wheel's own CUDA libraries lie where no loader looks
    options = {"gpu_mem_limit": config.gpu_mem_limit_mib << 20, "arena_extend_strategy": "kSameAsRequested"}
    return [(wanted, options if wanted == CUDA else {}), CPU]
