"""Running the live checks under verify/: pytest in a process of its own, JUnit beside the run's logs."""

from __future__ import annotations

import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provision import say, shell
from provision.errors import CheckFailed
from provision.settings import ROOT, Settings
from provision.state import Run, utc_now
from provision.step import AnyStep

DEADLINE_S = 900.0
WORKERS_A_SITE = 2  # both sites check at the same time
WHY_LINES = 2  # of a failed check, in a summary
NONE_DUE = "none due"  # in place of a stamp: nothing of this step is checked at this site
NONE_COLLECTED = 5  # pytest: every collected check belongs to another site


@dataclass(frozen=True, slots=True)
class Check:
    """One check's result. outcome: passed, failed, error or skipped."""

    name: str
    outcome: str
    seconds: float
    why: str = ""


def run_checks(settings: Settings, run: Run, step: AnyStep, site: str, *, alone: bool = False) -> str:
    """Run what is due right after a step at a site; returns the UTC stamp of the green run.

    alone: leave out what speaks about the other site too, since that site's own run asks it now.

    Raises CheckFailed naming each red check. A run in which nothing passed is red, unless all that is due speaks
    about the other site only: then NONE_DUE.
    """
    label = f"{step.NAME}.{site}"
    report, log = run.folder / f"junit.{label}.xml", run.folder / f"checks.{label}.log"
    started = time.monotonic()
    where = ["--env", settings.env, "--site", site, "--step", step.NAME, "--run-dir", str(run.folder)]
    where += ["--alone"] if alone else []
    where += side_by_side(len(step.CHECKS), WORKERS_A_SITE)
    pytest = [sys.executable, "-m", "pytest", "-c", str(ROOT / "verify" / "pytest.ini"), "--rootdir", str(ROOT)]
    ended = shell.run(
        [*pytest, *where, f"--junitxml={report}", str(ROOT / "verify")],
        deadline_s=DEADLINE_S,
        ok=range(256),
        log=log,
        cwd=ROOT,
        heartbeat=f"checks of {label}",
    )
    results = read_junit(report)
    for check in results:
        run.event("check", name=check.name, outcome=check.outcome, seconds=check.seconds, step=step.NAME, site=site)
    if ended.code == NONE_COLLECTED and not results:
        say.line(step.NAME, "note", f"{site}: what is due now speaks about the other site only")
        return NONE_DUE
    passed = sum(check.outcome == "passed" for check in results)
    if ended.code or passed < len(results) or not passed:
        raise _red(settings, label, site, results, log)
    say.line(step.NAME, "green", f"{site}: {passed} checks in {time.monotonic() - started:.0f}s")
    return utc_now()


def side_by_side(files: int, workers: int = 3) -> list[str]:
    """pytest's words for checking files beside each other, where there are enough: a worker costs seconds to start.

    workers: most of a check is waiting, but the pods that it waits for share the processors; three were the quickest
    on two cores. Each holds about 150 MiB.
    """
    if files < 2 * workers:
        return []
    return ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]


def _red(settings: Settings, label: str, site: str, results: Sequence[Check], log: Path) -> CheckFailed:
    red = [check for check in results if check.outcome != "passed"]
    counted = f"{len(red)} red, {len(results) - len(red)} green" if results else "nothing was checked"
    return CheckFailed(
        f"checks of {label}: {counted}",
        why="\n".join(f"{check.name}: {check.why}" for check in red) or _tail(log),
        log=str(log),
        next=f"nox -s verify -- --env {settings.env} --site {site}",
    )


def read_junit(path: Path) -> list[Check]:
    """The checks of a JUnit file; empty when there is none."""
    if not path.exists():
        return []
    return [_check(case) for case in ElementTree.parse(path).getroot().iter("testcase")]


def merge_junit(run: Run) -> Path:
    """All JUnit files of a run as one `junit.xml`."""
    suites = ElementTree.Element("testsuites")
    for path in sorted(run.folder.glob("junit.*.xml")):
        suites.extend(ElementTree.parse(path).getroot().iter("testsuite"))
    merged = run.folder / "junit.xml"
    ElementTree.ElementTree(suites).write(merged, encoding="unicode")
    return merged


def _check(case: ElementTree.Element) -> Check:
    name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name', '')}"
    seconds = float(case.get("time", "0"))
    for outcome, tag in (("failed", "failure"), ("error", "error"), ("skipped", "skipped")):
        found = case.find(tag)
        if found is not None:
            return Check(name, outcome, seconds, _why(found.get("message") or "", found.text or ""))
    return Check(name, "passed", seconds)


def _why(message: str, text: str) -> str:
    """The sentence of a failed check: what pytest marks with E, since a message may begin with the fixtures."""
    marked = [row[1:].strip() for row in text.splitlines() if row.startswith("E ")]
    return " ".join((marked or message.splitlines())[:WHY_LINES])


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").strip().splitlines()[-8:]) if log.exists() else ""
