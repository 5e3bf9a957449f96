"""The verdict of a live run: every check by name, with its figures; red when nothing passed or anything was skipped.

A pytest plugin object, registered by conftest.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

FIGURE = "figure"


@dataclass(frozen=True, slots=True)
class Row:
    """How one check ended. outcome: passed, failed, error, skipped or xfailed."""

    nodeid: str
    outcome: str
    seconds: float
    figures: tuple[str, ...] = ()


@dataclass
class Board:
    """Collects the rows of a run. caveats: what every summary says. elsewhere: checks of sites not asked for."""

    caveats: Sequence[str]
    collect_only: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    elsewhere: int = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst phase of each check, and the sum of their times."""
        before = self.rows.get(report.nodeid)
        if before is None and report.when == "teardown" and report.passed:
            return
        self.rows[report.nodeid] = merged(before, report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A run that proves nothing must not end with 0."""
        if self.collect_only or session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return
        if verdict(list(self.rows.values())):
            nothing_here = not self.rows and self.elsewhere
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED if nothing_here else pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Every check by name."""
        if self.collect_only:
            return
        terminalreporter.section("checks")
        for row in self.rows.values():
            terminalreporter.write_line(line(row))
        for caveat in self.caveats:
            terminalreporter.write_line(caveat)
        counts = Counter(row.outcome for row in self.rows.values())
        terminalreporter.write_line(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "0 checks")
        if self.elsewhere:
            terminalreporter.write_line(f"{self.elsewhere} checks speak about sites that were not asked for")
        red = verdict(list(self.rows.values()))
        if red:
            terminalreporter.write_line(f"RED: {red}", red=True)


def verdict(rows: Sequence[Row]) -> str:
    """Why a run is red, or '' when it is green."""
    worse = sorted({row.outcome for row in rows} - {"passed"})
    if worse:
        named = [row.nodeid for row in rows if row.outcome != "passed"]
        return f"{', '.join(worse)}: {' '.join(named)}"
    return "" if rows else "nothing was checked"


def merged(before: Row | None, report: pytest.TestReport) -> Row:
    """A check's row after one more of its phases (setup, call, teardown)."""
    outcome = _outcome(report)
    figures = tuple(str(value) for name, value in report.user_properties if name == FIGURE)
    if before is None:
        return Row(report.nodeid, outcome, report.duration, figures)
    kept = before.outcome if outcome == "passed" else outcome
    return Row(report.nodeid, kept, before.seconds + report.duration, figures)


def line(row: Row) -> str:
    """`passed    0.31s verify/check_gpu.py::test_...  figures`."""
    return f"{row.outcome:<8} {row.seconds:6.2f}s {row.nodeid}{'   ' if row.figures else ''}{'; '.join(row.figures)}"


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xfailed"
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return "skipped" if report.skipped else "passed"
