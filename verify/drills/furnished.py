"""Refusals that need something made first: each probe makes the smallest, asks, and takes it away again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from provision import bringup, leases, leasing, obtaining
from provision.clouds.blazar_words import FLOATING
from provision.clouds.facts import KeyPair, Lease, Port, Reservation, Server, ServerRequest, Subnet, Volume
from provision.extension import Extension
from provision.machines import Machine
from provision.node_facts import Told
from provision.site import Site
from provision.wait import never, wait_until

MISSING = "00000000-0000-0000-0000-000000000000"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
LAST = -6
"""Of a network's addresses: far from those that the platform's nodes have."""
END_S, SETTLE_S = 240.0, 180.0


def prolong_ended(site: Site, begin: Callable[[Site], object]) -> object:
    """A lease that is over, asked to end later as `lease.extend` does. begin: asks for one that ends in a minute."""
    door, name = site.cloud.leases, probe_name(site, "lease")
    with removed(lambda: obtaining.give_back(door, name)):
        begin(site)
        ended = wait_until(
            f"lease {name} over",
            lambda: next((lease for lease in door.list_leases() if lease.name == name), None),
            lambda lease: lease is not None and lease.status == leasing.OVER,
            lambda lease: lease is not None and lease.status == leasing.FAILED,
            deadline_s=END_S,
            every_s=1.0,
        )
        assert ended is not None
        leases.extend_one(site, later(site, ended))
    return "a lease that was over was believed to go on"


def later(site: Site, lease: Lease) -> Extension:
    """What `lease.extend` would ask for, had it not looked at the status first."""
    until = int(datetime.now(UTC).timestamp()) + 7200
    return Extension(site.name, lease.name, lease.id, lease.ends, until, 0.0, "the drill")


def unknown_hint(site: Site) -> object:
    """A server in a reservation that nobody made."""
    flavor = site.own.entry.flavor
    with ExitStack() as made:
        request = made.enter_context(ground(site, flavor, {"reservation": MISSING}))
        made.enter_context(removed(lambda: _remove_server(site, request.name)))
        site.cloud.servers.create_server(request)
        bringup.await_host(site, Machine(site.own.entry.name, request.name, request.port), Told)
    return "made without a reservation"


def address_without_router(site: Site) -> object:
    """A floating IP led to a port of a network from which no way leads out."""
    nets, name, cidr = site.cloud.networks, probe_name(site, "network"), site.own.network.cidr
    subnet, port = probe_name(site, "subnet"), probe_name(site, "port")
    with ExitStack() as made:
        made.enter_context(removed(lambda: nets.delete("network", name)))
        nets.create_network(name)
        made.enter_context(removed(lambda: nets.delete("subnet", subnet)))
        nets.create_subnet(Subnet(subnet, cidr, cidr[1]), name)
        made.enter_context(removed(lambda: nets.delete("port", port)))
        nets.create_port(Port(port, cidr[LAST]), name)
        address = nets.create_address(site.own.network.public)
        made.enter_context(removed(lambda: nets.delete("address", str(address))))
        nets.bind_address(address, port)
    return "led to a port without a router"


def attach_twice(site: Site) -> object:
    """A volume that a server has already."""
    with attached(site) as (server, volume):
        site.cloud.servers.attach_volume(server.id, volume.id)
    return "attached twice"


def delete_attached(site: Site) -> object:
    """A volume that a server has."""
    with attached(site) as (_server, volume):
        site.cloud.store.delete_volume(volume.name)
    return "deleted under a server"


@contextmanager
def attached(site: Site) -> Iterator[tuple[Server, Volume]]:
    """A server in the platform's lease, and a volume of 1 GiB on it."""
    store, name = site.cloud.store, probe_name(site, "volume")
    with ExitStack() as made:
        request = made.enter_context(ground(site, _held(site).id, {}))
        made.enter_context(removed(lambda: _remove_volume(site, name)))
        store.create_volume(name, 1)
        _await_volume(site, name, "available")
        made.enter_context(removed(lambda: _remove_server(site, request.name)))
        site.cloud.servers.create_server(request)
        server = _await_active(site, request.name)
        site.cloud.servers.attach_volume(server.id, _await_volume(site, name, "available").id)
        yield server, _await_volume(site, name, "in-use")


@contextmanager
def ground(site: Site, flavor: str, hints: dict[str, str]) -> Iterator[ServerRequest]:
    """A port and a key for one server, which is not asked for yet."""
    nets, servers, network = site.cloud.networks, site.cloud.servers, site.own.network
    port, key = probe_name(site, "port"), KeyPair(probe_name(site, "key"), KEY)
    with ExitStack() as made:
        made.enter_context(removed(lambda: nets.delete("port", port)))
        where = network.shared or site.settings.name(site.name, "network")
        nets.create_port(Port(port, network.cidr[LAST]), where)
        made.enter_context(removed(lambda: servers.delete_key(key.name)))
        servers.create_key(key)
        image = site.cloud.prospect.find_image(site.own.image)
        yield ServerRequest(probe_name(site, "server"), image, flavor, port, key.name, "#cloud-config\n", hints)


@contextmanager
def removed(take_away: Callable[[], object]) -> Iterator[None]:
    """Whatever comes of what follows."""
    try:
        yield
    finally:
        take_away()


def probe_name(site: Site, role: str) -> str:
    """Ours, and no name that a step wants."""
    return site.settings.name(site.name, f"{role}-probe")


def _held(site: Site) -> Reservation:
    """Of the platform's own lease of servers: its id is the private flavor's."""
    name = site.settings.name(site.name, "lease")
    lease = next(lease for lease in site.cloud.leases.list_leases() if (lease.name, lease.status) == (name, "ACTIVE"))
    return next(held for held in lease.reservations if held.kind != FLOATING)


def _await_active(site: Site, name: str) -> Server:
    found = wait_until(
        f"server {name} ACTIVE",
        lambda: next((server for server in site.cloud.servers.list_servers() if server.name == name), None),
        lambda server: server is not None and server.status == "ACTIVE",
        lambda server: server is not None and server.status == "ERROR",
        deadline_s=SETTLE_S,
        every_s=1.0,
    )
    assert found is not None
    return found


def _await_volume(site: Site, name: str, status: str) -> Volume:
    found = wait_until(
        f"volume {name} {status}",
        lambda: next((volume for volume in site.cloud.store.list_volumes() if volume.name == name), None),
        lambda volume: volume is not None and volume.status == status,
        lambda volume: volume is not None and volume.status.startswith("error"),
        deadline_s=SETTLE_S,
        every_s=1.0,
    )
    assert found is not None
    return found


def _remove_server(site: Site, name: str) -> None:
    door = site.cloud.servers
    for server in door.list_servers():
        if server.name == name:
            door.delete_server(server.id)
    _await_none(f"server {name}", lambda: [one for one in door.list_servers() if one.name == name])


def _remove_volume(site: Site, name: str) -> None:
    """A server that is gone has let go of it."""
    store = site.cloud.store
    if any(volume.name == name and volume.status in ("in-use", "detaching") for volume in store.list_volumes()):
        _await_volume(site, name, "available")
    store.delete_volume(name)
    _await_none(f"volume {name}", lambda: [one for one in store.list_volumes() if one.name == name])


def _await_none(what: str, there: Callable[[], list[Server] | list[Volume]]) -> None:
    wait_until(f"{what} gone", there, lambda left: not left, never, deadline_s=SETTLE_S, every_s=1.0)
