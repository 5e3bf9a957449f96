"""The steps, each from small files and doors to small files. Doors come in from outside: tests bring their own."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.ingest import chunks, stage
from pipelines.ingest import report as reports
from pipelines.ingest.config import Config
from pipelines.ingest.errors import Refused
from pipelines.ingest.pdf import Text
from pipelines.ingest.report import Row, Source
from pipelines.ingest.stage import Post
from pipelines.ingest.store import Store
from pipelines.ingest.vectors import Hit, Vectors

log = logging.getLogger("ingest")
Read = Callable[[bytes], Text]


@dataclass(frozen=True)
class Answer:
    """What was found for one question, nearest first."""

    question: str
    hits: list[Hit]

    @property
    def text(self) -> str:
        """For people: the question and the documents that were found."""
        documents = dict.fromkeys(hit.document for hit in self.hits)
        return f"{self.question}\n  {', '.join(documents) or 'nothing'}"


def list_documents(store: Store, *, prefix: str, batch: int, out: Path) -> None:
    """Write plan.json, and batches.json: the numbers of its batches, which the workflow fans out over."""
    plan = reports.batches(store.sources(prefix), batch)
    (out / "plan.json").write_text(reports.dump_plan(plan))
    (out / "batches.json").write_text(json.dumps(list(range(len(plan)))))
    log.info("%d documents below %r, in %d batches", sum(map(len, plan)), prefix, len(plan))


def extract(store: Store, read: Read, config: Config, sources: Sequence[Source]) -> list[Row]:
    """Text of each document of a batch; a document that cannot be read becomes a refused row."""
    return [_logged(_extracted(store, read, config, source)) for source in sources]


def load(store: Store, post: Post, vectors: Vectors, config: Config, rows: Iterable[Row]) -> list[Row]:
    """Chunk, embed and write what was extracted; refused rows pass through."""
    return [row if row.refused else _logged(_loaded(store, post, vectors, config, row)) for row in rows]


def report(store: Store, plan: Sequence[Sequence[Source]], parts: Path, *, name: str, out: Path) -> None:
    """One report of all parts: an object beside the texts, and summary.txt as the workflow's output."""
    rows = [row for path in sorted(parts.glob("*.json")) for row in reports.load_rows(path.read_text())]
    rows = reports.whole(plan, rows)
    store.put_report(f"reports/{name}.json", json.dumps(reports.report(name, rows), indent=1))
    (out / "summary.txt").write_text(reports.summary(rows))
    log.info("%s", reports.summary(rows))


def ask(post: Post, vectors: Vectors, questions: Sequence[str], *, prefix: str, limit: int, most: int) -> list[Answer]:
    """The nearest chunks to each question."""
    embedded = stage.embed(questions, post, most=most)
    return [
        Answer(question, vectors.nearest(vector, embedded.model, prefix=prefix, limit=limit))
        for question, vector in zip(questions, embedded.vectors, strict=True)
    ]


def _extracted(store: Store, read: Read, config: Config, source: Source) -> Row:
    try:
        if source.size > config.pdf_mib << 20:
            raise Refused(f"{source.size >> 20} MiB, at most {config.pdf_mib}")
        found = read(store.pdf(source.key))
    except Refused as refused:
        return Row(source.key, refused=str(refused))
    store.put_document_text(source.key, found.text)
    return Row(source.key, pages=found.pages)


def _loaded(store: Store, post: Post, vectors: Vectors, config: Config, row: Row) -> Row:
    text = store.document_text(row.document)
    pieces = chunks.split(text, words=config.chunk_words, overlap=config.chunk_overlap)
    embedded = stage.embed(pieces, post, most=config.embed_texts)
    removed = vectors.put(row.document, pieces, embedded)
    return row.loaded(chunks=len(pieces), truncated=embedded.truncated, removed=removed)


def _logged(row: Row) -> Row:
    log.info("%s", row.text)
    return row
