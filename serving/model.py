"""One loaded model: what its folder says it is, its tokenizer, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tokenizers import Tokenizer

from serving import golden, manifest, ort, rowwise
from serving.config import Config
from serving.engine import Engine, Ids, Vectors
from serving.errors import ModelInvalid

CPU = ort.CPU

OpenEngine = Callable[[Config, Path], Engine]
ENGINES: dict[str, OpenEngine] = {  # by precision
    "fp32": ort.open_engine,
    "fp16": ort.open_engine,
    "int8": rowwise.open_engine,
}


class Encoded(NamedTuple):
    """One text as the model reads it, and whether it was cut at the model's limit."""

    ids: Ids
    was_cut: bool


@dataclass(frozen=True, slots=True)
class Model:
    """What answers a batch; may be asked from several threads at once."""

    manifest: manifest.Manifest
    golden: golden.Golden
    tokenizer: Tokenizer
    engine: Engine
    degraded: bool  # on a CPU although the stage requires something else

    @property
    def provider(self) -> str:
        """What really runs it."""
        return self.engine.provider

    def tokenize(self, texts: Sequence[str]) -> list[Encoded]:
        """Every text as token ids, special ones included."""
        # One text alone is not worth the tokenizer's threads.
        alone = len(texts) == 1
        found = [self.tokenizer.encode(texts[0])] if alone else self.tokenizer.encode_batch_fast(list(texts))
        return [Encoded(one.ids, bool(one.overflowing)) for one in found]

    def run(self, batch: Sequence[Ids]) -> Vectors:
        """Unit vectors of a batch: (texts, dimensions)."""
        return self.engine.run(batch)

    def batch_tokens(self, config: Config) -> int:
        """Tokens of a batch: what the settings say, else what suits the engine."""
        return config.batch_tokens or self.engine.batch_tokens


def load(config: Config, open_engine: OpenEngine | None = None) -> Model:
    """Check the files, open the engine (by the manifest's precision unless one is given).

    Raises ModelInvalid, ProviderMissing, or the runtime's own errors."""
    about = manifest.load(config.model_dir)
    recorded = golden.load(config.model_dir)
    engine = (open_engine or _engine_for(about.precision))(config, config.model_dir / manifest.GRAPH)
    tokenizer = Tokenizer.from_file(str(config.model_dir / manifest.TOKENIZER))
    return Model(about, recorded, tokenizer, engine, degraded=engine.provider != config.required_provider)


def _engine_for(precision: str) -> OpenEngine:
    if precision not in ENGINES:
        raise ModelInvalid(f"no engine here runs {precision}, only {', '.join(ENGINES)}")
    return ENGINES[precision]
