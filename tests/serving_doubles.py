"""A tiny BERT with seeded weights, and models that need no runtime: what the serving tests share."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from serving.engine import Ids, Vectors
from serving.golden import Golden, GoldenText
from serving.manifest import Manifest
from serving.model import Model

HIDDEN, INNER, LAYERS, HEADS, POSITIONS = 16, 32, 2, 4, 64
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "graph", "text", "the", "what", "we"]


def write_weights(folder: Path, seed: int = 7) -> Path:
    """A sentence-transformers folder with a random two-layer encoder."""
    rng = np.random.default_rng(seed)

    def tensor(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": tensor(len(WORDS), HIDDEN),
        "embeddings.position_embeddings.weight": tensor(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": tensor(2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
        shapes = {
            "attention.output.dense": (HIDDEN, HIDDEN),
            "intermediate.dense": (INNER, HIDDEN),
            "output.dense": (HIDDEN, INNER),
        }
        shapes |= {f"attention.self.{part}": (HIDDEN, HIDDEN) for part in ("query", "key", "value")}
        for name, shape in shapes.items():
            tensors[at + name + ".weight"], tensors[at + name + ".bias"] = tensor(*shape), tensor(shape[0])
    for name in norms:
        tensors[name + ".weight"], tensors[name + ".bias"] = 1 + tensor(HIDDEN), tensor(HIDDEN)
    (folder / "1_Pooling").mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "vocab_size": len(WORDS),
        "max_position_embeddings": POSITIONS,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "tokenizer.json").write_text(tokenizer().to_str())
    return folder


def tokenizer() -> Tokenizer:
    """WordPiece over single letters and a few words, with [CLS] and [SEP] as BERT has them."""
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(POSITIONS)
    return made


class FakeEngine:
    """Answers one-hot vectors: where the 1 stands is the number of tokens, modulo the width."""

    provider = "CPUExecutionProvider"
    batch_tokens = 256
    padding = 1.0

    def run(self, batch: Sequence[Ids], /) -> Vectors:
        """Without a runtime."""
        return np.eye(8, dtype=np.float32)[[len(ids) % 8 for ids in batch]]


class GatedEngine(FakeEngine):
    """Runs one batch each time it is let; warming up and proving pass by themselves. Remembers the batches."""

    def __init__(self, batch_tokens: int = 256) -> None:
        self.batch_tokens = batch_tokens
        self.batches: list[list[int]] = []
        self.is_gated = False
        self._open = threading.Semaphore(0)
        self._entered = threading.Semaphore(0)

    def run(self, batch: Sequence[Ids], /) -> Vectors:
        """Waits to be let."""
        if self.is_gated:
            self.batches.append(lengths(batch))
            self._entered.release()
            assert self._open.acquire(timeout=10), "nobody let this batch run"
        return super().run(batch)

    def let(self, batches: int = 1) -> None:
        """So many more may run."""
        self._open.release(batches)

    async def entered(self, batches: int = 1) -> None:
        """Until so many more have come to the gate."""
        for _ in range(batches):
            assert await asyncio.to_thread(self._entered.acquire, True, 10), "no batch came"


def fake_model(
    *,
    degraded: bool = False,
    golden: Sequence[float] | None = None,
    engine: FakeEngine | None = None,
    version: str = "1",
) -> Model:
    """A model without a runtime; "the" is three tokens long."""
    about = Manifest(
        name="fake",
        version=version,
        precision="fp32",
        dimensions=8,
        max_tokens=POSITIONS,
        opset=17,
        source_sha256="",
        files={},
    )
    recorded = GoldenText(text="the", vector=list(golden) if golden else [float(n == 3) for n in range(8)])
    return Model(
        about,
        Golden(model="fake", version="1", precision="fp32", texts=[recorded]),
        tokenizer(),
        engine or FakeEngine(),
        degraded,
    )


def lengths(batch: Sequence[Ids]) -> list[int]:
    """Tokens of each text of a batch."""
    return [len(ids) for ids in batch]
