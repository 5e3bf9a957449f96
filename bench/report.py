"""The table that a person reads and the JSON that is kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.machine import Machine
from bench.measure import Facts, Row
from bench.targets import Verdict

MET = {True: "met", False: "MISSED", None: "not compared"}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything of one run."""

    began: str  # UTC
    machine: Machine
    rounds: int
    rows: tuple[Row, ...]
    facts: tuple[Facts, ...]
    verdicts: tuple[Verdict, ...]
    is_smoke: bool
    alone: Mapping[str, float]  # texts a second of our embedding engine by itself, by name of the texts

    def data(self) -> dict[str, object]:
        """As JSON takes it."""
        return asdict(self)


def lines(report: Report) -> Iterator[str]:
    """Rates with precision and quality beside them, then targets."""
    yield from _rates(report.rows, report.facts)
    for name, rate in report.alone.items():
        yield f"{'our engine alone':24} {name:10} {rate:9.2f}/s  (no HTTP, no tokenizer, no client)"
    yield ""
    for verdict in report.verdicts:
        yield f"{verdict.what:48} {verdict.bound:>9}  {_spread(verdict):24} {MET[verdict.is_met]}{_most(verdict)}"


def _rates(rows: Sequence[Row], facts: Sequence[Facts]) -> Iterator[str]:
    measures = list(dict.fromkeys(row.measure for row in rows))
    for one in facts:
        if one.why:
            yield f"{one.peer:24} not available: {one.why.strip().splitlines()[-1][:200]}"
            continue
        near = one.quality
        told = f"cos {near.cosine_mean:.4f}/{near.cosine_min:.4f} recall@10 {near.recall:.3f}" if near else ""
        if near:
            told += f" (fp32 {near.recall_fp32:.3f})"
        yield f"{one.peer:24} {one.precision}  rss {one.rss_mib} MiB  ready {one.ready_s:.1f} s  {told}"
        for measure in measures:
            yield from _rate(measure, [row for row in rows if (row.measure, row.peer) == (measure, one.peer)])


def _rate(measure: str, rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        names = ("rate", "p50_ms", "p99_ms", "server_ms", "client_ms")
        rate, p50, p99, server, client = (statistics.median(getattr(row.figure, of) for row in rows) for of in names)
        failed = sum(row.figure.failed for row in rows)
        spent = f"core ms/answer: server {server:.2f} client {client:.2f}"
        yield f"  {measure:20} {rate:9.2f}/s  p50 {p50:8.1f} ms  p99 {p99:8.1f} ms  failed {failed}  {spent}"


def _most(verdict: Verdict) -> str:
    """Beside a target that was missed: whether anything around the engine could have met it."""
    return f"  (engine alone: {verdict.most:.3g}x)" if verdict.most is not None and verdict.is_met is False else ""


def _spread(verdict: Verdict) -> str:
    if verdict.median is None:
        return "-"
    if verdict.low == verdict.high:
        return f"{verdict.median:.3g}"
    return f"{verdict.median:.3g} ({verdict.low:.3g} - {verdict.high:.3g})"
