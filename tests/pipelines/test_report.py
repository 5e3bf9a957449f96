from __future__ import annotations

import pytest

from pipelines.ingest import report
from pipelines.ingest.errors import Incomplete
from pipelines.ingest.report import Row, Source

PLAN = [[Source("a.pdf", 1), Source("b.pdf", 2)], [Source("c.pdf", 3)]]
ROWS = [
    Row("a.pdf", pages=2).loaded(chunks=5, truncated=1, removed=2),
    Row("b.pdf", refused="encrypted"),
    Row("c.pdf", pages=1).loaded(chunks=1, truncated=0, removed=0),
]


def test_batches_are_sorted_and_no_larger_than_asked() -> None:
    assert report.batches([Source("c.pdf", 3), Source("a.pdf", 1), Source("b.pdf", 2)], 2) == PLAN
    assert report.batches([], 2) == []


def test_plans_and_rows_survive_being_files() -> None:
    assert report.load_plan(report.dump_plan(PLAN)) == PLAN
    assert report.load_rows(report.dump_rows(ROWS)) == ROWS


def test_rows_of_another_plan_are_not_taken() -> None:
    assert report.whole(PLAN, reversed(ROWS)) == ROWS
    with pytest.raises(Incomplete, match="2 documents reported, 3 planned"):
        report.whole(PLAN, ROWS[:2])
    with pytest.raises(Incomplete):
        report.whole(PLAN, [*ROWS, ROWS[0]])


def test_the_report_counts_and_names_every_document() -> None:
    told = report.report("ingest-x", ROWS)
    assert {key: told[key] for key in ("documents", "ingested", "refused", "chunks", "truncated", "removed")} == {
        "documents": 3,
        "ingested": 2,
        "refused": 1,
        "chunks": 6,
        "truncated": 1,
        "removed": 2,
    }
    assert [row["document"] for row in told["rows"]] == ["a.pdf", "b.pdf", "c.pdf"]


def test_the_summary_names_what_was_refused() -> None:
    assert report.summary(ROWS) == "3 documents: 2 ingested, 6 chunks; 1 refused\nb.pdf: encrypted"


def test_the_summary_stays_short() -> None:
    lines = report.summary([Row(f"{number}.pdf", refused="empty file") for number in range(100)]).splitlines()
    assert len(lines) == report.MOST_NAMED + 2
    assert lines[-1] == "and 60 more"


def test_a_row_reads_as_a_line() -> None:
    assert [row.text for row in ROWS[:2]] == [
        "ingested  a.pdf: 2 pages, 5 chunks, 1 of them cut",
        "refused   b.pdf: encrypted",
    ]
