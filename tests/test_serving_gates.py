"""Gates as data: what passes, what does not, and that nothing passes on no evidence."""

from __future__ import annotations

import math

import pytest

from serving import gates
from serving.gates import Memory, Verdict
from verify import budgets

NAN, ONE, OTHER = math.nan, [1.0, 0.0], [0.0, 1.0]
BESIDE, FAR = ([x, math.sqrt(1 - x * x)] for x in (0.99, 0.97))  # unit vectors at that cosine to ONE

CASES: dict[str, tuple[Verdict, bool]] = {
    "the recorded vectors": (gates.golden([ONE, OTHER], [ONE, OTHER], 0.999), True),
    "one of them is another": (gates.golden([ONE, ONE], [ONE, OTHER], 0.999), False),
    "no vector was recorded": (gates.golden([], [], 0.999), False),
    "a vector is missing": (gates.golden([ONE], [ONE, OTHER], 0.999), False),
    "of another width": (gates.golden([[1.0]], [ONE], 0.0001), False),
    "without a direction": (gates.golden([[0.0, 0.0]], [ONE], 0.0001), False),
    "not a number": (gates.golden([[NAN, 0.0]], [ONE], 0.999), False),
    "a number among good ones is none": (gates.golden([ONE, [NAN, 0.0]], [ONE, OTHER], 0.0), False),
    "near enough on average": (gates.golden([ONE, ONE], [ONE, BESIDE], 0.98, 0.994), True),
    "near enough each, too far on average": (gates.golden([ONE, ONE], [BESIDE, BESIDE], 0.98, 0.994), False),
    "rounded, as int8 may be": (gates.reference([ONE, ONE], [ONE, BESIDE], "int8", budgets.read), True),
    "rounded, and said to be fp32": (gates.reference([ONE, ONE], [ONE, BESIDE], "fp32", budgets.read), False),
    "rounded, and said to be fp16": (gates.reference([ONE, ONE], [ONE, BESIDE], "fp16", budgets.read), False),
    "rounded too much on average": (gates.reference([ONE, ONE], [BESIDE, BESIDE], "int8", budgets.read), False),
    "rounded too much once": (gates.reference([ONE] * 99, [ONE] * 98 + [FAR], "int8", budgets.read), False),
    "exact": (gates.reference([ONE], [ONE], "fp32", budgets.read), True),
    "of a precision without bounds": (gates.reference([ONE], [ONE], "int4", budgets.read), False),
    "of no precision": (gates.reference([ONE], [ONE], "", budgets.read), False),
    "its own vectors": (gates.own([ONE], [ONE], 0.9999), True),
    "its own vectors, moved by rounding": (gates.own([ONE], [BESIDE], 0.9999), False),
    "as likely as recorded": (gates.proof(0.004, 0.01), True),
    "less likely": (gates.proof(0.02, 0.01), False),
    "nothing was proven": (gates.proof(NAN, 0.01), False),
    "quick": (gates.latency([1.0, 2.0, 30.0], 5.0, 50), True),
    "slow at the end": (gates.latency([1.0, 2.0, 30.0], 5.0, 95), False),
    "nothing was timed": (gates.latency([], 5.0, 95), False),
    "no error": (gates.errors(0, 40, 0.0), True),
    "an error where none may be": (gates.errors(1, 40, 0.0), False),
    "few enough": (gates.errors(1, 100, 0.01), True),
    "nothing was asked": (gates.errors(0, 0, 1.0), False),
    "steady": (gates.memory(Memory(300, 310), 1024, 64), True),
    "it shrinks": (gates.memory(Memory(310, 300), 1024, 64), True),
    "it leaks": (gates.memory(Memory(300, 400), 1024, 64), False),
    "too large": (gates.memory(Memory(1020, 1030), 1024, 64), False),
    "nobody knows how large": (gates.memory(Memory(300, NAN), 1024, 64), False),
    "nor how large it was": (gates.memory(Memory(NAN, 300), 1024, 64), False),
}


@pytest.mark.parametrize(("verdict", "passed"), CASES.values(), ids=CASES)
def test_a_gate_passes_what_it_should(verdict: Verdict, passed: bool) -> None:
    assert verdict.passed is passed
    assert verdict.found


@pytest.mark.parametrize(("percent", "value"), [(50, 5.0), (95, 10.0), (90, 9.0), (100, 10.0), (1, 1.0)])
def test_percentiles_are_nearest_rank(percent: float, value: float) -> None:
    assert gates.percentile([float(n) for n in range(10, 0, -1)], percent) == value


def test_cosine() -> None:
    assert gates.cosine([1.0, 0.0], [2.0, 0.0]) == pytest.approx(1.0)
    assert gates.cosine([1.0, 0.0], [0.0, 3.0]) == pytest.approx(0.0)
    assert gates.cosine([0.0, 0.0], [1.0, 0.0]) == 0.0
    assert gates.cosine([1.0], [1.0, 0.0]) == 0.0


def test_a_metric_is_the_sum_of_its_series() -> None:
    text = '# TYPE a_total counter\na_total{stage="x"} 2.0\na_total{stage="y"} 3.0\nab 7\n'
    text += "process_resident_memory_bytes 1.048576e+06\n"
    assert gates.series(text, "a_total") == 5.0
    assert gates.resident_mib(text) == 1.0
    assert math.isnan(gates.series(text, "b"))
