"""What `provision.status` tells: steps, sites, lease hours left, endpoints, alerts, last verification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from provision import prometheus
from provision.errors import PlatformError
from provision.prometheus import Alert
from provision.settings import Settings
from provision.site import Site
from provision.steps import NAMES


@dataclass(frozen=True, slots=True)
class SiteStatus:
    """One site. lease_hours_left: None without a lease or a cloud to ask."""

    name: str
    lease_hours_left: float | None
    nodes: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class StepStatus:
    """One step at one site, from its last receipt."""

    name: str
    site: str
    result: str
    utc: str
    last_green: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something to talk to. url: as seen from the site's cluster or, for ssh, from here."""

    name: str
    site: str
    url: str


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer. alerts: those that fire; None where its Prometheus was not asked or does not answer."""

    env: str
    platform: str
    sites: Sequence[SiteStatus]
    steps: Sequence[StepStatus]
    endpoints: Sequence[Endpoint]
    alerts: Sequence[Alert] | None
    last_verified: str

    def as_json(self) -> dict[str, object]:
        """The JSON of `provision.status --json`; its keys stay stable."""
        return {
            "env": self.env,
            "platform": self.platform,
            "sites": [{"name": s.name, "lease_hours_left": s.lease_hours_left, "nodes": s.nodes} for s in self.sites],
            "steps": [{"name": s.name, "site": s.site, "result": s.result, "utc": s.utc} for s in self.steps],
            "endpoints": [{"name": e.name, "site": e.site, "url": e.url} for e in self.endpoints],
            "alerts": None if self.alerts is None else [asdict(alert) for alert in self.alerts],
            "last_verified": self.last_verified,
        }


def read(settings: Settings, sites: Mapping[str, Site], *, asked: bool) -> Status:
    """Ask the clouds (when there are any) and the receipts."""
    steps = [row for site in sites.values() for row in _steps(site)]
    greens = [row.last_green for row in steps if row.last_green]
    return Status(
        settings.env,
        settings.platform,
        [_site(site, asked) for site in sites.values()],
        steps,
        [row for site in sites.values() for row in _endpoints(site, asked)],
        _alerts(sites[settings.link.server]) if asked and settings.link.server in sites else None,
        min(greens) if greens else "",
    )


def table(status: Status) -> str:
    """The answer for a person."""
    rows = [f"platform {status.platform} ({status.env}), last verified {status.last_verified or 'never'}"]
    for site in status.sites:
        hours = "no lease" if site.lease_hours_left is None else f"{site.lease_hours_left:.1f} lease hours left"
        rows.append(f"  {site.name:<9} {hours}, {site.nodes} nodes{'  ' + site.why if site.why else ''}")
    rows += [
        f"  {s.name:<9} {s.site:<9} {s.result:<12} {s.utc}  last green {s.last_green or 'never'}" for s in status.steps
    ]
    rows += [f"  {e.name:<22} {e.site:<9} {e.url}" for e in status.endpoints]
    if status.alerts is None:
        rows.append("  alerts: not known")
    for alert in status.alerts or ():
        rows += [
            f"  {alert.severity:<9} {alert.name} since {alert.since}: {alert.summary}",
            f"    next: {alert.runbook}",
        ]
    return "\n".join(rows)


def _site(site: Site, asked: bool) -> SiteStatus:
    if not asked:
        return SiteStatus(site.name, None, 0, "not up")
    try:
        return SiteStatus(site.name, site.cloud.lease_hours_left(), site.cloud.count_servers())
    except PlatformError as error:
        return SiteStatus(site.name, None, 0, error.what)


def _alerts(site: Site) -> tuple[Alert, ...] | None:
    try:
        return prometheus.firing(site.kube)
    except PlatformError:
        return None


def _steps(site: Site) -> list[StepStatus]:
    receipts = ((name, site.receipts.read(name, site.name)) for name in NAMES)
    return [StepStatus(name, site.name, r.result, r.utc, r.last_green) for name, r in receipts if r]


def _endpoints(site: Site, asked: bool) -> list[Endpoint]:
    rows = []
    address = None
    if asked:
        try:
            address = site.cloud.floating_address()
        except PlatformError:
            address = None
    if address:
        rows.append(Endpoint(f"ssh {site.own.entry.name}", site.name, f"ssh://{site.own.user}@{address}:22"))
    for forward in site.settings.link.forwards:
        if forward.listens == site.name:
            rows.append(
                Endpoint(
                    forward.service,
                    site.name,
                    f"{forward.service}.tandem-link.svc:{forward.target_port} -> {forward.target}",
                )
            )
    return rows
