"""What the services refuse by themselves, asked through a site's own doors: each refusal has its exit code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from provision.clouds.facts import KeyPair, Reservation
from provision.errors import PlatformError
from provision.site import Site
from verify.drills import furnished
from verify.drills.furnished import MISSING

BLAZAR = {"service_type": "reservation", "interface": "public"}


@dataclass(frozen=True)
class Probe:
    """says: a pattern in what the refusal says. code: its exit code; 0 where the service does as asked."""

    name: str
    site: str
    ask: Callable[[Site], object]
    code: int
    says: str


def outcome(probe: Probe, site: Site) -> tuple[str, int]:
    """What came of it, in one line, and the exit code."""
    try:
        return f"done: {probe.ask(site)}", 0
    except PlatformError as error:
        return f"{error.what}: {error.why}".replace("\n", " ")[:160], error.exit_code


def _name(site: Site) -> str:
    return site.settings.name(site.name, "lease-probe")


def _end_in_past(site: Site) -> object:
    return site.cloud.leases.create_lease(_name(site), Reservation("physical:host", 1, site.own.lease.node_type), -1)


def _blazar(site: Site, method: str, path: str, body: object) -> Any:
    cloud: Any = site.cloud
    with cloud.session.asking(f"{method} {path}") as connection:
        where = {**BLAZAR, "region_name": connection.config.region_name}
        return connection.session.request(path, method, json=body, endpoint_filter=where).json()


def _lease(site: Site, lasts: timedelta = timedelta(hours=2), **held: object) -> Any:
    end = (datetime.now(UTC) + lasts).strftime("%Y-%m-%d %H:%M")
    body = {"name": _name(site), "start_date": "now", "end_date": end, "reservations": [held], "events": []}
    return _blazar(site, "POST", "/leases", body)


def _malformed(site: Site) -> object:
    return _lease(
        site,
        resource_type="physical:host",
        min=1,
        max=1,
        hypervisor_properties="",
        resource_properties='[">", "$vcpus", 48]',
    )


def _unknown_type(site: Site) -> object:
    return _lease(site, resource_type="virtual:banana", amount=1)


def _missing_lease(site: Site) -> object:
    return site.cloud.leases.extend_lease(MISSING, int(datetime.now(UTC).timestamp()) + 7200)


def _delete_missing_lease(site: Site) -> object:
    site.cloud.leases.delete_lease(MISSING)
    return "nothing to do"


def _shorten_into_past(site: Site) -> object:
    lease = next(lease for lease in site.cloud.leases.list_leases() if lease.status == "ACTIVE")
    return site.cloud.leases.extend_lease(lease.id, int(datetime.now(UTC).timestamp()) - 7200)


def _too_early(site: Site) -> object:
    lease = next(lease for lease in site.cloud.leases.list_leases() if lease.status == "ACTIVE")
    return site.cloud.leases.extend_lease(lease.id, lease.ends + 7200)


def _short_lease(site: Site) -> object:
    """An address for a minute or two: Blazar drops the seconds, and refuses an end that is past."""
    cloud: Any = site.cloud
    with cloud.session.asking("find the public network") as connection:
        network = connection.network.find_network(site.own.network.public, ignore_missing=False).id
    return _lease(site, timedelta(minutes=2), resource_type="virtual:floatingip", network_id=network, amount=1)


def _prolong_ended(site: Site) -> object:
    return furnished.prolong_ended(site, _short_lease)


def _network_in_use(site: Site) -> object:
    cloud: Any = site.cloud
    with cloud.session.asking("delete the network") as connection:
        network = connection.network.find_network(site.settings.name(site.name, "network"), ignore_missing=False)
        return connection.network.delete_network(network)


def _address_in_use(site: Site) -> object:
    cloud: Any = site.cloud
    with cloud.session.asking("create a port") as connection:
        network = connection.network.find_network(site.settings.name(site.name, "network"), ignore_missing=False)
        taken = [{"ip_address": str(site.own.entry.address)}]
        return connection.network.create_port(network_id=network.id, fixed_ips=taken)


def _key_exists(site: Site) -> object:
    key = KeyPair(f"{site.settings.platform}-probe", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43)
    try:
        site.cloud.servers.create_key(key)
        site.cloud.servers.create_key(key)
    finally:
        site.cloud.servers.delete_key(key.name)
    return "made twice"


def _microversion(site: Site) -> object:
    cloud: Any = site.cloud
    with cloud.session.asking("list servers") as connection:
        return connection.compute.get("/servers", microversion="2.999", raise_exc=True)


PROBES = (
    Probe("lease that ends in the past", "chi-uc", _end_in_past, 1, "HTTP 400"),
    Probe("malformed filter", "chi-uc", _malformed, 1, "HTTP 400"),
    Probe("unknown resource type", "chi-uc", _unknown_type, 1, "HTTP 500"),
    Probe("lease that is not there", "chi-uc", _missing_lease, 3, "not there.*HTTP 404"),
    Probe("lease that is gone already", "chi-uc", _delete_missing_lease, 0, "done"),
    Probe("lease shortened into the past", "chi-uc", _shorten_into_past, 1, "HTTP 400"),
    Probe("extension before its time", "chi-uc", _too_early, 3, "can only be extended within 172800 seconds"),
    Probe("lease prolonged after its end", "kvm-tacc", _prolong_ended, 1, "was not extended: TERMINATED"),
    Probe("reservation nobody made", "chi-uc", furnished.unknown_hint, 1, "No valid host was found"),
    Probe("address to a port without router", "kvm-tacc", furnished.address_without_router, 3, "not there.*HTTP 404"),
    Probe("volume attached twice", "kvm-tacc", furnished.attach_twice, 1, "HTTP 400"),
    Probe("attached volume deleted", "kvm-tacc", furnished.delete_attached, 1, "HTTP 400"),
    Probe("network with ports", "kvm-tacc", _network_in_use, 1, "HTTP 409"),
    Probe("address in use", "kvm-tacc", _address_in_use, 1, "HTTP 409"),
    Probe("key pair that exists", "kvm-tacc", _key_exists, 1, "HTTP 409"),
    Probe("microversion too high", "kvm-tacc", _microversion, 1, "HTTP 406"),
)
