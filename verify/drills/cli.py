"""What a person would type, run as they would run it, and what came of it."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import shell, verification
from provision.errors import CheckFailed, PlatformError
from provision.settings import ROOT, Settings
from provision.state import Run, write_atomic
from verify import budgets

MANY = 24  # files of a whole verification: enough to be checked side by side


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended. data: its `--json`."""

    code: int
    data: Mapping[str, Any]
    seconds: float
    log: Path


@dataclass(frozen=True, slots=True)
class Verification:
    """A whole verification. red: `check_charts::test_x[kvm-tacc]`; evidence: the folder with one folder a red check."""

    red: tuple[str, ...]
    green: int
    seconds: float
    evidence: Path
    log: Path


class CommandRed(PlatformError):
    """A command of the drill ended badly."""


@dataclass(frozen=True)
class Cli:
    """`invoke` and the checks, against one environment; logs go into the drill's run folder."""

    settings: Settings
    run: Run

    def invoke(self, *words: str, deadline: str = "drill.repair_deadline_s") -> Answer:
        """`invoke WORDS --env E --yes --json`. deadline: a key of budgets.toml. Any exit code is an answer."""
        ended = shell.run(
            self.argv(*words), cwd=ROOT, ok=range(-64, 256), deadline_s=self.budget(deadline), heartbeat=" ".join(words)
        )
        log = self.run.folder / f"{self._number():03d}.{words[0]}.log"
        write_atomic(log, f"{' '.join(words)}: exit code {ended.code} after {ended.seconds:.1f} s\n{ended.stderr}")
        return Answer(ended.code, json.loads(ended.stdout or "{}"), ended.seconds, log)

    def must(self, *words: str, deadline: str = "drill.repair_deadline_s") -> Answer:
        """The same; anything but 0 is a failure of the drill."""
        answer = self.invoke(*words, deadline=deadline)
        if answer.code:
            raise CommandRed(
                f"invoke {' '.join(words)}: exit code {answer.code}", why=tail(answer.log), log=str(answer.log)
            )
        return answer

    def verify(self, *areas: str, site: str = "") -> Verification:
        """Live checks in a run folder of their own: `check_<area>.py`, one of them (`<area>::<check>`), or all."""
        folder = self.run.folder.parent / f"{self.run.utc}.{self._number():03d}"
        named = (area.partition("::") for area in areas)
        files = [f"verify/check_{file}.py{sep}{check}" for file, sep, check in named] or ["verify"]
        where = ["--site", site] if site else []
        report, log = folder / "junit.verify.xml", folder / "checks.verify.log"
        words = [
            "--env",
            self.settings.env,
            "--settled",
            *where,
            "--run-dir",
            str(folder),
            f"--junitxml={report}",
            *verification.side_by_side(len(areas) or MANY),
            *files,
        ]
        ended = shell.run(
            [sys.executable, "-m", "pytest", "-c", "verify/pytest.ini", "--rootdir", ".", *words],
            cwd=ROOT,
            log=log,
            ok=range(256),
            deadline_s=self.budget("drill.red_deadline_s"),
            heartbeat=f"verify {' '.join(areas) or 'all'}",
        )
        checks = verification.read_junit(report)
        red = tuple(check.name for check in checks if check.outcome != "passed")
        if not checks or bool(red) != bool(ended.code):
            raise CheckFailed(
                f"verify: exit code {ended.code}, {len(red)} red of {len(checks)}", why=tail(log), log=str(log)
            )
        return Verification(red, len(checks) - len(red), ended.seconds, folder / "evidence", log)

    def must_verify(self, *areas: str, site: str = "") -> Verification:
        """The same; a red check is a failure of the drill."""
        found = self.verify(*areas, site=site)
        if found.red:
            raise CheckFailed(f"verify: {len(found.red)} red", why="\n".join(found.red), log=str(found.log))
        return found

    def start(self, *words: str) -> tuple[int, Path]:
        """The same as `invoke`, in the background: its process id and its log."""
        log = self.run.folder / f"{self._number():03d}.{words[0]}.log"
        return shell.spawn(self.argv(*words), log=log, cwd=ROOT), log

    def argv(self, *words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "invoke", *words, "--env", self.settings.env, "--yes", "--json"]

    def budget(self, key: str) -> float:
        """A number of budgets.toml."""
        return budgets.read(key, env=self.settings.env)

    def _number(self) -> int:
        """How many commands this run has seen: names stay in the order in which things happened."""
        named = [path for path in self.run.folder.parent.iterdir() if path.name.startswith(f"{self.run.utc}.")]
        return len(named) + len(list(self.run.folder.glob("[0-9]*.*.log")))


def kill(pid: int) -> None:
    """SIGKILL to one process that `Cli.start` started; its children live on, as they would on a bad day."""
    os.kill(pid, signal.SIGKILL)


def unexpected(red: Sequence[str], must: str, may: Sequence[str]) -> list[str]:
    """Red checks that the fault does not explain. must, may: patterns at the beginning of `file::check[id]`."""
    return [name for name in red if not any(re.match(pattern, name) for pattern in (must, *may))]


def hit(red: Sequence[str], must: str) -> list[str]:
    """Red checks that had to be red."""
    return [name for name in red if re.match(must, name)]


def collected(evidence: Path, red: Sequence[str]) -> dict[str, int]:
    """How many files each red check has as evidence, its own or those that its summary points to."""
    counts = {}
    for name in red:
        folders = [path for path in evidence.glob("*") if path.name == folder_of(name)]
        texts = [(path / "summary.txt").read_text() for path in folders if (path / "summary.txt").exists()]
        counts[name] = sum(
            len(list(path.glob("*/*.txt"))) + text.count(": as in ") for path, text in zip(folders, texts, strict=True)
        )
    return counts


def folder_of(name: str) -> str:
    """The evidence folder of a check by its JUnit name."""
    from verify.evidence import folder_name

    module, _, check = name.partition("::")
    return folder_name(f"verify/{module}.py::{check}")


def steps_begun(events: Path) -> set[str]:
    """Steps with at least one change in an events file; its last line may be half-written."""
    rows = events.read_text().split("\n")[:-1] if events.exists() else []
    return {row["step"] for row in map(json.loads, rows) if row["kind"] == "change"}


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:]) if log.exists() else ""
