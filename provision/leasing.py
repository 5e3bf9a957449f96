"""What leases should exist and what to do about the difference. Pure; `obtaining.py` and `steps/lease.py` act."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provision import pricing, slots
from provision.clouds.blazar_words import FLOATING, HOST
from provision.clouds.facts import Calendar, Lease, Reservation
from provision.errors import LeaseUnavailable, PreconditionMissing
from provision.settings import Lease as Asked
from provision.settings import Settings
from provision.step import Change

METRICS = "lease.prom"
METRIC = "tandem_lease_end_timestamp_seconds"
FAILED, OVER = "ERROR", "TERMINATED"
DEAD = frozenset({FAILED, OVER, "TERMINATING", "DELETING"})


@dataclass(frozen=True, slots=True)
class WantedLease:
    """A lease: its one reservation and, of the site's settings, for how long.

    site, env: for what to type next. per_hour_su: of the whole lease. allocation_ends: seconds since 1970, if known.
    elsewhere: what else could hold the site's tier, each with its price and what to type.
    """

    site: str
    env: str
    name: str
    reservation: Reservation
    asked: Asked
    per_hour_su: float = 0.0
    allocation_ends: int | None = None
    elsewhere: tuple[str, ...] = ()

    def hours_from(self, now: int) -> int:
        """How long it is asked for at a moment."""
        return self.asked.hours_from(now, self.allocation_ends)


def wanted(settings: Settings, site_name: str) -> tuple[WantedLease, ...]:
    """The address first: the network can then be built while hosts are still waited for."""
    site = settings.sites[site_name]
    wish, name = site.lease, settings.name(site_name, "lease")
    hosts, address = Reservation(wish.kind, wish.amount, wish.of), Reservation(FLOATING, 1, site.network.public)
    per_hour, ends = pricing.rate(wish) * wish.amount, settings.allocation.ends_at()
    return (
        WantedLease(site_name, settings.env, f"{name}-fip", address, wish, 0.0, ends),
        WantedLease(site_name, settings.env, name, hosts, wish, per_hour, ends, _elsewhere(settings, site_name)),
    )


def _elsewhere(settings: Settings, site_name: str) -> tuple[str, ...]:
    """The backends that a platform which uses none could take instead."""
    homes = {name: sites[site_name] for name, sites in settings.backends.items() if site_name in sites}
    return tuple(
        f"or {home.lease.of} at {home.region}, {rate * home.lease.hours:g} SU for {home.lease.hours} h: "
        f"invoke provision.destroy --env {settings.env} --site {site_name} && "
        f"invoke provision.all --env {settings.env} --backend {name}"
        for name, home in homes.items()
        for rate in (pricing.rate(home.lease) * home.lease.amount,)
        if not settings.backend
    )


def live(leases: Sequence[Lease], name: str) -> list[Lease]:
    """The leases of a name that are neither over nor failed."""
    return [lease for lease in leases if lease.name == name and lease.status not in (FAILED, OVER)]


def told(leases: Sequence[Lease]) -> Mapping[str, str]:
    """What a cluster is told of its leases: when the first of them ends, as a file of metrics. Nothing without one."""
    ends = [lease.ends for lease in leases if lease.status == "ACTIVE"]
    help_ = f"# HELP {METRIC} When the site's lease ends.\n# TYPE {METRIC} gauge\n"
    return {METRICS: f"{help_}{METRIC} {min(ends)}\n"} if ends else {}


def needs_calendar(wish: WantedLease, leases: Sequence[Lease]) -> bool:
    """Whether whole hosts are still to be found."""
    return wish.reservation.kind == HOST and not live(leases, wish.name)


def change(wish: WantedLease, leases: Sequence[Lease], calendar: Calendar | None, now: int) -> Change | None:
    """What to do about one lease; None when it stands. Refuses what only a person may decide, and what has no slot.

    now: seconds since 1970; 0 when nobody was asked.
    """
    listed = [lease for lease in leases if lease.name == wish.name]
    alive = live(listed, wish.name)
    what, asked = f"lease {wish.name}", f"want {wish.reservation.amount} {wish.reservation.of}"
    if len(alive) > 1:
        raise PreconditionMissing(
            f"{wish.site}: {len(alive)} leases called {wish.name}",
            why=", ".join(f"{lease.id} {lease.status}" for lease in alive),
            next=f"openstack --os-cloud {wish.site} reservation lease delete <the one without servers>",
        )
    if alive:
        _refuse_unfit(wish, alive[0])
        return None if alive[0].status == "ACTIVE" else Change("create", what, f"is {alive[0].status}, {asked}")
    if now:
        _refuse_too_short(wish, now)
    if calendar is not None and wish.reservation.kind == HOST:
        _refuse_without_slot(wish, slots.without(calendar, [lease.id for lease in listed]))
    failed = next((lease for lease in listed if lease.status == FAILED), None)
    if failed:
        return Change("replace", what, f"in ERROR{f' ({failed.why})' if failed.why else ''}, {asked}")
    return Change("create", what, f"{'the last one ended' if listed else 'have 0'}, {asked}")


def no_slot(wish: WantedLease, calendar: Calendar | None, why: str) -> LeaseUnavailable:
    """The refusal that names the earliest slot, its price, and what could be had at once. why: the cloud's words."""
    again = f"invoke provision.all --env {wish.env} --site {wish.site}"
    what = f"{wish.site}: no slot now for {wish.reservation.amount} {wish.reservation.of}"
    if calendar is None:
        return LeaseUnavailable(
            what, why=_lines(f"{why}; when one is free cannot be read here".lstrip("; "), *wish.elsewhere), next=again
        )
    hours, amount = wish.hours_from(calendar.asked), wish.reservation.amount
    slot, free_h = slots.earliest(calendar, amount, hours), slots.hours_now(calendar, amount)
    if slot is None:
        there = f"the site has {len(calendar.hosts)} hosts of that type that can be leased"
        return LeaseUnavailable(
            what,
            why=_lines("; ".join(filter(None, (why, there))), *wish.elsewhere),
            next=f"edit provision/environments/{wish.env}.toml",
        )
    price = f"{hours} h from then: {wish.per_hour_su * hours:g} SU"
    when = slots.text(slot.start)
    told = f"earliest {when} on {', '.join(slot.hosts)} ({price})"
    return LeaseUnavailable(
        f"{wish.site}: no slot before {when} for {amount} {wish.reservation.of}",
        why=_lines(why, told, _shorter(wish, free_h), *wish.elsewhere),
        next=f"{again}   # from {when}",
    )


def _lines(*told: str) -> str:
    return "\n".join(filter(None, told))


def _shorter(wish: WantedLease, free_h: int | None) -> str:
    """What could be had at once, if it is worth having, and how to ask for it."""
    if free_h is None or free_h <= wish.asked.min_hours_left:
        return ""
    file = f"provision/environments/{wish.env}.toml"
    swap = f"sed -i '/{wish.reservation.of}/s/hours = [0-9]*/hours = {free_h}/' {file}"
    return f"now for {free_h} h ({wish.per_hour_su * free_h:g} SU) with: {swap}"


def _refuse_without_slot(wish: WantedLease, calendar: Calendar) -> None:
    slot = slots.earliest(calendar, wish.reservation.amount, wish.hours_from(calendar.asked))
    if slot is None or slot.start > calendar.asked:
        raise no_slot(wish, calendar, "")


def _refuse_too_short(wish: WantedLease, now: int) -> None:
    """A lease that the allocation cuts so short that nothing would be built upon it."""
    hours = wish.hours_from(now)
    if hours < wish.asked.min_hours_left:
        raise PreconditionMissing(
            f"{wish.site}: the allocation ends before a lease would be worth it",
            why=f"{hours} hours are left of it, {wish.asked.min_hours_left} needed",
            next=f"renew it in the portal, then write its new end into provision/environments/{wish.env}.toml",
        )


def _refuse_unfit(wish: WantedLease, lease: Lease) -> None:
    """A lease that holds something else, or ends too soon, is a person's decision: replacing it deletes its servers."""
    if not any(_fits(wish.reservation, held) for held in lease.reservations):
        held = ", ".join(f"{r.amount} {r.kind} {r.of}".strip() for r in lease.reservations)
        raise PreconditionMissing(
            f"{wish.site}: lease {lease.name} reserves something else",
            why=f"it holds {held}; settings want {wish.reservation.amount} {wish.reservation.of}",
            next=f"invoke provision.destroy --site {wish.site}, then invoke provision.all",
        )
    if lease.status == "ACTIVE" and lease.hours_left < wish.asked.min_hours_left:
        raise PreconditionMissing(
            f"{wish.site}: lease {lease.name} is nearly over",
            why=f"{lease.hours_left:.1f} hours left, {wish.asked.min_hours_left} needed",
            next=f"invoke lease.extend --env {wish.env} --site {wish.site}",
        )


def _fits(wanted: Reservation, held: Reservation) -> bool:
    """Blazar does not tell of every kind what was reserved (`of` is '' then)."""
    named = wanted.kind == FLOATING or held.of in ("", wanted.of)
    return held.kind == wanted.kind and held.amount == wanted.amount and named
