"""The steps one after the other, as the workflow runs them; real PDFs, doors of dictionaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.ingest import pdf, steps
from pipelines.ingest import report as reports
from pipelines.ingest.__main__ import STEPS, main, parse
from pipelines.ingest.config import Config, from_env
from pipelines.ingest.errors import ConfigInvalid
from pipelines.ingest.vectors import Hit, Vectors
from tests.pipelines.ingest_doubles import CONFIG, Database, Stage, store
from verify.drills import papers

RAW = {paper.key: paper.pdf for paper in papers.PAPERS[:3]} | {key: data for key, (data, _) in papers.others().items()}
ENV = {"S3_ENDPOINT": "http://s3", "RAW_BUCKET": "raw", "TEXT_BUCKET": "text", "EMBED_URL": "http://stage/embed"}


def read(data: bytes) -> pdf.Text:
    return pdf.read(data, most_pages=300)


def run(tmp_path: Path, raw: dict[str, bytes], batch: int) -> tuple[dict[str, bytes], Database, str]:
    doors, client = store(raw)
    database = Database()
    steps.list_documents(doors, prefix=papers.PREFIX, batch=batch, out=tmp_path)
    plan = reports.load_plan((tmp_path / "plan.json").read_text())
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in json.loads((tmp_path / "batches.json").read_text()):
        rows = steps.extract(doors, read, CONFIG, plan[number])
        rows = steps.load(doors, Stage(), Vectors(database), CONFIG, rows)
        (parts / f"{number}.json").write_text(reports.dump_rows(rows))
    steps.report(doors, plan, parts, name="ingest-x", out=tmp_path)
    return client.buckets["text"], database, (tmp_path / "summary.txt").read_text()


def test_good_documents_are_ingested_and_bad_ones_reported_one_by_one(tmp_path: Path) -> None:
    texts, database, summary = run(tmp_path, {**RAW, "elsewhere.pdf": b"", f"{papers.PREFIX}folder/": b""}, batch=3)
    told = json.loads(texts["reports/ingest-x.json"])
    refused = {row["document"]: row["refused"] for row in told["rows"] if row["refused"]}
    assert {key: reason.startswith(papers.others()[key][1]) for key, reason in refused.items()} == dict.fromkeys(
        papers.others(), True
    )
    assert {values["document"] for _, values in database.ran} == {paper.key for paper in papers.PAPERS[:3]}
    assert set(texts) == {f"{paper.key}.txt" for paper in papers.PAPERS[:3]} | {"reports/ingest-x.json"}
    assert summary.splitlines()[0] == f"7 documents: 3 ingested, {told['chunks']} chunks; 4 refused"


@pytest.mark.parametrize("batch", [1, 7, 20])
def test_how_documents_are_batched_changes_nothing(tmp_path: Path, batch: int) -> None:
    _, database, _ = run(tmp_path, RAW, batch)
    texts = [values.get("text") for _, values in database.ran]
    other = tmp_path / "again"
    other.mkdir()
    assert texts == [values.get("text") for _, values in run(other, RAW, 2)[1].ran]


def test_nothing_to_ingest_is_said(tmp_path: Path) -> None:
    assert run(tmp_path, {}, 20)[2] == "0 documents: 0 ingested, 0 chunks; 0 refused"


def test_a_file_too_large_is_never_fetched() -> None:
    doors, client = store({})
    rows = steps.extract(doors, read, CONFIG, [reports.Source("huge.pdf", 65 << 20)])
    assert [row.refused for row in rows] == ["65 MiB, at most 64"]
    assert client.buckets["text"] == {}


def test_questions_are_answered_in_order() -> None:
    database = Database(found=[("d", 0, "text", 0.1)])
    found = steps.ask(Stage(), Vectors(database), ["a", "b"], prefix="", limit=1, most=8)
    assert [answer.question for answer in found] == ["a", "b"]
    assert found[0].hits == [Hit("d", 0, "text", 0.1)]
    assert found[0].text == "a\n  d"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("list --out=/o", {"prefix": "", "batch": 20, "out": Path("/o")}),
        ("list --prefix=-x/ --batch=3 --out=/o", {"prefix": "-x/", "batch": 3}),
        ("extract --plan=/p --number=2 --out=/o", {"plan": Path("/p"), "number": 2}),
        ("load --rows=/r --out=/o", {"rows": Path("/r")}),
        ("report --plan=/p --parts=/d --name=n --out=/o", {"parts": Path("/d"), "name": "n"}),
        ('ask --questions=["a?","b?"] --out=/o', {"questions": ["a?", "b?"], "limit": 3, "prefix": ""}),
        ("ask --questions=why? --limit=1 --out=/o", {"questions": ["why?"], "limit": 1}),
    ],
)
def test_the_command_line(line: str, wanted: dict[str, Any]) -> None:
    args = vars(parse(line.split(" ")))
    assert args["step"] in STEPS
    assert {key: args[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    "line",
    ["", "lists", "list", "list --batch=0 --out=/o", "ask --questions=[] --out=/o", "ask --questions=[1] --out=/o"],
)
def test_a_wrong_command_line_ends_with_2(line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line.split())
    assert ended.value.code == 2


def test_settings_come_from_the_environment() -> None:
    assert from_env({**ENV, "PDF_PAGES": "7"}) == Config("http://s3", "raw", "text", "http://stage/embed", pdf_pages=7)


def test_every_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigInvalid) as wrong:
        from_env({"S3_ENDPOINT": "http://s3", "PDF_MIB": "-1", "CHUNK_WORDS": "many"})
    for name in ("RAW_BUCKET", "TEXT_BUCKET", "EMBED_URL", "PDF_MIB", "CHUNK_WORDS"):
        assert name in str(wrong.value)


def test_wrong_settings_end_with_2_so_that_nobody_tries_again(tmp_path: Path) -> None:
    assert main(["list", f"--out={tmp_path}"], {}) == 2
