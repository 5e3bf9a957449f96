"""The report's picture and the JUnit reading."""

from __future__ import annotations

from pathlib import Path

from provision import report, verification

EVENTS: list[dict[str, object]] = [
    {"utc": "2026-11-23T10:00:00.000+00:00", "kind": "run"},
    {"utc": "2026-11-23T10:00:01.000+00:00", "kind": "step", "step": "lease", "site": "a", "state": "start"},
    {
        "utc": "2026-11-23T10:00:05.000+00:00",
        "kind": "step",
        "step": "lease",
        "site": "a",
        "state": "end",
        "result": "ok",
    },
]

JUNIT = """<testsuites><testsuite><testcase classname="verify.check_lease" name="test_active[a]" time="0.5"/>
<testcase classname="verify.check_lease" name="test_hours[a]" time="0.1">
<failure message="3 hours left">x</failure></testcase>
</testsuite></testsuites>"""


def test_a_bar_reaches_from_start_to_end() -> None:
    assert report.spans(EVENTS) == [report.Span("lease a", 1.0, 5.0, "ok")]


def test_the_timeline_is_a_picture_with_a_bar_a_step() -> None:
    picture = report.timeline(report.spans(EVENTS))
    assert picture.startswith("<svg") and picture.count("<rect") == 1 and "lease a" in picture


def test_a_run_without_steps_says_so() -> None:
    assert report.timeline(report.spans([])) == "<p>No step ran.</p>"


def test_junit_names_each_check_and_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT)
    good, bad = verification.read_junit(path)
    assert (good.name, good.outcome) == ("check_lease::test_active[a]", "passed")
    assert (bad.outcome, bad.why) == ("failed", "3 hours left")


def test_no_junit_file_means_nothing_was_checked(tmp_path: Path) -> None:
    assert verification.read_junit(tmp_path / "absent.xml") == []
