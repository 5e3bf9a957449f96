"""Resident memory of a stage that serves both models: `python -m serving.resident --embedder FOLDER`.

The summarizer has random weights of a real one's shape, made in a process of its own; so this one holds what a stage
holds: the service's code, both models, and what texts leave behind. Printed in MiB after every part: resident now (of
it `own`: not pages of files, which the system may take back), and the most since the start.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import serving.app  # noqa: F401  # what a stage has imported counts
from serving import model, proof
from serving.config import from_env
from serving.summarizer import batch, engine
from serving.summarizer.generation import Generation

ROUNDS: tuple[tuple[int, int], ...] = ((1, 256), (4, 256), (4, 1000), (1, 256))  # texts at once, tokens of each
NEW = 48  # tokens of a summary
SEED = 0

log = logging.getLogger("serving.resident")


@dataclass(frozen=True, slots=True)
class Resident:
    """Of this process, MiB."""

    what: str
    now: int
    own: int
    most: int

    def __str__(self) -> str:
        return f"{self.what:<28} {self.now:5} MiB, own {self.own:5}, most {self.most:5}"


def main(argv: Sequence[str] | None = None) -> int:
    """Always 0: it measures, it does not judge."""
    parser = argparse.ArgumentParser(prog="python -m serving.resident", description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", type=Path, required=True, help="model folder, as serving.export writes it")
    parser.add_argument("--shape", default="distilbart-6-6", help="of serving.summarizer.measure")
    parser.add_argument("--precision", choices=("fp32", "int8"), default="int8", help="of the summarizer")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="resident > %(message)s", stream=sys.stderr)
    with tempfile.TemporaryDirectory() as scratch:
        # Neither the weights nor the exporter's packages are to count here.
        making = multiprocessing.get_context("spawn").Process(target=make, args=(args.shape, args.precision, scratch))
        making.start()
        making.join()
        if making.exitcode:
            return 1
        for seen in measure(args.embedder, Path(scratch), args.threads, ROUNDS):
            log.info("%s", seen)
    return 0


def make(shape: str, precision: str, folder: str) -> None:
    """The graphs of a random summarizer."""
    from serving.summarizer import export, made
    from serving.summarizer.measure import SHAPES

    export.write_graphs(made.random_bart(SHAPES[shape], SEED), Path(folder), "int8" if precision == "int8" else "fp32")


def measure(embedder: Path, summarizer: Path, threads: int, rounds: Sequence[tuple[int, int]]) -> Iterator[Resident]:
    """Load one after the other as a stage does, then summarise random texts."""
    yield resident("code of the service")
    config = from_env({"MODEL_DIR": str(embedder), "REQUIRED_PROVIDER": model.CPU, "THREADS": str(threads)})
    serves = model.load(config)
    proof.warm(serves, serves.batch_tokens(config), config.workers)
    yield resident(f"embedder {serves.manifest.precision}, warmed")
    loaded = engine.load(summarizer, threads=threads)
    yield resident("summarizer, loaded")
    rng, settings = np.random.default_rng(SEED), Generation.exactly(NEW)
    for texts, tokens in rounds:
        length = min(tokens, loaded.positions)
        batch.summarize(loaded, rng.integers(5, loaded.vocabulary, (texts, length)).tolist(), settings)
        yield resident(f"{texts} texts of {length} tokens")
    serves.run([[0]])  # still there


def resident(what: str) -> Resident:
    """Now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kib = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", status, re.MULTILINE)}
    return Resident(what, kib["VmRSS"] >> 10, (kib["RssAnon"] + kib["RssShmem"]) >> 10, kib["VmHWM"] >> 10)


if __name__ == "__main__":
    raise SystemExit(main())
