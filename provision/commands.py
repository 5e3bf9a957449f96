"""What the `provision.*` tasks do: settings in, engine run, a summary and data out. No task has logic of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from provision import (
    backends,
    capacity,
    capacity_table,
    embedded,
    engines,
    failures,
    feasibility,
    planning,
    pricing,
    report,
    say,
    status,
    usage,
    verification,
    writer,
)
from provision.engine import Plan, Result, open_sites, plan_site
from provision.errors import PlatformError, UsageError
from provision.paths import cache_dir
from provision.settings import Settings, load
from provision.site import Site
from provision.state import Run, locked
from provision.step import AnyStep
from provision.steps import NAMES, STEPS
from provision.walk import walk

Json = dict[str, object]
SIZED = {"lease", "nodes", "charts"}  # steps that are refused where the applications do not fit


@dataclass(frozen=True, slots=True)
class Options:
    """What every provision task takes. site: '' for both. yes: ask nothing. backend: '' for the platform's own."""

    env: str = ""
    site: str = ""
    platform: str = ""
    yes: bool = False
    json: bool = False
    backend: str = ""


def provision_all(options: Options, *, first: str = "", last: str = "", check: bool = False) -> Json:
    """Walk the steps over the sites, run their checks, and report. A red step shows in `exit_code`."""
    settings = settings_of(options)
    steps = span(first, last)
    with session(settings, "provision.all", options.site) as (run, sites):
        chosen = chosen_sites(sites, options.site)
        _must_fit(settings, steps, chosen, sites)
        started = time.monotonic()
        with usage.disk(cache_dir()) as disk:
            embedded.up(settings)
            if settings.spends and not options.yes:
                _confirm(_plans(chosen, steps, asked=True), settings)
            backends.remember(settings)
            stand = {name: set(NAMES[: NAMES.index(steps[0].NAME)]) for name in chosen}
            results = walk(steps, chosen, check=True, always_check=check, stand=stand)
        told = finish(settings, run, results, time.monotonic() - started)
        whole = told["ok"] and steps[-1] is STEPS[-1] and settings.link.server in chosen
        return {**told, **usage.tell(settings, sites, disk)} if whole else told


def provision_step(options: Options, name: str, *, check: bool = True) -> Json:
    """One step again, at one site or both: manual recovery."""
    settings = settings_of(options)
    step = next(step for step in STEPS if name == step.NAME)
    with session(settings, f"provision.{name}", options.site) as (run, sites):
        chosen = chosen_sites(sites, options.site)
        _must_fit(settings, [step], chosen, sites)
        embedded.up(settings)
        if settings.spends and not options.yes:
            _confirm(_plans(chosen, [step], asked=True), settings)
        backends.remember(settings)
        started = time.monotonic()
        stand = {site: set(NAMES) - {name} for site in chosen}
        results = walk([step], chosen, check=check, always_check=False, stand=stand)
        if name == "lease" and settings.spends:
            say.line("lease", "next", f"invoke provision.all --env {settings.env}   # unused leases are taken back")
        return finish(settings, run, results, time.monotonic() - started)


def provision_plan(options: Options, *, check: bool = False) -> Json:
    """What would change and why, with its price. check: raise DriftFound when anything would."""
    settings = settings_of(options)
    run = Run(settings.state_dir)
    every, asked = open_sites(settings, run), embedded.is_up(settings)
    sites = chosen_sites(every, options.site)
    plans = _plans(sites, STEPS, asked=asked)
    packed = [capacity.of_site(settings, name) for name in sites]
    tight: list[PlatformError] = [error for one in packed for error in capacity.refusals(settings, one)]
    price = planning.price(settings, every, asked=asked)
    tight += planning.refusals(settings, sites, plans, price, asked=asked)
    planning.show(settings, plans, price)
    say.text(capacity_table.text(settings, packed))
    for refusal in tight:
        say.failure(refusal)
    if check:
        planning.refuse_drift(settings, run, plans)
    refused = [*(plan.refused for plan in plans if plan.refused), *tight]
    return {
        "env": settings.env,
        "platform": settings.platform,
        "engine": engines.choose(settings).engine,
        "changes": [planning.row(plan, change) for plan in plans for change in plan.changes],
        "exit_code": exit_code(refused),
        "price": price.as_json(),
        "capacity": capacity_table.as_json(settings, packed),
        "refused": [{"what": error.what, "why": error.why, "next": error.next} for error in refused],
    }


def provision_status(options: Options) -> Json:
    """Steps, sites, lease hours left, endpoints, alerts, last verification."""
    settings = settings_of(options)
    sites = chosen_sites(open_sites(settings, Run(settings.state_dir)), options.site)
    found = status.read(settings, sites, asked=embedded.is_up(settings))
    say.text(status.table(found))
    return found.as_json()


def provision_report(options: Options) -> Json:
    """What failed in the newest run that failed."""
    settings = settings_of(options)
    found = failures.newest(settings.state_dir)
    say.text(found.text() if found else "no run of this platform failed")
    return {"failed": found.as_json() if found else None}


def span(first: str, last: str) -> tuple[AnyStep, ...]:
    """The steps from `first` to `last`, both included; '' means the end of the row. Raises UsageError."""
    for name in (first, last):
        if name and name not in NAMES:
            raise UsageError(f"no step {name!r}", why=f"there are: {' '.join(NAMES)}", next="invoke provision.plan")
    low = NAMES.index(first) if first else 0
    high = NAMES.index(last) if last else len(NAMES) - 1
    if low > high:
        raise UsageError(
            f"--from {first} comes after --to {last}",
            why=f"the order is: {' '.join(NAMES)}",
            next=f"invoke provision.all --from {last} --to {first}",
        )
    return STEPS[low : high + 1]


def settings_of(options: Options) -> Settings:
    """The settings that the options ask for."""
    return load(options.env, platform=options.platform, backend=options.backend)


@contextmanager
def session(settings: Settings, what: str, site: str = "") -> Iterator[tuple[Run, Mapping[str, Site]]]:
    """Hold the platform's lock, here and on the testbed, and record a run. site: the one it changes, '' for all."""
    backends.refuse_another(settings)
    with locked(settings, what):
        run = Run(settings.state_dir)
        with run.recording():
            run.event("run", what=what, env=settings.env, platform=settings.platform)
            sites = open_sites(settings, run)
            with writer.admitted(settings, sites, what, site):
                yield run, sites


def chosen_sites(sites: Mapping[str, Site], name: str) -> Mapping[str, Site]:
    """One site by name, or all. Raises UsageError."""
    if not name:
        return sites
    if name not in sites:
        raise UsageError(
            f"no site {name!r}",
            why=f"there are: {', '.join(sites)}",
            next=f"invoke provision.plan --site {next(iter(sites))}",
        )
    return {name: sites[name]}


def _must_fit(
    settings: Settings, steps: Sequence[AnyStep], chosen: Mapping[str, Site], sites: Mapping[str, Site]
) -> None:
    """Nothing is leased for what cannot run, or cannot be paid. Raises the first refusal."""
    names = {step.NAME for step in steps}
    if SIZED & names:
        refusals: list[PlatformError] = [*feasibility.shape_refusals(settings), *engines.refusals(settings)]
        if "lease" in names and settings.spends:
            refusals += feasibility.refusals(settings, planning.price(settings, sites, asked=True))
        for refusal in refusals:
            raise refusal
        capacity.check(settings, tuple(chosen))


def _plans(sites: Mapping[str, Site], steps: Sequence[AnyStep], *, asked: bool) -> list[Plan]:
    return [plan for site in sites.values() for plan in plan_site(steps, site, asked=asked)]


def _confirm(plans: Sequence[Plan], settings: Settings) -> None:
    price = pricing.price(settings, int(time.time()))
    planning.show(settings, plans, price)
    if not any(plan.changes for plan in plans):
        return
    confirm(f"Build {settings.platform} for {price.text()}?")


def confirm(question: str) -> None:
    """Go on only when a person says yes."""
    if not say.has_terminal():
        raise UsageError("no terminal to ask on", why="this is a paid platform", next="the same command with --yes")
    if not say.ask(question):
        raise UsageError("not confirmed", next="invoke provision.plan")


def finish(settings: Settings, run: Run, results: Sequence[Result], seconds: float) -> Json:
    """Report and summary of a run, and its JSON."""
    code = exit_code([result.error for result in results])
    rows: list[object] = [
        {"name": r.step, "site": r.site, "result": r.outcome, "changes": r.changes, "seconds": round(r.seconds, 1)}
        for r in results
    ]
    verification.merge_junit(run)
    run.event("end", exit_code=code, seconds=round(seconds, 1))
    page = report.write(settings, run)
    say.text(report.summary(settings, results, seconds))
    say.line("tandem", "report", str(page))
    return {
        "env": settings.env,
        "platform": settings.platform,
        "run": run.utc,
        "ok": code == 0,
        "exit_code": code,
        "changes": sum(r.changes for r in results),
        "seconds": round(seconds, 1),
        "simulated": list(settings.simulated),
        "steps": rows,
    }


def exit_code(errors: Sequence[PlatformError | None]) -> int:
    """One exit code for a run: a failure (1) outweighs what only waits (3)."""
    codes = {error.exit_code for error in errors if error}
    return next((code for code in (1, 2, 4, 3) if code in codes), 0)
