"""The service itself with both models in one process, as a stage runs them; the summarizer has random weights of
distilbart's shape, and reads every word as some token: how long a summary takes does not depend on what it says."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from serving import wire
from serving.app import create_app
from serving.config import Config, from_env
from serving.memory import settle
from serving.metrics import Metrics
from serving.service import Service
from serving.summaries import routes
from serving.summarizer import batch, engine
from serving.summarizer.folder import Gate, Golden, GoldenText, Manifest
from serving.summarizer.generation import Generation

TOKENS, NEW, LEAST_WORD = 256, 48, 5
FOLDER = Path(sys.argv[2])
SEARCH = Generation.exactly(NEW)
ABOUT = Manifest(
    name="random-distilbart",
    version="0",
    precision="int8",
    max_tokens=TOKENS,
    generation=SEARCH,
    opset=0,
    source_sha256="",
    gate=Gate(cosine_mean=0.0, cosine_min=0.0, exact=0.0, rouge_l=0.0),
    files={},
)

NOTHING = Golden(generation=SEARCH, texts=[GoldenText(text="a word", summary=[], log_probs=[])])


@dataclass(frozen=True, slots=True)
class Random:
    """A summarizer without a tokenizer, of which nothing is recorded."""

    engine: engine.Engine
    manifest: Manifest = ABOUT
    golden: Golden = NOTHING
    degraded: bool = False

    @property
    def provider(self) -> str:
        """What really runs it."""
        return self.engine.provider

    def tokenize(self, texts: Sequence[str]) -> Sequence[tuple[list[int], bool]]:
        """A token a word, however long the text: always as many as summaries are measured with."""
        return [(self._ids(text.split() or [text]), False) for text in texts]

    def text(self, ids: Sequence[int]) -> str:
        """The numbers."""
        return " ".join(map(str, ids))

    def start(self) -> batch.Batch:
        """An empty batch."""
        return batch.Batch(self.engine, SEARCH.num_beams)

    def prove(self) -> float:
        """Nothing is recorded."""
        return 0.0

    def _ids(self, words: Sequence[str]) -> list[int]:
        span = self.engine.vocabulary - LEAST_WORD
        return [LEAST_WORD + zlib.crc32(words[at % len(words)].encode()) % span for at in range(TOKENS)]


def load(config: Config, path: Path) -> Random:
    """The graphs; there is no manifest to check them against."""
    return Random(engine.load(path, threads=config.summary_threads))


config = from_env({**os.environ, "MODEL_DIR": str(FOLDER / "ours"), "SUMMARIZER_DIR": str(FOLDER / "bart-ours")})
service = Service(config, Metrics(config.stage), load_summarizer=load)
app = create_app(service, routers=routes.routers(service), schemas=routes.SCHEMAS)
settle()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), http=wire.NAME, access_log=False, log_level="warning")
