"""The examination: every finding a line, the cheapest first; exit code 3 when something is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from provision import embedded, say
from provision.commands import Options
from provision.doctor import begin, machine, platform, registries, site, trial
from provision.doctor.finding import Finding, asked
from provision.engine import open_sites
from provision.errors import SettingsError
from provision.paths import free_gib
from provision.settings import Settings, cache_dir, load
from provision.site import Site
from provision.state import Run

NOBODY = "nobody"
"""The platform's name while none is given: nothing can be made under it, but all can be asked."""


def run(options: Options, *, live: bool = False) -> dict[str, object]:
    """Examine and say each finding as it comes. live: then the smallest lease, if nothing stands against it."""
    findings: list[Finding] = []
    for finding in examine(options, live=live):
        say.line("doctor", "ok" if finding.ok else "fail", f"{finding.name}: {finding.why}")
        if not finding.ok:
            say.detail(f"next: {finding.next}")
        findings.append(finding)
    wrong = [finding for finding in findings if not finding.ok]
    return {"ok": not wrong, "exit_code": 3 if wrong else 0, "findings": [asdict(finding) for finding in findings]}


def examine(options: Options, *, live: bool) -> Iterator[Finding]:
    """The findings. A testbed without credentials ends in the way from nothing to a first run."""
    settings, first = settings_of(options)
    yield first
    if settings is None:
        return
    well = first.ok
    for finding in _all(settings):
        well = well and finding.ok
        yield finding
    if live and well:
        yield from trial.findings(settings, options)
    elif live:
        again = f"invoke doctor --env {settings.env} --live"
        yield Finding("trial", False, "not begun: something above is wrong", f"mend it, then: {again}")


def settings_of(options: Options) -> tuple[Settings | None, Finding]:
    """The settings, also without a platform's name, which a testbed needs; None when they cannot be read."""
    try:
        settings = load(options.env, platform=options.platform)
    except SettingsError as error:
        wrong = Finding("settings", False, " ".join(filter(None, (error.what, error.why))), error.next)
        try:
            return load(options.env, platform=options.platform or NOBODY), wrong
        except SettingsError:
            return None, wrong
    return settings, Finding("settings", True, f"{settings.env}, platform {settings.platform}")


def _all(settings: Settings) -> Iterator[Finding]:
    yield from machine.tools()
    yield machine.strays()
    if settings.embedded:
        yield from machine.rehearsal(settings, free_gib(cache_dir()))
        if embedded.is_up(settings):
            yield from _sites(settings)
        return
    yield from machine.testbed(settings)
    yield from registries.registries(settings)
    yield platform.allocation(settings, int(time.time()))
    path = settings.clouds_path
    if not path.exists():
        yield Finding("clouds.yaml", False, f"{path} does not exist", "the steps below, from an account to a first run")
        say.text(begin.text(settings))
        return
    mode = path.stat().st_mode & 0o777
    yield Finding("clouds.yaml", not mode & 0o077, f"{path}, mode {mode:o}", f"chmod 600 {path}")
    yield from _sites(settings)


def _sites(settings: Settings) -> Iterator[Finding]:
    """What the clouds tell, then what stands in them."""
    now = int(time.time())
    sites: Mapping[str, Site] = open_sites(settings, Run(settings.state_dir))
    answering = {}
    for name, one in sites.items():
        found = list(site.examined(one, now))
        yield from found
        if found[0].ok:
            answering[name] = one
            yield from asked(f"{name} lease", lambda one=one: platform.clocks(one, now))  # type: ignore[misc]
    yield from platform.standing(settings, answering)
