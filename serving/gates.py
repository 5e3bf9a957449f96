"""What a model version has to pass before it takes traffic, and while it does: pure, and the same everywhere.

The live checks, a promotion and the router measure in their own ways and judge with these. Nothing here imports numpy:
the machine that promotes has no runtime. A figure that is not a number never passes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

RESIDENT = "process_resident_memory_bytes"
ROUNDED = {"fp32": "", "fp16": "", "int8": "int8_"}  # precision -> which bounds of the budgets are its own


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate's answer. found: what was measured against what, for people."""

    gate: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident MiB of a process before and after the same traffic."""

    before_mib: float
    after_mib: float


def golden(
    vectors: Sequence[Sequence[float]], recorded: Sequence[Sequence[float]], least: float, mean: float = -1.0
) -> Verdict:
    """Every recorded vector is met by a cosine of at least `least`, all of them by `mean` on average.

    Of no vector, or another count: not passed."""
    if not recorded or len(vectors) != len(recorded):
        return Verdict("golden", False, f"{len(vectors)} vectors for {len(recorded)} recorded ones")
    found = [cosine(one, other) for one, other in zip(vectors, recorded, strict=True)]
    is_finite = all(map(math.isfinite, found))
    worst, usual = (min(found), math.fsum(found) / len(found)) if is_finite else (math.nan, math.nan)
    told = f"least cosine {worst:.7f} over {len(found)} texts, at least {least:g}; mean {usual:.5f}"
    return Verdict("golden", worst >= least and usual >= mean, told + (f", at least {mean:g}" if mean > -1 else ""))


def reference(
    vectors: Sequence[Sequence[float]],
    recorded: Sequence[Sequence[float]],
    precision: str,
    budget: Callable[[str], float],
) -> Verdict:
    """Near the fp64 reference of the repository, which is nobody's own word, as far as a precision can be.

    A precision that no bound is known for does not pass."""
    if precision not in ROUNDED:
        return Verdict("golden", False, f"no bound is known for precision {precision!r}")
    bounds = (budget(f"onnx.{ROUNDED[precision]}cosine_{of}") for of in ("min", "mean"))
    return golden(vectors, recorded, *bounds)


def own(vectors: Sequence[Sequence[float]], recorded: Sequence[Sequence[float]], least: float) -> Verdict:
    """The vectors that a version itself records: what is asked for is what was judged when it was made."""
    return replace(golden(vectors, recorded, least), gate="recorded")


def proof(nats: float, most: float) -> Verdict:
    """Of a summarizer: how far a recorded log-probability moved when its stage loaded it."""
    return Verdict("golden", nats <= most, f"a log-probability moved by {nats:.4f} nats, at most {most:g}")


def latency(samples_ms: Sequence[float], most: float, percent: float) -> Verdict:
    """One percentile (nearest rank) of what requests took is at most `most` ms."""
    name = f"p{percent:g}"
    if not samples_ms or not all(map(math.isfinite, samples_ms)):
        return Verdict(name, False, "nothing was measured")
    found = percentile(samples_ms, percent)
    return Verdict(name, found <= most, f"{found:.1f} ms of {len(samples_ms)} requests, at most {most:g} ms")


def errors(failed: int, total: int, most: float) -> Verdict:
    """So many requests failed; at most this share may."""
    if total < 1:
        return Verdict("errors", False, "nothing was asked")
    return Verdict("errors", failed / total <= most, f"{failed} of {total} failed, at most {most:.2%}")


def memory(seen: Memory, most_mib: float, growth_mib: float) -> Verdict:
    """A process is within its size, and does not grow by more than this under the traffic it was measured with."""
    grown = seen.after_mib - seen.before_mib
    passed = seen.after_mib <= most_mib and grown <= growth_mib
    told = f"{seen.after_mib:.0f} MiB, {grown:+.0f} MiB; at most {most_mib:g} MiB, {growth_mib:+g} MiB"
    return Verdict("memory", passed, told)


def cosine(left: Sequence[float], right: Sequence[float]) -> float:
    """Of the angle between two vectors; 0 when one of them has no direction or the lengths differ."""
    length = math.hypot(*left) * math.hypot(*right)
    if not length or len(left) != len(right):
        return 0.0
    return sum(a * b for a, b in zip(left, right, strict=True)) / length


def percentile(samples: Sequence[float], percent: float) -> float:
    """Nearest rank: the least sample that at least `percent` of all do not exceed."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def resident_mib(exposition: str) -> float:
    """Of the process that gave these metrics; not a number when they do not say."""
    return series(exposition, RESIDENT) / 2**20


def series(exposition: str, name: str) -> float:
    """The sum of a metric's series in Prometheus' text form; not a number when there is none."""
    found = [
        float(line.rpartition(" ")[2])
        for line in exposition.splitlines()
        if line.startswith((f"{name} ", f"{name}{{")) and not line.startswith("#")
    ]
    return math.fsum(found) if found else math.nan
