"""Both sites side by side: a thread a site, each walking its own steps; only what JOINS waits for the other, and the
checks of what comes after it, since those ask across the link.

A site that must wait never holds up the other; the walk ends with what stands, what waits and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Condition

from provision import say, verification
from provision.engine import Result, attempt, record
from provision.errors import PlatformError, PreconditionMissing
from provision.site import Site
from provision.step import AnyStep
from provision.threads import interruptible

Attempt = Callable[[AnyStep, Site], Result]


@dataclass
class Progress:
    """How far each site has got: steps that stand (checked too), and whether its walk is over.

    applied: steps applied at a site, each with whether its checks run now.
    """

    stand: dict[str, set[str]]
    applied: dict[str, dict[str, bool]]
    over: set[str] = field(default_factory=set)
    changed: Condition = field(default_factory=Condition)

    def stands(self, site: str, step: str) -> None:
        """A step stands at a site."""
        with self.changed:
            self.stand[site].add(step)
            self.changed.notify_all()

    def applies(self, site: str, step: str, *, checks: bool) -> None:
        """A step has been applied at a site; checks: whether they run now."""
        with self.changed:
            self.applied[site][step] = checks
            self.changed.notify_all()

    def ends(self, site: str) -> None:
        """A site's walk is over, well or not."""
        with self.changed:
            self.over.add(site)
            self.changed.notify_all()

    def await_peer(self, peer: str, needs: Sequence[str]) -> bool:
        """Wait until the peer has what a joining step needs; False when its walk ended without."""
        with self.changed:
            self.changed.wait_for(lambda: self.stand[peer].issuperset(needs) or peer in self.over)
            return self.stand[peer].issuperset(needs)

    def await_applied(self, peer: str, step: str) -> bool:
        """Wait until the peer has applied a step, or its walk is over; whether the peer checks it now."""
        with self.changed:
            self.changed.wait_for(lambda: step in self.applied[peer] or peer in self.over)
            return self.applied[peer].get(step, False)


def walk(
    steps: Sequence[AnyStep],
    sites: Mapping[str, Site],
    *,
    check: bool,
    always_check: bool = False,
    stand: Mapping[str, set[str]] | None = None,
    attempt: Attempt = attempt,
) -> list[Result]:
    """Walk the steps at all sites given. check: run each changed step's checks after it.

    stand: steps known to stand before the walk (for `--from`). Returns a Result a step and site, in the order of steps.
    """
    names = list(sites)
    progress = Progress({name: set((stand or {}).get(name, ())) for name in names}, {name: {} for name in names})
    with interruptible(len(names)) as pool:
        futures = [
            pool.submit(_walk_site, steps, sites[name], names, progress, check, always_check, attempt) for name in names
        ]
        results = [result for future in futures for result in future.result()]
    order = {step.NAME: index for index, step in enumerate(steps)}
    return sorted(results, key=lambda result: (order[result.step], names.index(result.site)))


def _walk_site(
    steps: Sequence[AnyStep],
    site: Site,
    names: Sequence[str],
    progress: Progress,
    check: bool,
    always_check: bool,
    attempt: Attempt,
) -> list[Result]:
    results: list[Result] = []
    missing: set[str] = set()
    joined = False
    try:
        for step in steps:
            if missing.intersection(step.NEEDS):
                results.append(Result(step.NAME, site.name, "not reached"))
                missing.add(step.NAME)
                continue
            if step.JOINS and not _peer_is_there(step, site, names, progress):
                results.append(_waits_for_peer(step, site))
                continue
            result = attempt(step, site)
            checks = check and result.error is None and bool(result.changes or always_check or not result.last_green)
            if result.error is None:
                progress.applies(site.name, step.NAME, checks=checks)
            joined, alone = joined or step.JOINS, False
            if joined and (peer := site.settings.peer_of(site.name)) in names:
                alone = progress.await_applied(peer, step.NAME) and names.index(peer) < names.index(site.name)
            if checks:
                result = _checked(step, site, result, alone)
            results.append(result)
            if result.error is None:
                progress.stands(site.name, step.NAME)
            else:
                missing.add(step.NAME)
    finally:
        progress.ends(site.name)
    return results


def _peer_is_there(step: AnyStep, site: Site, names: Sequence[str], progress: Progress) -> bool:
    """A peer that is not part of this walk is taken to stand: the step's own look will say if it does not."""
    peer = site.settings.peer_of(site.name)
    return peer not in names or progress.await_peer(peer, step.NEEDS)


def _waits_for_peer(step: AnyStep, site: Site) -> Result:
    peer = site.settings.peer_of(site.name)
    error = PreconditionMissing(
        f"{step.NAME} at {site.name}: waits for {peer}",
        why=f"{peer} has not got as far as {', '.join(step.NEEDS)}",
        next="invoke provision.all",
    )
    say.line(step.NAME, "waits", f"{site.name}: for {peer}")
    return Result(step.NAME, site.name, "waits", error=error)


def _checked(step: AnyStep, site: Site, result: Result, alone: bool) -> Result:
    """alone: what speaks about both sites is asked by the peer's checks, which run now too."""
    try:
        green = verification.run_checks(site.settings, site.run, step, site.name, alone=alone)
    except PlatformError as error:
        say.failure(error)
        result = replace(result, outcome="failed", error=error, last_green="")
    else:
        result = replace(result, last_green=green)
    record(site, result)
    return result
