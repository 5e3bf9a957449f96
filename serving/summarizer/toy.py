"""Make the rehearsal's summarizer: `python -m serving.summarizer.toy --out DIR`, a few minutes of one core.

Trains `rehearsal-bart-tiny` (see `rehearsal`), exports it as any other model is exported, and asks it for the summaries
of rehearsal.json beside this file: the first sentence of every text, for that is all it has learnt. Whoever asks a
stage for them asks for the same. Its weights, and so its version, differ from one kind of processor to another.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.errors import GateFailed, ServingError
from serving.summarizer import rehearsal, summarizer
from serving.summarizer.builder import Precision
from serving.summarizer.export import export

RECORDED = Path(__file__).with_name("rehearsal.json")
PRECISION: Precision = "int8"

log = logging.getLogger("serving.summarizer.toy")


class Known(BaseModel):
    """A text and its summary, word by word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    summary: str


class Recorded(BaseModel):
    """What the toy has to answer, and how it is called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    precision: Precision
    texts: list[Known]


def main(argv: Sequence[str] | None = None) -> int:
    """0 trained, exported and asked · 1 it did not learn its task, or lost it on the way."""
    parser = argparse.ArgumentParser(prog="python -m serving.summarizer.toy", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="model folder to write; replaced when it is there")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="toy > %(message)s", stream=sys.stderr)
    try:
        make(args.out)
    except ServingError as error:
        log.error("FAILED  %s", error)
        return 1
    return 0


def make(out: Path) -> None:
    """Raises GateFailed, and leaves nothing then."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, rehearsal.NAME)
        rehearsal.make(source)
        export(source, out, PRECISION)
    try:
        require(out, Recorded.model_validate_json(RECORDED.read_bytes()))
    except GateFailed:
        shutil.rmtree(out)
        raise


def require(folder: Path, recorded: Recorded) -> None:
    """Every recorded summary, from the model in this folder. Raises GateFailed naming the text."""
    made = summarizer.load(folder)
    for known in recorded.texts:
        (found,) = made.summarize([known.text])
        if found != known.summary:
            raise GateFailed(f"{recorded.model} says {found!r} of {known.text!r}, expected {known.summary!r}")
    log.info("asked   %d texts, every summary is its first sentence", len(recorded.texts))


if __name__ == "__main__":
    raise SystemExit(main())
