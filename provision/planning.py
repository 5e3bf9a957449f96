"""A plan for a person, and what it asks the clouds besides its steps: quotas, and how long the leases still run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from provision import engines, feasibility, pricing, say
from provision.engine import Plan
from provision.errors import DriftFound, PlatformError
from provision.pricing import Price
from provision.settings import Settings
from provision.site import Site
from provision.state import Run
from provision.step import Change

Json = dict[str, object]
MARKS = {"create": "+", "update": "~", "replace": "!", "delete": "-", "run": ">"}


def show(settings: Settings, plans: Sequence[Plan], price: Price) -> None:
    """A line a change and refusal, then the total with its price."""
    for plan in plans:
        after = f"   (known after {plan.known_after})" if plan.known_after else ""
        for change in plan.changes:
            told = f"{MARKS[change.verb]} {change.verb} {change.what}   why: {change.why}{after}"
            say.line(plan.step, "plan", f"{plan.site}: {told}")
        if plan.refused:
            say.failure(plan.refused)
    total = sum(len(plan.changes) for plan in plans)
    say.line("tandem", "plan", f"{total} changes; {price.text()}; engine: {engines.choose(settings).text()}")
    for caveat in settings.caveats:
        say.line("tandem", "note", caveat)


def row(plan: Plan, change: Change) -> Json:
    """A change as data."""
    why = f"{change.why} (known after {plan.known_after})" if plan.known_after else change.why
    return {"step": plan.step, "site": plan.site, "verb": change.verb, "what": change.what, "why": why}


def refusals(
    settings: Settings, sites: Mapping[str, Site], plans: Sequence[Plan], price: Price, *, asked: bool
) -> list[PlatformError]:
    """Why a plan cannot run, besides its capacity; quotas are read only where servers are still to be made."""
    found: list[PlatformError] = [*feasibility.refusals(settings, price), *engines.refusals(settings)]
    missing = [name for name in sites if any(p.site == name and p.step == "nodes" and p.changes for p in plans)]
    for name in missing if asked else ():
        try:
            quotas, have = sites[name].cloud.prospect.list_quotas(), holdings(sites[name])
        except PlatformError as error:
            say.line("tandem", "note", f"{name}: quotas are not known ({error.what})")
            continue
        found += feasibility.quota_refusals(settings, name, quotas, have, _beside(settings, sites, missing, name))
    return found


def _beside(settings: Settings, sites: Mapping[str, Site], missing: Sequence[str], name: str) -> Mapping[str, int]:
    """What the tiers after this one will take of its cloud's quotas: told once, by the first of them."""
    rest = missing[missing.index(name) + 1 :]
    others = [other for other in rest if settings.sites[other].cloud == settings.sites[name].cloud]
    wanted = [feasibility.wanted_quotas(settings, other, holdings(sites[other])) for other in others]
    return {what: sum(one[what] for one in wanted) for what in (wanted[0] if wanted else {})}


def refuse_drift(settings: Settings, run: Run, plans: Sequence[Plan]) -> None:
    """Raise DriftFound when anything would change; the run's papers keep what."""
    drifted = [plan for plan in plans if plan.changes]
    if not drifted:
        return
    run.event("run", what="provision.plan --check", env=settings.env, platform=settings.platform)
    for plan in drifted:
        why = "; ".join(f"{change.verb} {change.what} ({change.why})" for change in plan.changes)
        run.event("step", step=plan.step, site=plan.site, state="end", result="drift", why=why)
    raise DriftFound(
        f"{sum(len(plan.changes) for plan in drifted)} changes",
        why="; ".join(sorted({plan.step for plan in drifted})),
        next=f"invoke provision.all --env {settings.env}",
    )


def holdings(site: Site) -> Mapping[str, int]:
    """What of the quotas is ours already."""
    network, volumes = site.cloud.networks.survey(), site.cloud.store.list_volumes()
    return {
        "servers": site.cloud.count_servers(),
        "volumes": len(volumes),
        "GiB of volumes": sum(volume.gib for volume in volumes),
        "floating IPs": len(network.addresses),
        "ports": len(network.ports),
        "networks": len(network.networks),
        "security groups": len(network.groups),
    }


def price(settings: Settings, sites: Mapping[str, Site], *, asked: bool) -> Price:
    """With what the leases that stand still cost, where the clouds can be asked."""
    now = int(time.time())
    if not asked:
        return pricing.price(settings, now)
    left: dict[str, float | None] = {}
    for name, site in sites.items():
        try:
            left[name] = site.cloud.lease_hours_left()
        except PlatformError:
            return pricing.price(settings, now)
    return pricing.price(settings, now, left)
