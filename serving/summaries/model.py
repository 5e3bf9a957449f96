"""A summarizer, as the service sees it, and the real one on the provider that the stage requires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.config import Config
from serving.errors import ProviderMissing
from serving.summaries.pool import Steps
from serving.summarizer import folder, summarizer
from serving.summarizer.golden import prove

Read = Sequence[tuple[list[int], bool]]  # of every text its token ids, and whether it was cut at the model's limit


class SummaryModel(Protocol):
    """May be shared by threads; a batch that it starts belongs to one."""

    @property
    def manifest(self) -> folder.Manifest:
        """What its folder says; the precision of its weights among it."""
        ...

    @property
    def golden(self) -> folder.Golden:
        """What was recorded of it."""
        ...

    @property
    def provider(self) -> str:
        """What really runs it."""
        ...

    @property
    def degraded(self) -> bool:
        """Whether that is a CPU although the stage requires something else."""
        ...

    def tokenize(self, texts: Sequence[str], /) -> Read:
        """Every text as the model reads it."""
        ...

    def text(self, ids: Sequence[int], /) -> str:
        """The words of a summary."""
        ...

    def start(self) -> Steps:
        """An empty batch."""
        ...

    def prove(self) -> float:
        """The largest change of a recorded log-probability, in nats. Raises GoldenMismatch."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The real one."""

    summarizer: summarizer.Summarizer
    degraded: bool

    @property
    def manifest(self) -> folder.Manifest:
        """What its folder says."""
        return self.summarizer.manifest

    @property
    def golden(self) -> folder.Golden:
        """What was recorded of it."""
        return self.summarizer.golden

    @property
    def provider(self) -> str:
        """What really runs it."""
        return self.summarizer.engine.provider

    def tokenize(self, texts: Sequence[str], /) -> Read:
        """Every text as the model reads it."""
        return self.summarizer.tokenize(texts)

    def text(self, ids: Sequence[int], /) -> str:
        """The words of a summary."""
        return self.summarizer.text(ids)

    def start(self) -> Steps:
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
    return Loaded(made, degraded=found != wanted)
