"""What a site's servers should be, what they are, and what to do about the difference. Pure; `steps/nodes.py` acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from provision import cloud_config
from provision.clouds.facts import KeyPair, Server, Volume
from provision.node_facts import Told
from provision.settings import Settings
from provision.step import Change

PASSING = frozenset({"BUILD", "ACTIVE", "REBOOT", "HARD_REBOOT", "PASSWORD", "DELETING"})
STOPPED = frozenset({"SHUTOFF", "PAUSED", "SUSPENDED"})


@dataclass(frozen=True)
class Machine:
    """One server. node: its name in the inventory. firewall: what it has to let in by itself. gpus: how many answer."""

    node: str
    name: str
    port: str
    disk: bool = False
    firewall: tuple[str, ...] = ()
    gpus: int = 0


@dataclass(frozen=True)
class Want:
    """A site's servers. volume: the block volume's name, '' for none."""

    site: str
    key: str
    lease: str
    machines: tuple[Machine, ...]
    volume: str = ""
    mount: str = ""
    label: str = ""


@dataclass(frozen=True)
class Have:
    """own_key: the operator's public key, '' before it is made. hosts: what each node that runs told.

    auth: the digest and mode that each host's registry auth files should have.
    """

    own_key: str = ""
    key: KeyPair | None = None
    servers: tuple[Server, ...] = ()
    volume: Volume | None = None
    hosts: Mapping[str, Told] = field(default_factory=dict)
    auth: str = ""


def wanted(settings: Settings, site_name: str) -> Want:
    """Names and sizes from settings."""
    site = settings.sites[site_name]
    openings = () if site.network.security_groups else cloud_config.firewall_openings(site.network.rules)
    volume = site.volume
    return Want(
        site=site_name,
        key=settings.name(site_name, "key"),
        lease=settings.name(site_name, "lease"),
        machines=tuple(
            Machine(
                node=node.name,
                name=settings.name(site_name, node.role, node.number),
                port=settings.name(site_name, "port", node.number),
                disk=volume is not None and volume.node == node.name,
                firewall=openings,
                gpus=site.gpu.count if site.gpu and site.gpu.node == node.name else 0,
            )
            for node in site.nodes
        ),
        volume=settings.name(site_name, "volume", 1) if volume else "",
        mount=volume.mount if volume else "",
        label=volume.label if volume else "",
    )


def changes(want: Want, have: Have) -> Iterator[Change]:
    """Keys, all servers, then each host from ssh to GPU: what is asked for first is waited for last."""
    yield from _keys(want, have)
    found = {machine.name: _server(machine, have) for machine in want.machines}
    for machine in want.machines:
        yield from _spares(machine, have)
        yield from _birth(machine, found[machine.name])
    for machine in want.machines:
        server = found[machine.name]
        kept = server is not None and server.status in PASSING | STOPPED and server.status != "DELETING"
        yield from _host(want, machine, have, server if kept else None)


def removals(have: Have) -> Iterator[Change]:
    """All servers first, then wait for all of them, then the key."""
    for server in have.servers:
        yield Change("delete", f"server {server.name}", "destroy", {"id": server.id})
    if have.servers:
        yield Change("run", "departure of servers", "they hold ports and volumes")
    if have.key:
        yield Change("delete", f"key {have.key.name}", "destroy")


def _keys(want: Want, have: Have) -> Iterator[Change]:
    if not have.own_key:
        yield Change("create", "file id_ed25519", "the operator has no key for this platform")
    if have.key is None:
        yield Change("create", f"key {want.key}", "have none")
    elif have.own_key != have.key.public_key:
        yield Change("replace", f"key {want.key}", "it is not the operator's")


def _server(machine: Machine, have: Have) -> Server | None:
    """The server of a name; the best of several."""
    named = [server for server in have.servers if server.name == machine.name]
    return min(named, key=_worth, default=None)


def _worth(server: Server) -> tuple[bool, bool, str]:
    return (server.status != "ACTIVE", server.status not in PASSING, server.id)


def _spares(machine: Machine, have: Have) -> Iterator[Change]:
    kept = _server(machine, have)
    for server in have.servers:
        if kept and server.name == machine.name and server.id != kept.id and server.status != "DELETING":
            yield Change("delete", f"server {server.name}", "there are two of this name", {"id": server.id})


def _birth(machine: Machine, server: Server | None) -> Iterator[Change]:
    what = f"server {machine.name}"
    if server is None:
        yield Change("create", what, "have 0, want 1")
    elif server.status == "DELETING":
        yield Change("create", what, "the last one is being deleted")
    elif server.status in STOPPED:
        yield Change("run", f"start {machine.name}", f"is {server.status}")
    elif server.status not in PASSING:
        yield Change("replace", what, f"is {server.status}: {server.fault}".rstrip(": "))


def _host(want: Want, machine: Machine, have: Have, server: Server | None) -> Iterator[Change]:
    """server: None when it is to be made, so that nothing on it is there yet."""
    told = have.hosts.get(machine.node, Told()) if server else Told()
    if not told.answers or told.cloud_init != "done":
        unheard = "ssh does not answer" if server else "new server"
        yield Change("run", f"boot {machine.node}", f"cloud-init {told.cloud_init}" if told.answers else unheard)
    if machine.disk:
        attached = server is not None and have.volume is not None and have.volume.server_id == server.id
        if not attached:
            yield Change("update", f"volume {want.volume}", f"not attached to {machine.node}")
        if not (attached and told.mounted):
            yield Change("run", f"disk {machine.node}", f"not mounted at {want.mount}")
    if told.answers and machine.firewall and (fault := _firewall_fault(set(machine.firewall), set(told.firewall))):
        yield Change("update", f"firewall {machine.node}", fault)
    if not (told.answers and _has_auth(told, have.auth)):
        why = "absent, other, or readable to others" if told.answers else "nothing seen of it yet"
        yield Change("update", f"auth {machine.node}", f"registry auth file {why}")
    if told.gpus < machine.gpus:
        yield Change("run", f"gpu {machine.node}", f"{told.gpus} of {machine.gpus} answer NVML")


def _firewall_fault(wanted: set[str], has: set[str]) -> str:
    """Exactly what is planned is let in, since nothing else stands between such a host and the world."""
    closed, open_ = ", ".join(sorted(wanted - has)), ", ".join(sorted(has - wanted))
    return "; ".join(
        [*([f"does not let in {closed}"] if closed else []), *([f"lets in {open_}, not planned"] if open_ else [])]
    )


def _has_auth(told: Told, digest: str) -> bool:
    return bool(told.files) and all(found == digest for found in told.files.values())
