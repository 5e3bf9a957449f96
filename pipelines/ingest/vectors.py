"""Chunks and their vectors in PostgreSQL. One transaction a document, and the same again changes nothing.

The unique key of a chunk is (document, position, model): a repeated write meets itself there. What did not change is
not written, so running again leaves no dead rows in the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.ingest.errors import DatabaseAway
from pipelines.ingest.stage import Embedded, Model

CONNECT_S = 15
STATEMENT_MS = 120_000
UPSERT = """
INSERT INTO chunks (document, position, text, embedding, model, model_version, precision)
VALUES (%(document)s, %(position)s, %(text)s, %(vector)s::vector, %(name)s, %(version)s, %(precision)s)
ON CONFLICT (document, position, model, model_version, precision) DO UPDATE
SET text = excluded.text, embedding = excluded.embedding
WHERE (chunks.text, chunks.embedding) IS DISTINCT FROM (excluded.text, excluded.embedding)
"""
SHORTEN = """
DELETE FROM chunks
WHERE document = %(document)s AND position >= %(count)s
  AND model = %(name)s AND model_version = %(version)s AND precision = %(precision)s
"""
# Without it the index yields a fixed number of neighbours, of which the filter may leave none.
WIDEN = "SET LOCAL hnsw.iterative_scan = strict_order"
NEAREST = """
SELECT document, position, text, embedding <=> %(vector)s::vector AS distance
FROM chunks
WHERE model = %(name)s AND model_version = %(version)s AND precision = %(precision)s
  AND starts_with(document, %(prefix)s)
ORDER BY embedding <=> %(vector)s::vector
LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk near a question. distance: cosine distance, 0 for the same direction."""

    document: str
    position: int
    text: str
    distance: float


@dataclass(frozen=True)
class Vectors:
    """The chunks through one connection (psycopg's)."""

    connection: Any

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Vectors]:
        """Connected to what PGHOST, PGDATABASE, PGUSER and PGPASSWORD name. Raises DatabaseAway at any time."""
        import psycopg

        options = f"-c statement_timeout={STATEMENT_MS}"
        try:
            with psycopg.connect(connect_timeout=CONNECT_S, options=options) as connection:
                yield cls(connection)
        except psycopg.OperationalError as error:
            raise DatabaseAway(str(error).strip().splitlines()[0]) from error

    def put(self, document: str, texts: Sequence[str], embedded: Embedded) -> int:
        """Make a document's chunks exactly these; returns how many of an earlier, longer form are gone."""
        about = {"document": document, **asdict(embedded.model)}
        rows = [
            {**about, "position": position, "text": text, "vector": literal(vector)}
            for position, (text, vector) in enumerate(zip(texts, embedded.vectors, strict=True))
        ]
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(UPSERT, rows)
            cursor.execute(SHORTEN, {**about, "count": len(rows)})
            return int(cursor.rowcount)

    def nearest(self, vector: Sequence[float], model: Model, *, prefix: str, limit: int) -> list[Hit]:
        """The chunks of this model that are nearest, of documents whose name begins with `prefix`."""
        about = {"vector": literal(vector), "prefix": prefix, "limit": limit, **asdict(model)}
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(WIDEN)
            cursor.execute(NEAREST, about)
            return [Hit(*row) for row in cursor.fetchall()]


def literal(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(map(repr, vector))}]"
