"""PDFs as text, and the ways in which they are refused."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from pipelines.ingest import pdf, reader
from pipelines.ingest.errors import Refused
from pipelines.ingest.pdf import Text
from tests.pipelines.ingest_doubles import CONFIG
from verify.drills import papers


@pytest.mark.parametrize("paper", papers.PAPERS, ids=lambda paper: paper.name)
def test_a_paper_is_read_whole(paper: papers.Paper) -> None:
    found = pdf.read(paper.pdf, most_pages=300)
    assert found.pages == 2
    assert found.text.split(pdf.PAGE_BREAK)[0].split()[: len(paper.title.split())] == paper.title.split()
    assert " ".join(found.text.split()).count(paper.text) == 2


@pytest.mark.parametrize(("key", "reason"), [(key, reason) for key, (_, reason) in papers.others().items()])
def test_what_is_no_paper_is_refused_with_its_reason(key: str, reason: str) -> None:
    with pytest.raises(Refused, match=f"^{reason}"):
        pdf.read(papers.others()[key][0], most_pages=300)


def test_a_damaged_file_is_refused() -> None:
    with pytest.raises(Refused, match=r"^damaged: "):
        pdf.read(b"%PDF-1.4 and then nothing", most_pages=300)


def test_pages_without_text_are_refused() -> None:
    with pytest.raises(Refused, match="no text"):
        pdf.read(papers.pdf(["", ""]), most_pages=300)


def ended(code: int, out: object = "", err: str = "") -> Any:
    text = out if isinstance(out, str) else json.dumps(out)
    return lambda argv, **_: subprocess.CompletedProcess(argv, code, text.encode(), err.encode())


def test_the_reader_is_told_its_limits_and_its_answer_is_the_text() -> None:
    seen: list[list[str]] = []

    def run(argv: list[str], **given: Any) -> Any:
        seen.append(argv)
        assert given["input"] == b"data"
        assert given["timeout"] > CONFIG.pdf_seconds
        return ended(0, {"pages": 2, "text": "hello"})(argv)

    assert reader.read(b"data", CONFIG, run) == Text(2, "hello")
    assert seen[0][-3:] == ["300", "120", "384"]


def test_a_refusal_comes_through() -> None:
    with pytest.raises(Refused, match=r"^encrypted$"):
        reader.read(b"", CONFIG, ended(0, {"refused": "encrypted"}))


@pytest.mark.parametrize(
    ("code", "stderr", "reason"),
    [
        (-signal.SIGXCPU, "", "takes more than 120 s to read"),
        (-signal.SIGKILL, "", "takes more than 384 MiB to read"),
        (1, "Traceback\n  ...\nMemoryError", "takes more than 384 MiB to read"),
        (1, "Traceback\n  ...\nKeyError: '/Root'", "cannot be read: KeyError: '/Root'"),
        (3, "", "cannot be read: exit code 3"),
    ],
)
def test_a_reader_that_dies_is_a_fact_about_the_document(code: int, stderr: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        reader.read(b"", CONFIG, ended(code, "", stderr))
    assert str(refused.value) == reason


def test_a_reader_that_hangs_is_given_up() -> None:
    def run(argv: list[str], **given: Any) -> Any:
        raise subprocess.TimeoutExpired(argv, given["timeout"])

    with pytest.raises(Refused, match="not read within 240 s"):
        reader.read(b"", CONFIG, run)
