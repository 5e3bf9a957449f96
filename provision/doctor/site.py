"""What a cloud tells before a run, judged: credential, clock, services, quotas, image, sizes, networks, free hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from provision import feasibility, planning, slots
from provision.clouds.facts import Calendar, Credential, Quota
from provision.doctor.finding import Finding, asked
from provision.settings import Settings, SiteSettings
from provision.site import Site

ROLES = frozenset({"member", "reader"})
"""With `member` alone, listing images and making servers can be refused."""
SKEW_S = 60
"""Blazar compares dates to the minute; signed requests and tokens bear more."""
SERVICES = ("compute", "network", "image", "reservation")
VOLUMES = ("volumev3", "block-storage")


def examined(site: Site, now: int) -> Iterator[Finding]:
    """All of it. A credential that is refused ends it: nothing else could be asked, and nothing is tried twice."""
    ask, settings = site.cloud.prospect, site.settings
    credential = list(asked(f"{site.name} credential", lambda: judge_credential(site, ask.read_credential(), now)))
    yield from credential
    if not credential[0].ok:
        return
    yield from asked(f"{site.name} clock", lambda: [judge_clock(site.name, ask.read_skew())])
    yield from asked(f"{site.name} services", lambda: [judge_services(site.name, site.own, ask.list_services())])
    yield from asked(
        f"{site.name} quotas", lambda: judge_quotas(settings, site.name, ask.list_quotas(), planning.holdings(site))
    )
    yield from asked(f"{site.name} image", lambda: [judge_image(site.own, site.name, ask.find_image(site.own.image))])
    yield from asked(f"{site.name} networks", lambda: _networks(site))
    yield from asked(f"{site.name} {site.own.lease.of}", lambda: [_sizes(site, now)])


def judge_credential(site: Site, told: Credential, now: int) -> Iterator[Finding]:
    """Whose it is, that it may ask for leases, that it has both roles, that it outlives the lease."""
    name = site.name
    anew = f"make a new one (docs/chameleon.md, Credentials), put it into {site.settings.clouds_path}"
    yield Finding(f"{name} credential", True, f"project {told.project}, roles {', '.join(sorted(told.roles))}")
    missing = sorted(ROLES - told.roles)
    yield Finding(f"{name} roles", not missing, f"lacks {', '.join(missing)}" if missing else "member, reader", anew)
    why = {True: "yes", None: "keystone does not tell"}.get(told.unrestricted, "no: leases would end in HTTP 500")
    yield Finding(f"{name} unrestricted", told.unrestricted is not False, why, anew)
    if not told.expires:
        yield Finding(f"{name} expiry", True, "never")
        return
    ends = int(datetime.fromisoformat(told.expires.replace("Z", "")).replace(tzinfo=UTC).timestamp())
    hours = site.own.lease.hours_from(now, site.settings.allocation.ends_at())
    why = f"{slots.text(ends)}, in {(ends - now) / 3600:.0f} h; a lease runs for {hours} h"
    yield Finding(f"{name} expiry", ends >= now + hours * 3600, why, anew)


def judge_clock(name: str, skew_s: float) -> Finding:
    """Blazar refuses starts in the past."""
    why = f"{skew_s:+.0f} s beside this machine's"
    return Finding(f"{name} clock", abs(skew_s) <= SKEW_S, why, "timedatectl set-ntp true")


def judge_services(name: str, site: SiteSettings, found: Iterable[str]) -> Finding:
    """What the catalogue has for this credential in the site's region."""
    there = set(found)
    missing = [kind for kind in SERVICES if kind not in there]
    missing += ["block storage"] if site.volume and not there & set(VOLUMES) else []
    missing += ["object-store"] if site.containers and not site.store_cloud and "object-store" not in there else []
    why = f"region {site.region} lacks {', '.join(missing)}" if missing else f"all in region {site.region}"
    return Finding(f"{name} services", not missing, why, f"region_name: {site.region} in the entry of clouds.yaml")


def judge_quotas(
    settings: Settings, name: str, quotas: tuple[Quota, ...], have: Mapping[str, int]
) -> Iterator[Finding]:
    """One line a quota that is too small, one for the rest."""
    short = feasibility.quota_refusals(settings, name, quotas, have)
    yield from (Finding(f"{name} quota", False, f"{error.what}; {error.why}", error.next) for error in short)
    told = ", ".join(f"{quota.left} {quota.what}" for quota in quotas if quota.left is not None)
    if not short:
        yield Finding(f"{name} quotas", True, f"left: {told}" if told else "the site tells of no limit")


def judge_image(site: SiteSettings, name: str, found: str) -> Finding:
    """The id is what a run uses: names move to newer images."""
    listing = f"openstack --os-cloud {site.cloud} image list"
    return Finding(f"{name} image", bool(found), f"{site.image} is {found or 'not there'}", listing)


def judge_hosts(site: Site, calendar: Calendar | None, now: int) -> Finding:
    """How many hosts of the node type can be leased, and from when for as long as wanted."""
    lease = site.own.lease
    what, again = f"{site.name} {lease.of}", f"openstack --os-cloud {site.own.cloud} reservation host list"
    if calendar is None:
        return Finding(what, True, "users may not read the calendar here")
    hours = lease.hours_from(now, site.settings.allocation.ends_at())
    slot = slots.earliest(calendar, lease.amount, hours)
    if slot is None:
        return Finding(what, False, f"{len(calendar.hosts)} hosts, {lease.amount} wanted", again)
    su = f"{hours} h" if slot.start <= calendar.asked else f"{hours} h from {slots.text(slot.start)}"
    return Finding(what, True, f"{len(calendar.hosts)} hosts; free for {su}: {', '.join(slot.hosts)}")


def _networks(site: Site) -> Iterator[Finding]:
    for name in filter(None, (site.own.network.public, site.own.network.shared)):
        found = site.cloud.prospect.has_network(name)
        again = f"openstack --os-cloud {site.own.cloud} network list"
        yield Finding(f"{site.name} network", found, f"{name} is {'there' if found else 'not there'}", again)


def _sizes(site: Site, now: int) -> Finding:
    lease = site.own.lease
    if lease.kind == "physical:host":
        return judge_hosts(site, site.cloud.leases.find_calendar(lease.of), now)
    found = site.cloud.prospect.has_flavor(lease.of)
    listing = f"openstack --os-cloud {site.own.cloud} flavor list"
    return Finding(f"{site.name} flavor", found, f"{lease.of} is {'there' if found else 'not there'}", listing)
