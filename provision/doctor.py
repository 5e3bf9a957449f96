"""`invoke doctor`: what is wrong with this machine, these settings, these credentials, and what to type next."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from provision import embedded, say, shell
from provision.errors import PlatformError, PreconditionMissing, SettingsError
from provision.settings import Settings, cache_dir, load

TOOLS = {"git": "apt-get install -y git", "ssh": "apt-get install -y openssh-client"}
CLUSTER_TOOLS = ("kubectl", "helm", "sops")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination. next: what to type when it is not ok."""

    name: str
    ok: bool
    why: str
    next: str = ""


def run(env: str, *, live: bool = False) -> dict[str, object]:
    """Examine and say each finding; exit code 3 when something is wrong."""
    findings = list(examine(env, live=live))
    for finding in findings:
        say.line("doctor", "ok" if finding.ok else "fail", f"{finding.name}: {finding.why}")
        if not finding.ok:
            say.detail(f"next: {finding.next}")
    wrong = [finding for finding in findings if not finding.ok]
    return {
        "ok": not wrong,
        "exit_code": 3 if wrong else 0,
        "findings": [{"name": f.name, "ok": f.ok, "why": f.why, "next": f.next} for f in findings],
    }


def examine(env: str, *, live: bool) -> Iterator[Finding]:
    """The findings, cheapest first."""
    try:
        settings = load(env)
    except SettingsError as error:
        yield Finding("settings", False, str(error), error.next)
        return
    yield Finding("settings", True, f"{settings.env}, platform {settings.platform}")
    for tool, install in TOOLS.items():
        yield _tool(tool, install)
    yield from _machine(settings) if settings.embedded else _testbed(settings)
    stray = sorted(name for name in os.environ if name.startswith("OS_"))
    yield Finding("stray OS_*", not stray, ", ".join(stray) or "none", f"unset {' '.join(stray)}")
    if live:
        yield from _live(settings)


def _tool(tool: str, install: str) -> Finding:
    found = shell.find(tool)
    return Finding(tool, found is not None, str(found or "not on PATH"), install)


def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding("root", os.geteuid() == 0, f"uid {os.geteuid()}", "sudo ./tandem invoke provision.all")
    yield _tool("apt-get", "the rehearsal needs Debian or Ubuntu; --env chameleon does not")
    yield _tool("go", "install Go 1.26 or newer (only needed until every binary is cached)")
    cache = cache_dir()
    free = shutil.disk_usage(cache if cache.exists() else cache.parent if cache.parent.exists() else "/").free / 2**30
    yield Finding("disk", free >= 25, f"{free:.0f} GiB free for {cache}", "free some, or set TANDEM_CACHE")
    yield Finding("rehearsal", True, "up" if embedded.is_up(settings) else "not up: provision.all starts it")


def _testbed(settings: Settings) -> Iterator[Finding]:
    for tool in CLUSTER_TOOLS:
        yield _tool(tool, f"install {tool}, or run the rehearsal once: it resolves it into {cache_dir() / 'tools'}")
    path = settings.clouds_path
    yield Finding(
        "clouds.yaml", path.exists(), str(path), "docs/chameleon.md: an application credential (unrestricted) per site"
    )


def _live(settings: Settings) -> Iterator[Finding]:
    from provision.engine import open_sites
    from provision.state import Run

    if not embedded.is_up(settings):
        yield Finding("clouds", False, "the rehearsal is not up", "invoke rehearsal.up")
        return
    for name, site in open_sites(settings, Run(settings.state_dir)).items():
        yield _asked(f"{name} credentials", lambda site=site: f"{site.cloud.count_servers()} servers of ours")  # type: ignore[misc]
        yield _asked(f"{name} lease", lambda site=site: _hours(site.cloud.lease_hours_left()))  # type: ignore[misc]


def _asked(name: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, question())
    except PreconditionMissing as error:
        return Finding(name, False, f"{error.what} {error.why}".strip(), error.next)
    except PlatformError as error:
        return Finding(name, False, str(error), error.next)


def _hours(left: float | None) -> str:
    return "no lease yet" if left is None else f"{left:.1f} hours left"
