"""The newest run that failed, told again from its own papers: what failed, why, and where its logs are.

A long log ends with what was taken away; what went wrong stands far above it, or is no longer kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from provision import verification

GOOD = {"ok", "unchanged"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One step or check that did not stand. outcome: failed, error, skipped, drift, waits or not reached."""

    name: str
    outcome: str
    why: str


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run with at least one failure. what: the task that ran, or `verify`. folder: its logs and evidence."""

    utc: str
    what: str
    folder: Path
    failures: tuple[Failure, ...]

    def text(self) -> str:
        """A line a failure, the steps first."""
        rows = [f"  {one.outcome:<8} {one.name}{'   ' if one.why else ''}{one.why}" for one in self.failures]
        return "\n".join([f"{self.what}, {self.utc}: {len(rows)} did not stand; logs in {self.folder}", *rows])

    def as_json(self) -> dict[str, object]:
        """The JSON of `provision.report --json`."""
        failures = [asdict(one) for one in self.failures]
        return {"utc": self.utc, "what": self.what, "folder": str(self.folder), "failures": failures}


def newest(state_dir: Path) -> FailedRun | None:
    """The newest run in which a step or a check failed, or None."""
    for folder in sorted((state_dir / "runs").glob("*"), reverse=True):
        if failures := (*_steps(folder), *_checks(folder)):
            return FailedRun(folder.name, _what(folder), folder, failures)
    return None


def _steps(folder: Path) -> Iterator[Failure]:
    for event in _events(folder):
        if event["kind"] == "step" and event["state"] == "end" and event["result"] not in GOOD:
            yield Failure(f"{event['step']} {event['site']}", str(event["result"]), str(event["why"]))


def _checks(folder: Path) -> Iterator[Failure]:
    """From the parts of the JUnit, not the whole: a run that was ended has no whole."""
    for path in sorted(folder.glob("junit.*.xml")):
        for check in verification.read_junit(path):
            if check.outcome != "passed":
                yield Failure(check.name, check.outcome, check.why)


def _what(folder: Path) -> str:
    return next((str(event["what"]) for event in _events(folder) if event["kind"] == "run"), "a run")


def _events(folder: Path) -> list[dict[str, object]]:
    path = folder / "events.jsonl"
    return [json.loads(row) for row in path.read_text().splitlines()] if path.exists() else []
