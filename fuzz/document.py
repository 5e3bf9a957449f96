"""schemathesis over the OpenAPI document, in an environment of its own: edges, random cases, and along links."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bench import venvs
from provision import shell
from provision.errors import CheckFailed

CONFIG = Path(__file__).with_name("schemathesis.toml")
RUN_S = 3600
PHASES = ("coverage", "fuzzing", "stateful")  # that must have run
SHARE = 4  # a case asked for of each operation comes to more in all, though half of them have nothing to vary


@dataclass(frozen=True, slots=True)
class Found:
    """What its report says. skipped: phases that should have run and did not."""

    cases: int
    failures: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float
    log: Path

    def lines(self) -> list[str]:
        """For people."""
        told = f"document: {self.cases} cases in {self.seconds:.0f} s; {len(self.failures)} kinds of failure"
        return [told, *(f"document: WRONG {one}" for one in self.failures)]


def run(port: int, cases: int, seed: int, folder: Path) -> Found:
    """Against a service on loopback; report and output go into the folder. Raises CheckFailed without a report."""
    report, log = folder / "schemathesis.json", folder / "schemathesis.log"
    report.unlink(missing_ok=True)
    words = ["--seed", seed, "--max-examples", max(1, cases // SHARE), "--no-shrink", "--continue-on-failure"]
    words += ["--request-timeout", 30, "--report", "json", "--report-json-path", report]
    argv = [venvs.python(("fuzz",)).parent / "st", "--config-file", CONFIG, "run", *words]
    url = f"http://127.0.0.1:{port}/openapi.json"
    ended = shell.run([*map(str, argv), url], cwd=folder, ok=(0, 1), deadline_s=RUN_S, heartbeat="schemathesis")
    log.write_text(ended.stdout + ended.stderr)
    if not report.exists():
        raise CheckFailed("schemathesis left no report", why=ended.stderr[-600:] or ended.stdout[-600:], log=str(log))
    return read(report.read_text(), log)


def read(report: str, log: Path) -> Found:
    """Its JSON."""
    told = json.loads(report)
    failures = [
        f"{one['title']} ({one['code']}) x{one['count']}: {', '.join(one['operations'])}" for one in told["failures"]
    ]
    failures += [f"error: {one}" for one in told["errors"]]
    skipped = [name for name in PHASES if told["phases"].get(name, {}).get("status", "skip") == "skip"]
    return Found(told["test_cases"]["generated"], tuple(failures), tuple(skipped), float(told["running_time"]), log)
