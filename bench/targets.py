"""The targets, as ratios of ours to a peer in the same round: median, spread, and whether the median meets it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench.measure import Facts, Row, beside
from bench.peers import (
    CTRANSLATE2,
    CTRANSLATE2_SUMMARIES,
    FASTEMBED,
    ORIGINAL,
    OURS,
    OURS_BOTH,
    OURS_SUMMARIES,
    TRANSFORMERS,
)

BEST = "the best peer"
RSS_MIB = 1000
READY_S = 5.0
BESIDE_TIMES = 1.5  # of a p99: while summaries are made, by the one without
BESIDE = ("abstracts_1", "queries_1")

Of = Literal["rate", "p50_ms", "p99_ms"]


@dataclass(frozen=True, slots=True)
class Target:
    """Ours divided by a peer's: at least for a rate, at most for a latency."""

    measure: str
    of: Of
    peer: str
    bound: float
    ours: str = OURS

    @property
    def is_least(self) -> bool:
        """Whether more is better."""
        return self.of == "rate"

    def is_met(self, value: float) -> bool:
        """Not by something that is not a number."""
        return value >= self.bound if self.is_least else value <= self.bound


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target; no figures where nothing could be compared. most: the ratio that our engine would reach
    if HTTP, client and tokenizer cost nothing; None where that was not measured."""

    what: str
    bound: str
    median: float | None
    low: float | None
    high: float | None
    is_met: bool | None
    most: float | None = None


TARGETS = (
    Target("abstracts_64", "rate", CTRANSLATE2, 1.1),
    Target("abstracts_64", "rate", ORIGINAL, 9.0),
    Target("queries_64", "rate", CTRANSLATE2, 2.5),
    Target("queries_64", "rate", FASTEMBED, 5.0),
    Target("queries_64", "rate", ORIGINAL, 200.0),
    Target("abstracts_64", "p99_ms", CTRANSLATE2, 0.85),
    Target("queries_1", "p50_ms", BEST, 1.0),
    Target("summaries_1", "rate", TRANSFORMERS, 5.0, OURS_SUMMARIES),
    Target("summaries_1", "rate", CTRANSLATE2_SUMMARIES, 1.5, OURS_SUMMARIES),
    Target("summaries_4", "rate", TRANSFORMERS, 5.0, OURS_SUMMARIES),
    Target("summaries_4", "rate", CTRANSLATE2_SUMMARIES, 1.5, OURS_SUMMARIES),
)


def judge(rows: Sequence[Row], facts: Sequence[Facts], alone: Mapping[str, float]) -> list[Verdict]:
    """Every target, in the order of the table. alone: what our engine reaches by itself, by name of the texts."""
    ratios = [replace(_ratio(target, rows), most=_most(target, rows, alone)) for target in TARGETS]
    return [*ratios, *(_beside(name, rows) for name in BESIDE), *_weights(facts)]


def _ratio(target: Target, rows: Sequence[Row]) -> Verdict:
    what = f"{target.measure} {target.of} vs {target.peer}"
    bound = f"{'>=' if target.is_least else '<='} {target.bound:g}x"
    return _verdict(what, bound, _ratios(target, rows), target.is_met)


def _most(target: Target, rows: Sequence[Row], alone: Mapping[str, float]) -> float | None:
    texts, _, clients = target.measure.partition("_")
    theirs = [row.figure.rate for row in rows if (row.measure, row.peer) == (target.measure, target.peer)]
    is_crowded = clients != "1"  # of one client at a time, all cores are not to be had
    if not (target.is_least and is_crowded and texts in alone and theirs):
        return None
    return alone[texts] / statistics.median(theirs)


def _verdict(what: str, bound: str, ratios: Sequence[float], is_met: Callable[[float], bool]) -> Verdict:
    if not ratios:
        return Verdict(what, bound, None, None, None, None)
    median = statistics.median(ratios)
    return Verdict(what, bound, median, min(ratios), max(ratios), is_met(median))


def _beside(name: str, rows: Sequence[Row]) -> Verdict:
    """Of the service with both models in one process."""
    p99 = {(row.measure, row.round): row.figure for row in rows if row.peer == OURS_BOTH and not row.figure.failed}
    rounds = sorted({number for measure, number in p99 if (name, number) in p99 and measure == beside(name)})
    ratios = [p99[beside(name), number].p99_ms / p99[name, number].p99_ms for number in rounds]
    return _verdict(f"{beside(name)} p99_ms vs without", f"<= {BESIDE_TIMES:g}x", ratios, BESIDE_TIMES.__ge__)


def _ratios(target: Target, rows: Sequence[Row]) -> list[float]:
    """One a round. A drive with requests that were not answered does not count for either side."""
    good = [row for row in rows if row.measure == target.measure and not row.figure.failed and row.figure.count]
    found = []
    for number in sorted({row.round for row in good}):
        by_peer = {row.peer: float(getattr(row.figure, target.of)) for row in good if row.round == number}
        ours = by_peer.pop(target.ours, None)
        theirs = min(by_peer.values(), default=None) if target.peer == BEST else by_peer.get(target.peer)
        if ours is not None and theirs:
            found.append(ours / theirs)
    return found


def _weights(facts: Sequence[Facts]) -> list[Verdict]:
    """Memory of both of ours together, and how long each took to answer."""
    ours = {one.peer: one for one in facts if one.peer in (OURS, OURS_SUMMARIES) and not one.why}
    found = []
    if len(ours) == 2:
        rss = float(sum(one.rss_mib for one in ours.values()))
        found.append(Verdict("resident memory of both models, MiB", f"<= {RSS_MIB}", rss, rss, rss, rss <= RSS_MIB))
    for one in ours.values():
        ready = one.ready_s
        found.append(Verdict(f"{one.peer} ready, s", f"<= {READY_S:g}", ready, ready, ready, ready <= READY_S))
    return found
