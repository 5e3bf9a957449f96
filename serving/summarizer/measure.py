"""Tokens per second of random weights: `python -m serving.summarizer.measure [--shape distilbart-6-6]`.

How fast a summary comes does not depend on what the weights say, so no real ones are needed. Every summary has exactly
`--new` tokens (its end is banned before and forced then). Precisions are measured in turns, and the best and the
median of the rounds are printed: trust the ratios of one run.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from serving.summarizer import batch, engine
from serving.summarizer.builder import Precision
from serving.summarizer.export import write_graphs
from serving.summarizer.generation import Generation
from serving.summarizer.made import DISTILBART_6_6, TINY, random_bart

SHAPES = {"distilbart-6-6": DISTILBART_6_6, "tiny": TINY}
SEED = 0

log = logging.getLogger("serving.summarizer.measure")


@dataclass(frozen=True, slots=True)
class Figure:
    """`texts` summaries at once; seconds of every round."""

    precision: str
    texts: int
    tokens: int
    seconds: tuple[float, ...]

    def __str__(self) -> str:
        best, middle = min(self.seconds), statistics.median(self.seconds)
        return (
            f"{self.precision} texts={self.texts} best {best:.3f} s {self.texts * self.tokens / best:.1f} tok/s "
            f"median {middle:.3f} s {self.texts * self.tokens / middle:.1f} tok/s"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Always 0: it measures, it does not judge."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="measure > %(message)s", stream=sys.stderr)
    bart = random_bart(SHAPES[args.shape], SEED)
    with tempfile.TemporaryDirectory() as folder:
        engines = {}
        for precision in args.precision:
            path = Path(folder, precision)
            path.mkdir()
            write_graphs(bart, path, precision)
            engines[precision] = engine.load(path, threads=args.threads)
        del bart
        for figure in measure(engines, args):
            log.info("%s", figure)
    return 0


def measure(engines: dict[str, engine.Engine], args: argparse.Namespace) -> list[Figure]:
    """One warm-up, then `args.rounds` rounds of every precision in turn, for every number of texts."""
    settings = Generation(
        num_beams=args.beams,
        min_length=args.new + 1,
        max_length=args.new + 1,
        decoder_start_token_id=2,
        eos_token_id=2,
        forced_eos_token_id=2,
    )
    rng = np.random.default_rng(SEED)
    figures = []
    for texts in args.texts:
        sources = rng.integers(5, SHAPES[args.shape].vocabulary, (texts, args.source)).tolist()
        taken: dict[str, list[float]] = {precision: [] for precision in engines}
        for _ in range(args.rounds + 1):
            for precision, each in engines.items():
                start = time.perf_counter()
                batch.summarize(each, sources, settings)
                taken[precision].append(time.perf_counter() - start)
        figures += [Figure(precision, texts, args.new, tuple(all_[1:])) for precision, all_ in taken.items()]
    return figures


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.summarizer.measure", description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="distilbart-6-6")
    parser.add_argument("--precision", nargs="+", choices=get_args(Precision), default=list(get_args(Precision)))
    parser.add_argument("--texts", nargs="+", type=int, default=[1, 4], help="summaries at once")
    parser.add_argument("--source", type=int, default=256, help="tokens of a source")
    parser.add_argument("--new", type=int, default=48, help="tokens of a summary")
    parser.add_argument("--beams", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
