"""A summarizer on the provider that the stage requires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.config import Config
from serving.errors import ProviderMissing
from serving.summarizer import folder, summarizer
from serving.summarizer.batch import Batch
from serving.summarizer.generation import Generation
from serving.summarizer.golden import prove


@dataclass(frozen=True, slots=True)
class SummaryModel:
    """May be shared by threads; a batch that it starts belongs to one."""

    summarizer: summarizer.Summarizer
    degraded: bool  # on a CPU although the stage requires something else

    @property
    def manifest(self) -> folder.Manifest:
        """What its folder says; the precision of its weights among it."""
        return self.summarizer.manifest

    @property
    def provider(self) -> str:
        """What really runs it."""
        return self.summarizer.engine.provider

    @property
    def settings(self) -> Generation:
        """How it is meant to be searched."""
        return self.summarizer.settings

    @property
    def golden(self) -> folder.Golden:
        """What was recorded of it."""
        return self.summarizer.golden

    def tokenize(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """Token ids of every text, and whether it was cut at the model's limit."""
        return self.summarizer.tokenize(texts)

    def text(self, ids: Sequence[int]) -> str:
        """The words of a summary."""
        return self.summarizer.text(ids)

    def start(self) -> Batch:
        """An empty batch."""
        return self.summarizer.start()

    def prove(self) -> float:
        """The largest change of a recorded log-probability, in nats. Raises GoldenMismatch."""
        made = self.summarizer
        return prove(made.engine, made.tokenizer, made.golden, made.manifest.precision)


SummaryLoad = Callable[[Config, Path], SummaryModel]


def load(config: Config, path: Path) -> SummaryModel:
    """Check the files, open the sessions. Raises ModelInvalid, ProviderMissing, or the runtime's own errors."""
    wanted = config.required_provider
    made = summarizer.load(path, provider=wanted, threads=config.summary_threads)
    found = made.engine.provider
    if found != wanted and not config.allow_cpu:
        raise ProviderMissing(f"{wanted} is required, ONNX Runtime gave {found}; ALLOW_CPU=1 would serve degraded")
    return SummaryModel(made, degraded=found != wanted)
