"""The only loop over steps: look -> plan -> apply -> look again, one step at one site after another.

Each site walks its own steps, both side by side (`walk`); a step that JOINS waits until the other site has got as far.
What is here knows nothing about any step; what a step is, is in step.py.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from provision import say
from provision.clouds.openstack import OpenStackCloud
from provision.errors import DeadlineExceeded, DeadState, PlatformError, StepFailed
from provision.hosts import Hosts
from provision.kube import Kube
from provision.settings import Settings
from provision.site import Site
from provision.state import Receipt, Receipts, Run, utc_now
from provision.step import AnyStep, Change
from provision.vault import Vault
from provision.wait import never, wait_until

Outcome = Literal["ok", "unchanged", "failed", "waits", "not reached"]


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended at a site. changes: how many were applied. last_green: when its checks last passed."""

    step: str
    site: str
    outcome: Outcome
    changes: int = 0
    seconds: float = 0.0
    error: PlatformError | None = None
    last_green: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step would do at a site. known_after: the earlier step whose changes must come first, or ''."""

    step: str
    site: str
    changes: Sequence[Change] = field(default_factory=tuple)
    known_after: str = ""
    refused: PlatformError | None = None


def open_sites(settings: Settings, run: Run, transports: Mapping[str, Any] | None = None) -> Mapping[str, Site]:
    """The doors of every site. Nothing is contacted yet. transports: a requests.Session by site, instead of its own."""
    sites: dict[str, Site] = {}
    for name in settings.sites:
        cloud = OpenStackCloud(settings, name, (transports or {}).get(name))
        hosts = Hosts(settings, name, cloud.floating_address)
        sites[name] = Site(
            name=name,
            settings=settings,
            cloud=cloud,
            hosts=hosts,
            kube=Kube(hosts),
            vault=Vault(settings),
            receipts=Receipts(settings.state_dir),
            run=run,
            peer=lambda name=name: sites[settings.peer_of(name)],  # type: ignore[misc]
        )
    return sites


def preview(step: AnyStep, site: Site) -> Sequence[Change]:
    """What the step would do now. Reads the world, changes nothing."""
    want = step.want(site.settings, site.name)
    return tuple(step.plan(want, step.look(site, want)))


def blind(step: AnyStep, site: Site) -> Sequence[Change]:
    """What the step would do if nothing of it existed: for a plan before there is anything to ask."""
    return tuple(step.plan(step.want(site.settings, site.name), step.NOTHING))


def plan_site(steps: Sequence[AnyStep], site: Site, *, asked: bool) -> list[Plan]:
    """The plans of one site. A step whose needs have changes of their own is planned blind, "known after" the need.

    asked: whether there is a cloud to ask; without one everything is planned blind.
    """
    plans: list[Plan] = []
    unsettled: dict[str, str] = {}
    for step in steps:
        need = next((name for name in step.NEEDS if name in unsettled), "")
        try:
            changes = preview(step, site) if asked and not need else blind(step, site)
        except PlatformError as error:
            plans.append(Plan(step.NAME, site.name, refused=error))
            unsettled[step.NAME] = step.NAME
            continue
        if changes:
            unsettled[step.NAME] = step.NAME
        plans.append(Plan(step.NAME, site.name, changes, known_after=need))
    return plans


def converge(step: AnyStep, site: Site) -> int:
    """look, plan, apply each, look again; returns how many changes were made.

    Raises StepFailed when the second plan does not become empty within the step's settle time.
    """
    want = step.want(site.settings, site.name)
    changes = tuple(step.plan(want, step.look(site, want)))
    if not changes:
        return 0
    started = time.monotonic()
    for done, change in enumerate(changes):
        _in_time(step, site, change, done, time.monotonic() - started)
        _apply(step, site, change)
    _settle(step, site, want)
    say.line(step.NAME, "clean", f"{site.name} (second plan empty)")
    return len(changes)


def undo(step: AnyStep, site: Site, *, data: bool) -> list[Change]:
    """Take a step's things away; without `data` what holds a person's data stays and is returned."""
    want = step.want(site.settings, site.name)
    kept = []
    for change in step.undo(step.look(site, want)):
        if change.data and not data:
            kept.append(change)
        else:
            _apply(step, site, change)
    return kept


def attempt(step: AnyStep, site: Site) -> Result:
    """Converge one step and say how it went; a foreseen failure becomes a Result, never an exception."""
    started = time.monotonic()
    before = site.receipts.read(step.NAME, site.name)
    green = before.last_green if before else ""
    site.run.event("step", step=step.NAME, site=site.name, state="start")
    try:
        changes = converge(step, site)
        result = Result(
            step.NAME,
            site.name,
            "ok" if changes else "unchanged",
            changes,
            time.monotonic() - started,
            last_green="" if changes else green,  # what was green is not what stands now
        )
    except PlatformError as error:
        outcome: Outcome = "waits" if error.exit_code == 3 else "failed"
        result = Result(step.NAME, site.name, outcome, 0, time.monotonic() - started, error)
        say.failure(error)
    record(site, result)
    return result


def record(site: Site, result: Result) -> None:
    """Leave a receipt and an event."""
    site.receipts.write(
        Receipt(
            result.step,
            result.site,
            utc_now(),
            result.outcome,
            result.changes,
            round(result.seconds, 1),
            result.last_green,
        )
    )
    site.run.event(
        "step",
        step=result.step,
        site=result.site,
        state="end",
        result=result.outcome,
        changes=result.changes,
        seconds=round(result.seconds, 2),
        why=result.error.what if result.error else "",
    )


def _apply(step: AnyStep, site: Site, change: Change) -> None:
    site.run.event("change", step=step.NAME, site=site.name, verb=change.verb, what=change.what, why=change.why)
    started = time.monotonic()
    say.line(step.NAME, "apply", f"{site.name}: {change.verb} {change.what}   why: {change.why}")
    step.apply(site, change)
    say.line(step.NAME, "done", f"{site.name}: {change.what} ... {time.monotonic() - started:.0f}s")


def _in_time(step: AnyStep, site: Site, change: Change, done: int, seconds: float) -> None:
    """The waits inside a change have deadlines of their own; this is the one for all of a step's changes together."""
    if seconds > step.DEADLINE_S:
        raise DeadlineExceeded(
            f"{step.NAME} at {site.name}: not within {step.DEADLINE_S} s",
            why=f"{done} changes took {seconds:.0f} s; {change.verb} {change.what} was next",
            log=str(site.log(step.NAME)),
            next=f"invoke provision.{step.NAME} --site {site.name}",
        )


def _settle(step: AnyStep, site: Site, want: Any) -> None:
    try:
        wait_until(
            f"{step.NAME} at {site.name}: second plan empty",
            lambda: tuple(step.plan(want, step.look(site, want))),
            lambda left: not left,
            never,
            deadline_s=step.SETTLE_S,
            every_s=1.0,
        )
    except DeadState:
        raise
    except DeadlineExceeded as late:
        left = "\n".join(f"{c.verb} {c.what} ({c.why})" for c in step.plan(want, step.look(site, want)))
        raise StepFailed(
            f"{step.NAME} at {site.name}: applied, but its second plan is not empty",
            why=left,
            log=str(site.log(step.NAME)),
            next=f"invoke provision.{step.NAME} --site {site.name}",
        ) from late
