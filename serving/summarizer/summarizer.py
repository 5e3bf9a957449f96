"""One loaded summarizer: text in, text out. Everything a service needs; nothing of the exporter is imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from serving.summarizer import batch, engine, folder
from serving.summarizer.folder import Golden, Manifest
from serving.summarizer.generation import Generation


@dataclass(frozen=True, slots=True)
class Summarizer:
    """May be shared by threads; a batch that it starts belongs to one."""

    manifest: Manifest
    golden: Golden
    tokenizer: Tokenizer
    engine: engine.Engine

    @property
    def settings(self) -> Generation:
        """How this model is meant to be searched."""
        return self.manifest.generation

    def tokenize(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """Token ids of every text, and whether it was cut at the model's limit."""
        return [(encoding.ids, bool(encoding.overflowing)) for encoding in self.tokenizer.encode_batch(list(texts))]

    def text(self, ids: Sequence[int]) -> str:
        """The words of a summary."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True).strip()

    def start(self, num_beams: int | None = None) -> batch.Batch:
        """An empty batch to add texts to and step through."""
        return batch.Batch(self.engine, num_beams or self.settings.num_beams)

    def summarize(self, texts: Sequence[str], settings: Generation | None = None) -> list[str]:
        """Summaries of all texts, decoded together to the end."""
        sources = [ids for ids, _ in self.tokenize(texts)]
        return [self.text(ids) for ids in batch.summarize(self.engine, sources, settings or self.settings)]


def load(path: Path, *, provider: str = engine.CPU, threads: int = 1) -> Summarizer:
    """Check the files, make the sessions. Raises ModelInvalid, or the runtime's own errors."""
    manifest = folder.load_manifest(path)
    recorded = folder.load_golden(path)
    tokenizer = Tokenizer.from_file(str(path / folder.TOKENIZER))
    return Summarizer(manifest, recorded, tokenizer, engine.load(path, provider=provider, threads=threads))
