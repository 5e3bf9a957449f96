"""Whether a canary does badly, by the gates that promotions use. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serving import gates
from serving.gates import Memory, Verdict
from serving.router.config import Limits
from serving.router.window import Seen

PERCENT = 99
REASONS = {f"p{PERCENT}": "latency", "errors": "errors", "golden": "vectors", "memory": "memory"}


@dataclass(frozen=True, slots=True)
class Breach:
    """Why a canary lost its share. reason: a key of the metric; found: what was measured."""

    reason: str
    found: str


def traffic(canary: Seen, production: Seen, limits: Limits) -> Breach | None:
    """Errors and latency of requests; too few of them say nothing."""
    verdicts = []
    if canary.failed >= limits.least_failed:
        usual = production.failed / production.total if production.total else 0.0
        verdicts.append(gates.errors(canary.failed, canary.total, min(1.0, usual + limits.error_excess)))
    if min(len(canary.answered_ms), len(production.answered_ms)) >= limits.least_requests:
        most = gates.percentile(production.answered_ms, PERCENT) * limits.p99_ratio + limits.p99_slack_ms
        verdicts.append(gates.latency(canary.answered_ms, most, PERCENT))
    return first(verdicts)


def vectors(canary: Sequence[Sequence[float]], production: Sequence[Sequence[float]], limits: Limits) -> Breach | None:
    """Of the same texts. A model that means something else by its vectors needs an index of its own first."""
    return first([gates.golden(canary, production, limits.cosine_min)])


def memory(seen: Memory, limits: Limits) -> Breach | None:
    """Of the canary's process."""
    return first([gates.memory(seen, limits.memory_mib, limits.growth_mib)])


def first(verdicts: Sequence[Verdict]) -> Breach | None:
    """The first gate that did not pass."""
    bad = next((one for one in verdicts if not one.passed), None)
    return Breach(REASONS[bad.gate], bad.found) if bad else None
