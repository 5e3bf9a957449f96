"""What became of every document: plans, rows and the report, as plain JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipelines.ingest.errors import Incomplete

MOST_NAMED = 40  # refused documents that the summary names; the report names all


@dataclass(frozen=True, slots=True)
class Source:
    """An object of `arxiv-raw`. size: bytes."""

    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """One document. refused: the reason, '' when it is ingested. truncated: chunks that the model did not read whole.

    removed: chunks of an earlier, longer form of it that are gone now.
    """

    document: str
    refused: str = ""
    pages: int = 0
    chunks: int = 0
    truncated: int = 0
    removed: int = 0

    def loaded(self, *, chunks: int, truncated: int, removed: int) -> Row:
        """The same, with its chunks in the database."""
        return replace(self, chunks=chunks, truncated=truncated, removed=removed)

    @property
    def text(self) -> str:
        """One line for people."""
        if self.refused:
            return f"refused   {self.document}: {self.refused}"
        tail = f", {self.truncated} of them cut" if self.truncated else ""
        return f"ingested  {self.document}: {self.pages} pages, {self.chunks} chunks{tail}"


def batches(sources: Iterable[Source], size: int) -> list[list[Source]]:
    """Sorted by key, so that the same bucket gives the same plan."""
    ordered = sorted(sources, key=lambda source: source.key)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def dump_plan(plan: Sequence[Sequence[Source]]) -> str:
    """A plan as a file."""
    return json.dumps([[asdict(source) for source in batch] for batch in plan])


def load_plan(text: str) -> list[list[Source]]:
    """The plan in a file."""
    return [[Source(**source) for source in batch] for batch in json.loads(text)]


def dump_rows(rows: Sequence[Row]) -> str:
    """Rows as a file."""
    return json.dumps([asdict(row) for row in rows])


def load_rows(text: str) -> list[Row]:
    """The rows in a file."""
    return [Row(**row) for row in json.loads(text)]


def whole(plan: Sequence[Sequence[Source]], rows: Iterable[Row]) -> list[Row]:
    """The rows in order. Raises Incomplete when they are not those of the plan, each once."""
    planned = sorted(source.key for batch in plan for source in batch)
    found = sorted(rows, key=lambda row: row.document)
    if planned != [row.document for row in found]:
        raise Incomplete(f"{len(found)} documents reported, {len(planned)} planned")
    return found


def report(name: str, rows: Sequence[Row]) -> Mapping[str, Any]:
    """The report object. name: the workflow's."""
    good = [row for row in rows if not row.refused]
    return {
        "workflow": name,
        "documents": len(rows),
        "ingested": len(good),
        "refused": len(rows) - len(good),
        "chunks": sum(row.chunks for row in good),
        "truncated": sum(row.truncated for row in good),
        "removed": sum(row.removed for row in good),
        "rows": [asdict(row) for row in rows],
    }


def summary(rows: Sequence[Row]) -> str:
    """The report in words: a line of numbers, then a line a refused document."""
    good = [row for row in rows if not row.refused]
    bad = [row for row in rows if row.refused]
    lines = [
        f"{len(rows)} documents: {len(good)} ingested, {sum(row.chunks for row in good)} chunks; {len(bad)} refused"
    ]
    lines += [f"{row.document}: {row.refused}" for row in bad[:MOST_NAMED]]
    lines += [f"and {len(bad) - MOST_NAMED} more"] if len(bad) > MOST_NAMED else []
    return "\n".join(lines)
