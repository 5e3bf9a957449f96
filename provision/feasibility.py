"""What keeps a plan from running though its applications fit: networks, leases, the allocation, quotas. Pure.

Each refusal says by how much, and what would fit. What the nodes hold is `capacity.py`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from provision.clouds.facts import Quota
from provision.errors import DoesNotFit, PreconditionMissing, QuotaExceeded
from provision.pricing import Price
from provision.settings import Settings, SiteSettings

WEEK_H = 168
"""Every lease may be this long; a longer one needs the allocation's end to be known."""


def refusals(settings: Settings, price: Price) -> tuple[PreconditionMissing, ...]:
    """All of them, from settings and what their leases cost."""
    return (*shape_refusals(settings), *_allocation(settings), *_budget(settings, price))


def shape_refusals(settings: Settings) -> tuple[DoesNotFit, ...]:
    """What is wrong whatever stands already: networks that overlap, leases that do not hold their nodes."""
    return (*overlaps(settings), *_leases(settings))


def wanted_quotas(settings: Settings, site_name: str, have: Mapping[str, int]) -> Mapping[str, int]:
    """What a site's servers, volume and network will take of the project's quotas. have: what is ours already."""
    site = settings.sites[site_name]
    missing = max(0, len(site.nodes) - have.get("servers", 0))
    # A whole host's flavor counts as next to nothing.
    size = settings.flavors.get(site.lease.flavor) if site.lease.kind == "flavor:instance" else None
    found = {
        "servers": missing,
        "cores": missing * size.vcpus if size else 0,
        "MiB of memory": missing * size.memory_mib if size else 0,
        "volumes": int(site.volume is not None),
        "GiB of volumes": site.volume.gib if site.volume else 0,
        "floating IPs": sum(node.floating for node in site.nodes),
        "ports": len(site.nodes),
        "networks": int(not site.network.shared),
        "security groups": int(site.network.security_groups),
    }
    return {what: amount if what == "servers" else max(0, amount - have.get(what, 0)) for what, amount in found.items()}


def quota_refusals(
    settings: Settings,
    site_name: str,
    quotas: Sequence[Quota],
    have: Mapping[str, int],
    beside: Mapping[str, int] | None = None,
) -> tuple[QuotaExceeded, ...]:
    """By how much each quota is too small for what is still to be made. have: what is ours already.

    beside: what another tier of ours will take of the same quotas, where both live in one cloud.
    """
    own = wanted_quotas(settings, site_name, have)
    wanted = {what: amount + (beside or {}).get(what, 0) for what, amount in own.items()}
    return tuple(
        QuotaExceeded(
            f"{site_name}: {wanted[quota.what] - quota.left} {quota.what} more than the quota holds",
            why=f"{wanted[quota.what]} more wanted; {quota.used} of {quota.limit} used, {quota.left} left",
            next=f"ask the help desk for more at {settings.sites[site_name].region}, or give some back",
        )
        for quota in quotas
        if quota.left is not None and wanted.get(quota.what, 0) > max(0, quota.left)
    )


def overlaps(settings: Settings) -> Iterator[DoesNotFit]:
    """Each pair of networks, of hosts, pods or services at either site, that share addresses."""
    networks = [
        (f"{name} {kind}", key, cidr)
        for name, site in settings.sites.items()
        for kind, key, cidr in (
            ("hosts", f"sites.{name}.network.cidr", site.network.cidr),
            ("pods", f"sites.{name}.pods_cidr", site.pods_cidr),
            ("services", f"sites.{name}.services_cidr", site.services_cidr),
        )
    ]
    for (one, _, a), (other, key, b) in combinations(networks, 2):
        if a.overlaps(b):
            shared = min(a.num_addresses, b.num_addresses)
            yield DoesNotFit(
                f"{one} and {other} overlap in {shared} addresses",
                why=f"{a} and {b}: routes through the link would be ambiguous",
                next=f"give {key} other addresses in {_file(settings)}",
            )


def _leases(settings: Settings) -> Iterator[DoesNotFit]:
    """A lease that does not hold its site's nodes."""
    for name, site in settings.sites.items():
        missing = len(site.nodes) - site.lease.amount
        if missing > 0:
            yield DoesNotFit(
                f"{name}: the lease holds {missing} servers too few",
                why=f"{len(site.nodes)} nodes, amount = {site.lease.amount}",
                next=f"amount = {len(site.nodes)} in sites.{name}.lease of {_file(settings)}",
            )
        yield from _sizes(settings, name, site)


def _sizes(settings: Settings, name: str, site: SiteSettings) -> Iterator[DoesNotFit]:
    """Servers in a reservation of flavors have that flavor, whatever a node is said to be."""
    other = sorted({node.flavor for node in site.nodes} - {site.lease.flavor})
    if site.lease.kind == "flavor:instance" and other:
        yield DoesNotFit(
            f"{name}: nodes are {', '.join(other)}, the lease is of {site.lease.flavor}",
            why="a server in a reservation has the reservation's size",
            next=f"one flavor for lease and nodes in {_file(settings)}",
        )


def _allocation(settings: Settings) -> Iterator[PreconditionMissing]:
    longest = max(site.lease.hours for site in settings.sites.values())
    if settings.spends and settings.allocation.ends is None and longest > WEEK_H:
        yield PreconditionMissing(
            "when the allocation ends is not told",
            why=f"a lease of {longest} h would be asked for, and one past the allocation is refused",
            next=f"write ends = YYYY-MM-DD under [allocation] in {_file(settings)}  (the portal, your project's page)",
        )


def _budget(settings: Settings, price: Price) -> Iterator[QuotaExceeded]:
    balance = settings.allocation.balance_su
    if balance is None or price.due_su <= balance:
        return
    yield QuotaExceeded(
        f"{price.due_su - balance:g} SU more than the balance holds",
        why=f"{price.text()}; {int(balance / price.per_hour_su)} h of both sites would fit",
        next=f"fewer hours in the leases of {_file(settings)}, or recharge in the portal and write the balance there",
    )


def _file(settings: Settings) -> str:
    return f"provision/environments/{settings.env}.toml"
