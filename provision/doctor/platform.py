"""What stands already: leases and the allocation, the GPU, the link. What does not stand yet is no fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provision import leases, link_ends, node_facts, slots
from provision.doctor.finding import Finding, asked
from provision.node_facts import Question
from provision.settings import Settings
from provision.site import Site

SOON_H = 14 * 24
"""An allocation takes days to be renewed."""
RUNNING = "active enabled"


def allocation(settings: Settings, now: int) -> Finding:
    """When it ends, and what is told of its balance."""
    told, file = settings.allocation, f"provision/environments/{settings.env}.toml"
    ends = told.ends_at()
    if ends is None:
        return Finding(
            "allocation", False, "when it ends is not told", f"write ends = YYYY-MM-DD under [allocation] in {file}"
        )
    hours = (ends - now) // 3600
    balance = f", {told.balance_su:g} SU written down" if told.balance_su else ""
    return Finding(
        "allocation", hours >= SOON_H, f"{hours} h until {slots.text(ends)}{balance}", "renew it in the portal"
    )


def clocks(site: Site, now: int) -> Iterator[Finding]:
    """A line a lease."""
    found = site.cloud.leases.list_leases()
    for clock in leases.clocks_of(site, found, now):
        if clock.status == "none":
            yield Finding(f"{site.name} lease", True, f"{clock.name}: none yet")
            continue
        well = clock.status == "ACTIVE" and clock.hours_left >= site.own.lease.min_hours_left and not clock.why
        told = f"{clock.name}: {clock.status}, {clock.hours_left:.1f} h left, extendable from {clock.extendable_from}"
        yield Finding(f"{site.name} lease", well, "; ".join(filter(None, (told, clock.why))), clock.next)
    others = site.cloud.leases.count_others()
    listed = f" ({', '.join(others.platforms)})" if others.platforms else ""
    told = f"{len(others.platforms)} other platforms{listed}, {others.leases} leases that are not ours: never touched"
    yield Finding(f"{site.name} project", True, told)


def standing(settings: Settings, sites: Mapping[str, Site]) -> Iterator[Finding]:
    """GPU and link, where there are servers to ask."""
    for name, site in sites.items():
        if site.own.gpu:
            yield from asked(f"{name} GPU", lambda site=site: [_gpu(site)])  # type: ignore[misc]
    client = sites.get(settings.link.client)
    if client:
        yield from asked("link", lambda: [_link(client)])


def _gpu(site: Site) -> Finding:
    gpu = site.own.gpu
    assert gpu is not None
    what, simulated = f"{site.name} GPU", " (simulated)" if gpu.simulated else ""
    if site.cloud.count_servers() == 0:
        return Finding(what, True, "no server yet")
    count = node_facts.ask(site.hosts, gpu.node, Question(gpus=True)).gpus
    told = f"{count} of {gpu.count} answer NVML on {gpu.node}{simulated}"
    return Finding(
        what, count >= gpu.count, told, f"invoke provision.nodes --env {site.settings.env} --site {site.name}"
    )


def _link(client: Site) -> Finding:
    if client.cloud.count_servers() == 0:
        return Finding("link", True, "no server yet")
    unit = link_ends.probe(client).unit
    told = f"unit on {client.own.entry.name} is {unit or 'not there'}"
    repair = f"invoke provision.tunnel --env {client.settings.env} --site {client.name}"
    return Finding("link", unit == RUNNING, told, repair)
