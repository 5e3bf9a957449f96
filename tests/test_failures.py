"""What the newest failed run tells again."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision import failures, planning
from provision.engine import Plan
from provision.errors import DriftFound
from provision.failures import Failure
from provision.settings import load
from provision.state import Run
from provision.step import Change

RED = """<testsuites><testsuite><testcase classname="verify.check_lease" name="test_active[a]" time="0.5"/>
<testcase classname="verify.check_lease" name="test_hours[a]" time="0.1">
<failure message="site = Site(name='a')">site = Site(name='a')
&gt;   assert 3 &gt; 20
E   AssertionError: 3 hours left
E   assert 3</failure>
</testcase></testsuite></testsuites>"""


def failed(folder: Path, utc: str) -> Run:
    run = Run(folder, utc)
    run.event("run", what="provision.all")
    run.event("step", step="network", site="a", state="start")
    run.event("step", step="network", site="a", state="end", result="ok", why="")
    run.event("step", step="nodes", site="a", state="end", result="failed", why="server x: ERROR")
    (run.folder / "junit.lease.a.xml").write_text(RED)
    return run


def test_the_newest_failed_run_is_told_though_newer_ones_went_well(tmp_path: Path) -> None:
    failed(tmp_path, "20261101T000000Z")
    failed(tmp_path, "20261102T000000Z")
    Run(tmp_path, "20261103T000000Z").event("step", step="nodes", site="a", state="end", result="unchanged", why="")
    found = failures.newest(tmp_path)
    assert found and (found.utc, found.what) == ("20261102T000000Z", "provision.all")
    assert found.failures == (
        Failure("nodes a", "failed", "server x: ERROR"),
        Failure("check_lease::test_hours[a]", "failed", "AssertionError: 3 hours left assert 3"),
    )
    assert "3 hours left" in found.text() and found.as_json()["utc"] == found.utc


def test_where_nothing_failed_nothing_is_told(tmp_path: Path) -> None:
    Run(tmp_path, "20261103T000000Z").event("step", step="nodes", site="a", state="end", result="ok", why="")
    assert failures.newest(tmp_path) is None and failures.newest(tmp_path / "no platform yet") is None


def test_drift_is_kept_with_every_change(tmp_path: Path) -> None:
    run = Run(tmp_path, "20261103T000000Z")
    plans = [Plan("lease", "a"), Plan("charts", "a", [Change("update", "release x", "values differ")])]
    planning.refuse_drift(load("rehearsal"), run, plans[:1])
    with pytest.raises(DriftFound, match="1 changes"):
        planning.refuse_drift(load("rehearsal"), run, plans)
    found = failures.newest(tmp_path)
    assert found and found.failures == (Failure("charts a", "drift", "update release x (values differ)"),)
