"""`invoke lease.status` and `invoke lease.extend`: the clocks of a platform, and how they are wound up."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from provision import embedded, extension, ics, leasing, say, slots, writer
from provision.clouds.blazar_words import HOST
from provision.clouds.facts import Lease, Others
from provision.commands import Json, Options, chosen_sites, confirm, session, settings_of
from provision.engine import open_sites
from provision.errors import PlatformError, PreconditionMissing, StepFailed, TooEarly, UsageError
from provision.extension import Extension
from provision.leasing import WantedLease
from provision.settings import Settings
from provision.site import Site
from provision.state import Run

IDLE_S = 9 * 3600
"""hammers' unutilized_lease_reaper deletes a bare-metal lease that never had a server by then."""
IDLE_TOLD_S = 1800
BLAZAR_MINUTE_S = 60  # it drops the seconds of a date


@dataclass(frozen=True, slots=True)
class Clock:
    """One lease as a person asks for it. ends, extendable_from: UTC. until_end_su: what its remaining hours cost."""

    site: str
    name: str
    status: str
    ends: str
    hours_left: float
    extendable_from: str
    per_hour_su: float
    until_end_su: float
    why: str = ""
    next: str = ""


def status(options: Options, *, as_ics: bool = False) -> Json:
    """Every lease of ours with its hours, price and what to type next. as_ics: the dates as iCalendar on stdout too."""
    if as_ics and options.json:
        raise UsageError("--ics and --json both write to stdout", next="invoke lease.status --ics > leases.ics")
    settings = settings_of(options)
    sites = _answering(settings, chosen_sites(open_sites(settings, Run(settings.state_dir)), options.site))
    now = int(time.time())
    found = {name: site.cloud.leases.list_leases() for name, site in sites.items()}
    clocks = [clock for name, site in sites.items() for clock in clocks_of(site, found[name], now)]
    others = {name: site.cloud.leases.count_others() for name, site in sites.items()}
    writers = writer.elsewhere(settings, sites)
    say.text("\n".join((table(clocks, others), *(f"writes now: {one}" for one in writers))))
    if as_ics:
        live = [lease for leases in found.values() for lease in leases if lease.status == "ACTIVE"]
        say.document(ics.calendar([moment for lease in live for moment in _moments(settings, lease)], now))
    return {
        "env": settings.env,
        "platform": settings.platform,
        "leases": [asdict(clock) for clock in clocks],
        "others": [{"site": name, "platforms": list(o.platforms), "leases": o.leases} for name, o in others.items()],
        "writers": writers,
    }


def extend(options: Options) -> Json:
    """Extend what can be extended now, hosts before the address, after the price was shown and agreed to."""
    settings = settings_of(options)
    with session(settings, "lease.extend", options.site) as (_run, sites):
        chosen = _answering(settings, chosen_sites(sites, options.site))
        due, refused = _due(chosen, int(time.time()))
        for one in due:
            say.line("lease", "plan", f"{one.site}: {_told(one)}; not later: {one.bound}")
        for error in refused:
            say.failure(error)
        if due and settings.spends and not options.yes:
            confirm(f"Extend {len(due)} leases for {sum(one.su for one in due):g} SU?")
        done, failed = _extend_all(chosen, due)
        for name in dict.fromkeys(one.site for one in done):
            say.line(
                "lease", "next", f"invoke provision.secrets --env {settings.env} --site {name}   # tells the cluster"
            )
        return {
            "env": settings.env,
            "platform": settings.platform,
            "ok": (code := _exit_code(done, refused, failed)) == 0,
            "exit_code": code,
            "extended": [{**asdict(one), "hours": one.hours} for one in done],
            "refused": [{"what": e.what, "why": e.why, "next": e.next} for e in (*refused, *failed)],
        }


def extend_one(site: Site, one: Extension) -> None:
    """Ask, then look: of a lease that is over Blazar answers 200 and moves the end, and nothing comes back to life."""
    door = site.cloud.leases
    door.extend_lease(one.id, one.until)
    now = next((lease for lease in door.list_leases() if lease.id == one.id), None)
    if now is None or now.status in leasing.DEAD or now.ends < one.until - BLAZAR_MINUTE_S:
        raise StepFailed(
            f"{site.name}: lease {one.name} was not extended",
            why=f"{now!r}, ends {slots.text(now.ends)}; asked for {slots.text(one.until)}" if now else "it is gone",
            next=f"invoke lease.status --env {site.settings.env} --site {site.name}",
        )
    say.line("lease", "done", f"{site.name}: {_told(one)}")


def clocks_of(site: Site, leases: Sequence[Lease], now: int) -> Iterator[Clock]:
    """A row a wanted lease. A lease that is used by nobody is said to be in danger."""
    wishes = leasing.wanted(site.settings, site.name)
    servers = site.cloud.count_servers() if any(lease.status == "ACTIVE" for lease in leases) else 0
    for wish in wishes:
        named = [lease for lease in leases if lease.name == wish.name]
        lease = next(iter(leasing.live(named, wish.name)), None) or next(iter(named), None)
        idle = wish.per_hour_su > 0 and servers == 0
        yield _clock(wish, lease, now, idle=idle)


def table(clocks: Sequence[Clock], others: Mapping[str, Others]) -> str:
    """For a person."""
    rows = []
    for clock in clocks:
        left = f"{clock.hours_left:6.1f} h left, ends {clock.ends}, {clock.per_hour_su:g} SU/h" if clock.ends else ""
        rows.append(f"{clock.site:<9} {clock.name:<32} {clock.status:<11} {left}".rstrip())
        rows += [f"{'':<9}   why: {clock.why}"] if clock.why else []
        rows += [f"{'':<9}   next: {clock.next}"] if clock.next else []
    for name, other in others.items():
        listed = f" ({', '.join(other.platforms)})" if other.platforms else ""
        count = f"{len(other.platforms)} other platforms{listed}, {other.leases} leases that are not ours"
        rows.append(f"{name:<9} {count}: never touched")
    return "\n".join(rows)


def _clock(wish: WantedLease, lease: Lease | None, now: int, *, idle: bool) -> Clock:
    again = f"invoke provision.all --env {wish.env} --site {wish.site}"
    if lease is None:
        return Clock(wish.site, wish.name, "none", "", 0.0, "", wish.per_hour_su, 0.0, next=again)
    why, next_ = lease.why, ""
    unused_s = now - lease.starts
    if lease.status != "ACTIVE":
        next_ = again
    elif now >= extension.opens(lease):
        next_ = f"invoke lease.extend --env {wish.env} --site {wish.site}"
    elif idle and lease.starts and unused_s > IDLE_TOLD_S:
        used = f"no server for {unused_s / 3600:.1f} h: the testbed takes unused hosts back after {IDLE_S // 3600} h"
        why, next_ = "; ".join(filter(None, (why, used))), again
    hours = round(lease.hours_left, 1)
    su = round(wish.per_hour_su * lease.hours_left, 2) if lease.status == "ACTIVE" else 0.0
    ends, opens = slots.text(lease.ends), slots.text(extension.opens(lease))
    return Clock(wish.site, wish.name, lease.status, ends, hours, opens, wish.per_hour_su, su, why, next_)


def _due(sites: Mapping[str, Site], now: int) -> tuple[list[Extension], list[PlatformError]]:
    """What can be extended now, and why the rest cannot."""
    due: list[Extension] = []
    refused: list[PlatformError] = []
    for site in sites.values():
        leases = site.cloud.leases.list_leases()
        for wish in reversed(leasing.wanted(site.settings, site.name)):
            try:
                lease = next(iter(leasing.live(leases, wish.name)), None)
                due.append(extension.decide(wish, lease, now, _taken_from(site, wish, lease)))
            except PreconditionMissing as error:
                refused.append(error)
    return due, refused


def _taken_from(site: Site, wish: WantedLease, lease: Lease | None) -> int | None:
    if lease is None or wish.reservation.kind != HOST:
        return None
    calendar = site.cloud.leases.find_calendar(wish.reservation.of)
    return slots.taken_from(calendar, lease.id, lease.ends) if calendar else None


def _extend_all(sites: Mapping[str, Site], due: Sequence[Extension]) -> tuple[list[Extension], list[PlatformError]]:
    """A lease that cannot be extended keeps no other from it."""
    done: list[Extension] = []
    failed: list[PlatformError] = []
    for one in due:
        try:
            extend_one(sites[one.site], one)
            done.append(one)
        except PlatformError as error:
            say.failure(error)
            failed.append(error)
    return done, failed


def _told(one: Extension) -> str:
    return f"{one.name} until {slots.text(one.until)} instead of {slots.text(one.ends)}: {one.hours:g} h, {one.su:g} SU"


def _moments(settings: Settings, lease: Lease) -> Iterator[ics.Moment]:
    of = f"{settings.platform}: {lease.name}"
    site = next(name for name in settings.sites if lease.name.startswith(f"{settings.platform}-{name}-"))
    command = f"invoke lease.extend --env {settings.env} --platform {settings.platform} --site {site}"
    yield ics.Moment(f"{lease.id}-extend", extension.opens(lease), f"{of} can be extended", command)
    yield ics.Moment(f"{lease.id}-end", lease.ends, f"{of} ends: its servers are deleted", command, (48, 24, 4))


def _answering(settings: Settings, sites: Mapping[str, Site]) -> Mapping[str, Site]:
    if not embedded.is_up(settings):
        raise PreconditionMissing("the clouds are not up", next="invoke rehearsal.up")
    return sites


def _exit_code(done: Sequence[Extension], refused: Sequence[PlatformError], failed: Sequence[PlatformError]) -> int:
    """A lease whose time has not come is no fault beside one that was extended."""
    if failed and any(error.exit_code != 3 for error in failed):
        return 1
    waits = [error for error in refused if not isinstance(error, TooEarly)]
    return 0 if done and not failed and not waits else 3
