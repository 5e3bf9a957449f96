from __future__ import annotations

import re

from pipelines.ingest import vectors
from pipelines.ingest.stage import Embedded, Model
from pipelines.ingest.vectors import Hit, Vectors
from provision.settings import ROOT
from tests.pipelines.ingest_doubles import Database

MODEL = Model("m", "1", "p")


def test_a_document_is_one_transaction_that_ends_with_what_is_too_much() -> None:
    database = Database(rowcount=4)
    removed = Vectors(database).put("d", ["one", "two"], Embedded([[1.0, 0.5], [0.0, 1e-7]], MODEL, 0))
    assert removed == 4
    assert database.transactions == 1
    assert [sql for sql, _ in database.ran] == [vectors.UPSERT, vectors.UPSERT, vectors.SHORTEN]
    assert [values.get("position") for _, values in database.ran] == [0, 1, None]
    assert [values.get("vector") for _, values in database.ran] == ["[1.0,0.5]", "[0.0,1e-07]", None]
    assert database.ran[-1][1] == {"document": "d", "count": 2, "name": "m", "version": "1", "precision": "p"}


def test_a_question_widens_the_search_before_it_asks() -> None:
    database = Database(found=[("d", 3, "text", 0.25)])
    hits = Vectors(database).nearest([1.0], MODEL, prefix="x/", limit=2)
    assert hits == [Hit("d", 3, "text", 0.25)]
    assert [sql for sql, _ in database.ran] == [vectors.WIDEN, vectors.NEAREST]
    assert database.ran[1][1]["prefix"] == "x/"


def test_every_placeholder_is_given() -> None:
    given = {"document", "position", "text", "vector", "name", "version", "precision", "count", "prefix", "limit"}
    for sql in (vectors.UPSERT, vectors.SHORTEN, vectors.NEAREST):
        assert set(re.findall(r"%\((\w+)\)s", sql)) <= given


def test_a_repeated_write_meets_the_unique_key_of_the_table() -> None:
    key = re.search(r"ON CONFLICT \(([^)]+)\) DO UPDATE", vectors.UPSERT)
    tables = "".join(path.read_text() for path in sorted((ROOT / "apps/postgresql/chart/files").rglob("*.sql")))
    assert key is not None
    assert f"UNIQUE ({key.group(1)})" in tables
