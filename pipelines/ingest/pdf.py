"""One PDF as text. Run as a program, it reads the PDF from stdin and writes what it found as JSON to stdout.

A PDF is somebody else's program: it may loop, or ask for all memory. So every document gets a process of its own, with
its own limits, and whatever kills that process is a fact about the document (see `reader.py`).
"""

from __future__ import annotations

import io
import json
import resource
import sys
from dataclasses import asdict, dataclass

from pypdf import PasswordType, PdfReader
from pypdf.errors import PyPdfError

from pipelines.ingest.chunks import clean
from pipelines.ingest.errors import Refused

MAGIC = b"%PDF-"
MAGIC_WITHIN = 1024  # bytes; readers allow for junk before it
PAGE_BREAK = "\f"


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a document, its pages parted by form feeds."""

    pages: int
    text: str


def read(data: bytes, *, most_pages: int) -> Text:
    """Raises Refused with the reason; what else pypdf may raise on a damaged file is not listed anywhere."""
    if not data:
        raise Refused("empty file")
    if MAGIC not in data[:MAGIC_WITHIN]:
        raise Refused("not a PDF")
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise Refused("encrypted")
        if len(reader.pages) > most_pages:
            raise Refused(f"{len(reader.pages)} pages, at most {most_pages}")
        pages = [clean(page.extract_text()).strip() for page in reader.pages]
    except PyPdfError as error:
        raise Refused(f"damaged: {error}") from error
    if not any(pages):
        raise Refused("no text in it")
    return Text(len(pages), PAGE_BREAK.join(pages))


def main(argv: list[str]) -> int:
    """`most_pages seconds memory_mib`; 0 also when the document is refused: that is an answer."""
    most_pages, seconds, memory_mib = map(int, argv)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))
    try:
        answer: dict[str, object] = asdict(read(sys.stdin.buffer.read(), most_pages=most_pages))
    except Refused as refused:
        answer = {"refused": str(refused)}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
