"""The fuzzers themselves: seeded, judged by one set of rules, and never green for having done nothing."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from fuzz import document, mutate, peers, rules
from fuzz.__main__ import judged
from fuzz.mutate import Case
from fuzz.tally import Tally
from fuzz.wire import End, Outcome
from serving import app
from serving.service import Service

CASE = Case((b"x",), leaves=False)
ENOUGH = rules.LEAST_CASES


def test_a_number_makes_the_same_bytes_and_another_one_others() -> None:
    assert mutate.case(5, 7) == mutate.case(5, 7)
    assert len({mutate.case(5, number).pieces for number in range(200)}) > 190
    assert mutate.case(6, 7) != mutate.case(5, 7)


def test_every_path_is_met_whole_and_spoilt() -> None:
    sent = [b"".join(mutate.case(5, number).pieces) for number in range(500)]
    for path in mutate.PATHS:
        assert sum(one.startswith(f"POST {path} HTTP/1.".encode()) for one in sent) > 50
    assert any(one.count(b" HTTP/1.") == 2 for one in sent)
    assert any(b"\r\n\r\n" not in one for one in sent)


def test_schemathesis_is_told_the_same_as_the_rules_say() -> None:
    told = tomllib.loads(document.CONFIG.read_text())["checks"]["not_a_server_error"]["expected-statuses"]
    allowed = {status for status in range(500, 600) if rules.is_allowed(status, "serving")}
    assert {one for one in told if isinstance(one, int)} == allowed
    assert "5xx" not in told


@pytest.mark.parametrize(
    ("phase", "status", "is_allowed"),
    [
        ("serving", 504, True),
        ("serving", 503, False),
        ("serving", 500, False),
        ("starting", 503, True),
        ("draining", 503, True),
        ("draining", 502, False),
    ],
)
def test_what_a_process_may_answer_depends_on_its_phase(phase: rules.Phase, status: int, is_allowed: bool) -> None:
    tally = Tally("stage", phase)
    tally.add(1, Outcome("answered", status, 0.1, CASE))
    assert (not tally.wrong) == is_allowed


def test_a_connection_that_hangs_is_wrong_and_one_that_is_refused_no_case() -> None:
    tally = _tally("hung", "closed", "refused", "left")
    assert len(tally.wrong) == 1 and "hung" in tally.wrong[0]
    assert tally.cases == 3


def test_nothing_found_is_green_and_too_few_cases_are_red() -> None:
    enough, few = _found(ENOUGH), _found(ENOUGH - 1)
    closed: list[End] = ["closed"] * ENOUGH
    serving, less = _tally(*closed), _tally(*closed[1:])
    assert judged(enough, [serving, Tally("stage", "draining")], is_same=True, code=0) == []
    assert "the document: only" in judged(few, [serving], is_same=True, code=0)[0]
    assert "stage serving: only" in judged(enough, [less], is_same=True, code=0)[0]
    assert judged(enough, [serving], is_same=False, code=0)
    assert judged(enough, [serving], is_same=True, code=1)
    assert judged(replace(enough, skipped=("stateful",)), [serving], is_same=True, code=0)
    assert judged(enough, [serving, _tally("hung")], is_same=True, code=0)


def test_failures_of_the_document_are_read_from_its_report() -> None:
    failure = {"title": "Server error", "code": "ST100", "count": 2, "operations": ["POST /embed"]}
    found = _found(3000, failures=[failure], errors=["timeout"], stateful="skip")
    assert found.failures == ("Server error (ST100) x2: POST /embed", "error: timeout")
    assert found.skipped == ("stateful",)
    assert found.cases == 3000


def test_the_router_has_no_more_patience_than_the_stage() -> None:
    stage, router = peers.stage(Path("models")), peers.router(8001)
    assert float(router.env["BODY_S"]) * 1000 == float(stage.env["REQUEST_TIMEOUT_MS"]) < rules.HANG_S * 1000
    assert router.env["PRODUCTION_URL"].endswith(":8001")


def test_both_are_asked_where_they_say_that_they_are_ready() -> None:
    paths = {getattr(route, "path", "") for route in app._process(cast(Service, None)).routes}
    stage, router = peers.stage(Path("models")), peers.router(8001)
    assert stage.health == router.health == "/readyz"
    assert stage.health in paths, "the router has the same: tests/test_serving_canary.py asks it"


def _tally(*ends: End) -> Tally:
    tally = Tally("stage", "serving")
    for number, end in enumerate(ends):
        tally.add(number, Outcome(end, 0, 0.1, CASE))
    return tally


def _found(
    cases: int,
    failures: list[dict[str, object]] | None = None,
    errors: list[str] | None = None,
    stateful: str = "success",
) -> document.Found:
    phases = {"coverage": {"status": "success"}, "fuzzing": {"status": "failure"}, "stateful": {"status": stateful}}
    told = {
        "test_cases": {"generated": cases},
        "failures": failures or [],
        "errors": errors or [],
        "phases": phases,
        "running_time": 1.0,
    }
    return document.read(json.dumps(told), Path("log"))
