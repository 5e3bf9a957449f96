from __future__ import annotations

import asyncio
import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as benchmark
from bench import load, measure, report, server, targets, texts, venvs
from bench.load import Figure
from bench.machine import describe
from bench.measure import Facts, Row
from bench.peers import CTRANSLATE2, ORIGINAL, OURS, OURS_BOTH, OURS_SUMMARIES, PEERS, SMOKE
from bench.quality import Quality
from bench.targets import BEST, Target
from provision.errors import UsageError
from provision.settings import ROOT
from serving.config import from_env

LEAST = Target("abstracts_64", "rate", CTRANSLATE2, 1.1)


def row(number: int, peer: str, rate: float, *, failed: int = 0, name: str = "abstracts_64") -> Row:
    return Row(number, name, peer, Figure(rate, 1000 / rate, 2000 / rate, 10, failed, server_ms=0.9, client_ms=0.2))


def made(rows: list[Row], facts: list[Facts] | None = None) -> report.Report:
    verdicts = tuple(targets.judge(rows, facts or [], {}))
    return report.Report("2026-01-01T00:00Z", describe(), 1, tuple(rows), tuple(facts or []), verdicts, False, {})


def test_a_ratio_is_taken_within_a_round_and_its_median_is_judged() -> None:
    rates = [(10.0, 9.0), (100.0, 80.0), (1.0, 2.0)]  # the machine was ten times faster in the second round
    rows = [
        row(n, peer, rate) for n, pair in enumerate(rates) for peer, rate in zip((OURS, CTRANSLATE2), pair, strict=True)
    ]
    verdict = targets.judge(rows, [], {})[0]
    assert verdict.what == "abstracts_64 rate vs ctranslate2"
    assert (verdict.low, verdict.high) == (0.5, 1.25)
    assert verdict.median == pytest.approx(10 / 9)
    assert verdict.is_met


def test_a_latency_has_to_be_below_and_the_best_peer_counts() -> None:
    rows = [row(0, OURS, 5.0, name="queries_1"), row(0, "slow", 1.0, name="queries_1")]
    best = Target("queries_1", "p50_ms", BEST, 1.0)
    assert targets._ratios(best, rows) == [pytest.approx(0.2)]
    rows.append(row(0, "fast", 10.0, name="queries_1"))
    assert targets._ratios(best, rows) == [pytest.approx(2.0)]
    assert not best.is_met(2.0)
    assert not best.is_met(float("nan"))


def test_a_drive_with_failed_requests_is_no_evidence() -> None:
    rows = [row(0, OURS, 100.0, failed=1), row(0, CTRANSLATE2, 1.0)]
    assert targets._ratios(LEAST, rows) == []
    verdict = targets.judge(rows, [], {})[0]
    assert verdict.is_met is None
    assert benchmark.exit_code(made(rows)) == 1, "requests to ours failed"


def test_a_missed_target_and_a_silent_service_are_red() -> None:
    met = made([row(0, OURS, 2.0), row(0, CTRANSLATE2, 1.0)])
    assert benchmark.exit_code(met) == 0
    assert benchmark.exit_code(replace(met, verdicts=())) == 1, "nothing was compared"
    assert benchmark.exit_code(replace(met, verdicts=(), is_smoke=True)) == 0
    assert benchmark.exit_code(replace(met, rows=(row(0, CTRANSLATE2, 2.0),))) == 1
    missed = made([row(0, OURS, 1.0), row(0, CTRANSLATE2, 1.0)])
    assert benchmark.exit_code(missed) == 1


def test_a_server_that_answers_other_vectors_is_no_peer() -> None:
    for cosine, code in ((0.9977, 0), (0.63, 1), (float("nan"), 1)):
        facts = (Facts(ORIGINAL, "fp32", quality=Quality(cosine, cosine, 1.0, 1.0)),)
        assert benchmark.exit_code(replace(made([row(0, OURS, 2.0)]), facts=facts, is_smoke=True)) == code


def test_what_the_engine_reaches_alone_stands_beside_a_missed_rate() -> None:
    name = "queries_64"
    rows = [row(n, peer, rate, name=name) for n in range(3) for peer, rate in ((OURS, 1800.0), (ORIGINAL, 18.0))]
    found = next(
        one for one in targets.judge(rows, [], {"queries": 2700.0}) if "original" in one.what and name in one.what
    )
    assert (found.median, found.is_met, found.most) == (100.0, False, 150.0)
    told = "\n".join(report.lines(replace(made(rows), verdicts=(found,), alone={"queries": 2700.0})))
    assert "our engine alone         queries      2700.00/s" in told
    assert "MISSED  (engine alone: 150x)" in told
    assert all(one.most is None for one in targets.judge(rows, [], {"abstracts": 1.0}))


def test_embeddings_beside_summaries_are_held_against_those_without() -> None:
    name = "abstracts_1"
    rates = [(name, 100.0), (measure.beside(name), 80.0)]
    rows = [row(number, OURS_BOTH, rate, name=asked) for number in range(3) for asked, rate in rates]
    rows += [row(3, OURS_BOTH, 100.0, name=name), row(3, OURS_BOTH, 1.0, failed=1, name=measure.beside(name))]
    verdict = next(one for one in targets.judge(rows, [], {}) if one.what == "abstracts_1_beside_4 p99_ms vs without")
    assert (verdict.low, verdict.high, verdict.is_met) == (1.25, 1.25, True)
    slow = [row(0, OURS_BOTH, 100.0, name=name), row(0, OURS_BOTH, 60.0, name=measure.beside(name))]
    assert [one.is_met for one in targets.judge(slow, [], {}) if "beside" in one.what] == [False, None]


def test_memory_is_judged_for_both_models_together() -> None:
    facts = [Facts(OURS, "int8", 2.0, 400), Facts(OURS_SUMMARIES, "int8", 6.0, 700)]
    found = {verdict.what: verdict.is_met for verdict in targets.judge([], facts, {})}
    assert found["resident memory of both models, MiB"] is False
    assert found["ours ready, s"] is True
    assert found["ours (summaries) ready, s"] is False
    assert not any("memory" in verdict.what for verdict in targets.judge([], facts[:1], {}))


def test_a_peer_that_cannot_be_had_is_reported_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    @contextmanager
    def running(*_args: Any) -> Any:
        raise venvs.Unavailable("bench-fastembed cannot be installed", why="no such version")
        yield

    monkeypatch.setattr(server, "running", running)
    facts: list[Facts] = []
    with ExitStack() as stack:
        assert measure._start(PEERS[:2], tmp_path, tmp_path, stack, facts) == []
    assert [one.peer for one in facts] == [OURS, ORIGINAL]
    assert "not available: bench-fastembed cannot be installed: no such version" in next(report.lines(made([], facts)))


def test_precision_and_quality_stand_beside_the_rates() -> None:
    quality = Quality(0.9977, 0.9941, 0.73, 0.74)
    lines = "\n".join(report.lines(made([row(0, OURS, 2.0)], [Facts(OURS, "int8", 2.0, 400, quality)])))
    assert re.search(r"ours +int8  rss 400 MiB  ready 2.0 s  cos 0.9977/0.9941 recall@10 0.730 \(fp32 0.740\)", lines)
    assert "core ms/answer: server 0.90 client 0.20" in lines
    assert "not compared" in lines


def test_the_report_says_what_the_machine_is_and_not_what_it_is_called() -> None:
    data = json.loads(json.dumps(made([row(0, OURS, 2.0)]).data()))
    assert set(data["machine"]) >= {"processor", "cores", "flags", "memory_gib", "load", "niceness"}
    assert str(ROOT) not in json.dumps(data)


def exchange(answer: bytes) -> tuple[int, bytes]:
    class Writer:
        def write(self, _data: bytes) -> None:
            pass

    async def run() -> tuple[int, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(answer)
        reader.feed_eof()
        return await load._exchange(reader, Writer(), b"")  # type: ignore[arg-type]

    return asyncio.run(run())


def test_an_answer_is_read_to_its_length() -> None:
    assert exchange(b"HTTP/1.1 429 Too Many\r\ncontent-length: 2\r\n\r\n{}next") == (429, b"{}")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n{}", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"]
)
def test_a_cut_or_unmeasured_answer_is_a_failure(answer: bytes) -> None:
    with pytest.raises(load.ServerFailed):
        exchange(answer)


def test_texts_are_many_and_differ_so_that_none_is_asked_for_twice_at_once() -> None:
    for found, words in ((texts.abstracts(), (120, 120)), (texts.queries(), (4, 9))):
        assert len(found) == len(set(found)) > 2 * 64
        assert all(words[0] <= len(text.split()) <= words[1] for text in found)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_server_has_its_file_and_pinned_packages(peer: Any) -> None:
    assert not peer.file or (ROOT / "bench" / "servers" / f"{peer.file}.py").is_file()
    for lock in peer.locks:
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        pins = re.findall(r"^\S+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
        assert len(pins) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 3
        assert "://" not in text


def test_servers_listen_on_loopback_only() -> None:
    for file in (ROOT / "bench" / "servers").glob("[a-z]*.py"):
        assert 'host="127.0.0.1"' in file.read_text(), file.name
    ours = next(peer for peer in PEERS if peer.name == OURS)
    config = from_env(ours.environment(1234, Path("/models")))
    assert (config.host, config.port, config.model_dir) == ("127.0.0.1", 1234, Path("/models/ours"))
    assert config.cache_mib == 0, "an answer from a cache is no evidence"


def test_the_smoke_has_ours_and_a_peer() -> None:
    assert OURS in SMOKE
    assert len(SMOKE) == 2
    assert set(SMOKE) <= {peer.name for peer in PEERS}


def test_a_name_that_no_server_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no server is called triton"):
        benchmark.run(False, 1, 1.0, ["triton"])
