"""One loaded model: tokenizer and ONNX Runtime session, with the provider that really runs it.

The weights are mapped from their file, so pages that no text touches (most of the word table) cost no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from serving import golden, manifest
from serving.config import Config
from serving.errors import ProviderMissing

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU_BATCH_TOKENS = 256  # larger batches fall out of the caches and only add padding
GPU_BATCH_TOKENS = 16_384

Ids = Sequence[int]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Model:
    """What answers a batch. `session.run` may be called from several threads at once."""

    manifest: manifest.Manifest
    golden: golden.Golden
    tokenizer: Tokenizer
    session: Any  # onnxruntime.InferenceSession, which has no types
    provider: str
    degraded: bool  # on a CPU although the stage requires something else

    def tokenize(self, texts: Sequence[str]) -> list[tuple[Ids, bool]]:
        """Token ids of every text, and whether it was cut at the model's limit."""
        return [(encoding.ids, bool(encoding.overflowing)) for encoding in self.tokenizer.encode_batch(list(texts))]

    def run(self, batch: Sequence[Ids]) -> Vectors:
        """Unit vectors of a batch, padded to its own longest text only."""
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(batch):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        vectors: Vectors = self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors

    def batch_tokens(self, config: Config) -> int:
        """Padded tokens of a batch: what the settings say, else what suits the provider."""
        return config.batch_tokens or (CPU_BATCH_TOKENS if self.provider == CPU else GPU_BATCH_TOKENS)


def load(config: Config) -> Model:
    """Check the files, make the session. Raises ModelInvalid, ProviderMissing, or the runtime's own errors."""
    about = manifest.load(config.model_dir)
    recorded = golden.load(config.model_dir)
    session = _session(config)
    provider: str = session.get_providers()[0]
    degraded = provider != config.required_provider
    if degraded and not config.allow_cpu:
        raise ProviderMissing(
            f"{config.required_provider} is required, ONNX Runtime gave {provider} "
            f"(available: {', '.join(onnxruntime.get_available_providers())}); ALLOW_CPU=1 would serve degraded"
        )
    tokenizer = Tokenizer.from_file(str(config.model_dir / manifest.TOKENIZER))
    return Model(about, recorded, tokenizer, session, provider, degraded)


def _session(config: Config) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning worker takes the core that the client or another stage needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(config.model_dir / manifest.GRAPH), options, providers=_providers(config))


def _providers(config: Config) -> list[Any]:
    """The required one first when this build has it; CPU always last, also for nodes the first one lacks."""
    wanted = config.required_provider
    if wanted == CPU or wanted not in onnxruntime.get_available_providers():
        return [CPU]
    if wanted == CUDA:
        onnxruntime.preload_dlls()  # the wheel's own CUDA libraries lie where no loader looks
    options = {"gpu_mem_limit": config.gpu_mem_limit_mib << 20, "arena_extend_strategy": "kSameAsRequested"}
    return [(wanted, options if wanted == CUDA else {}), CPU]
