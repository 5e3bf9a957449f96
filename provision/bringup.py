"""The doing of `steps/nodes.py`: servers, keys, volume, and what lies on a host. Each may be repeated safely."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from provision import cloud_config, credentials, leasing, say
from provision.clouds.blazar_words import FLAVOR
from provision.clouds.facts import KeyPair, Server, ServerRequest
from provision.errors import DeadlineExceeded, PreconditionMissing, StepFailed
from provision.machines import Machine, Want
from provision.node_facts import AUTH_FILES, Told
from provision.site import Site
from provision.wait import never, wait_until

GONE_S = 300
ACTIVE_S = 1800
"""Bare metal deploys for 10 to 20 minutes."""
CLOUD_INIT_S = 600
DISK_S = 60
GPU_S = 300
ON_ITS_WAY = frozenset({"reserved", "attaching"})
"""A volume that a killed run asked to be attached. The cloud refuses to be asked again: HTTP 400."""


def make_key(site: Site, name: str, verb: str) -> None:
    """The operator's key where there is none, and nova's copy of it."""
    door = site.cloud.servers
    if verb in ("replace", "delete"):
        door.delete_key(name)
    if verb == "delete":
        return
    credentials.make_own_key(site)
    if door.find_key(name) is None:
        door.create_key(KeyPair(name, credentials.own_key(site)))


def make_server(site: Site, want: Want, machine: Machine) -> None:
    """Ask for a server, unless it is there and well. A failed one goes first: its port is needed."""
    door = site.cloud.servers
    for server in _named(site, machine.name):
        if server.status not in ("ERROR", "DELETED", "DELETING", "UNKNOWN"):
            return
        if server.status != "DELETING":
            door.delete_server(server.id)
    _await_gone(site, machine.name)
    site.hosts.forget(machine.node)  # before it is made: a run killed in between must not keep the old host key
    flavor, hints = _reserved(site, want, machine)
    door.create_server(
        ServerRequest(
            name=machine.name,
            image=_image(site, machine),
            flavor=flavor,
            port=machine.port,
            key=want.key,
            user_data=cloud_config.user_data(site.own),
            hints=hints,
        )
    )


def start_server(site: Site, _want: Want, machine: Machine) -> None:
    """Start a server that was stopped."""
    site.hosts.hang_up(machine.node)
    site.cloud.servers.start_server(machine.name)


def remove_server(site: Site, name: str, server_id: str) -> None:
    """Ask for a server's end; `await_departure` waits for it."""
    site.cloud.servers.delete_server(server_id)
    for node in site.own.nodes:
        if site.settings.name(site.name, node.role, node.number) == name:
            site.hosts.forget(node.name)


def await_departure(site: Site) -> None:
    """Until no server of ours is left."""
    _await_gone(site, "")


def await_host(site: Site, machine: Machine, ask: Callable[[], Told]) -> None:
    """ACTIVE, then ssh, then cloud-init: nova's ACTIVE alone says nothing about a boot."""
    again = f"invoke provision.nodes --site {site.name}"
    wait_until(
        f"server {machine.name} ACTIVE",
        lambda: next(((server.status, server.fault) for server in _named(site, machine.name)), ("ABSENT", "")),
        lambda state: state[0] == "ACTIVE",
        lambda state: state[0] in ("ERROR", "ABSENT", "DELETED", "DELETING", "SHUTOFF"),
        deadline_s=ACTIVE_S,
        next=again,
    )
    _await_ssh(site, machine)
    wait_until(
        f"cloud-init on {machine.node}",
        lambda: ask().cloud_init,
        lambda state: state == "done",
        lambda state: state.startswith("error"),
        deadline_s=CLOUD_INIT_S,
        every_s=1.0,
        next=f"ssh -F {site.hosts.config} {machine.node} cloud-init status --long",
    )


def _await_ssh(site: Site, machine: Machine) -> None:
    """Some servers are ACTIVE and never finish to boot. Only a person deletes one: what it holds may be wanted."""
    try:
        wait_until(
            f"ssh to {machine.node}",
            lambda: site.hosts.answers(machine.node),
            bool,
            never,
            deadline_s=site.settings.boot_s,
            every_s=1.0,
        )
    except DeadlineExceeded as late:
        own = f"openstack --os-cloud {site.own.cloud}"
        raise DeadlineExceeded(
            f"{site.name}: server {machine.name} is ACTIVE and does not answer",
            why=f"{late.what}; the end of its boot: {own} console log show {machine.name}",
            next=f"{own} server delete {machine.name}; invoke provision.nodes --site {site.name}",
        ) from late


def await_gpu(site: Site, machine: Machine, ask: Callable[[], Told]) -> None:
    """Drivers may load late; a card that stays silent is a fault of the host."""
    wait_until(
        f"{machine.gpus} GPUs of {machine.node} answering NVML",
        lambda: ask().gpus,
        lambda count: count >= machine.gpus,
        never,
        deadline_s=GPU_S,
        next=f"openstack --os-cloud {site.own.cloud} server reboot {machine.name}; invoke provision.nodes",
    )


def attach_volume(site: Site, want: Want) -> None:
    """To its node, and wait until the cloud says so."""
    machine = next(machine for machine in want.machines if machine.disk)
    server = next(iter(_named(site, machine.name)), None)
    volume = next((volume for volume in site.cloud.store.list_volumes() if volume.name == want.volume), None)
    if server is None or volume is None:
        missing = f"server {machine.name}" if server is None else f"volume {want.volume}"
        raise PreconditionMissing(f"{site.name}: no {missing}", next=f"invoke provision.all --site {site.name}")
    if volume.server_id not in ("", server.id):
        raise PreconditionMissing(
            f"{site.name}: volume {volume.name} is attached to another server",
            why=f"{volume.server_id}; want {server.id} ({machine.name})",
            next=f"openstack --os-cloud {site.own.cloud} server remove volume {volume.server_id} {volume.id}",
        )
    if not volume.server_id and volume.status not in ON_ITS_WAY:
        site.cloud.servers.attach_volume(server.id, volume.id)
    wait_until(
        f"volume {volume.name} attached",
        lambda: next((found for found in site.cloud.store.list_volumes() if found.name == want.volume), volume),
        lambda found: found.status == "in-use" and found.server_id == server.id,
        lambda found: found.status.startswith("error"),
        deadline_s=DISK_S,
        every_s=0.5,
        next=f"openstack --os-cloud {site.own.cloud} volume show {volume.name}",
    )


def mount_disk(site: Site, want: Want, machine: Machine) -> None:
    """Wait for the device, format it if it is blank, mount it."""
    volume = next(volume for volume in site.cloud.store.list_volumes() if volume.name == want.volume)
    device = cloud_config.device(volume.id)
    wait_until(
        f"{device} on {machine.node}",
        lambda: site.hosts.run(machine.node, ["test", "-b", device], ok=(0, 1)).code == 0,
        bool,
        never,
        deadline_s=DISK_S,
        every_s=0.5,
        next=f"invoke provision.nodes --site {site.name}",
    )
    text = cloud_config.disk_script(device, want.label, want.mount)
    ended = site.hosts.script(machine.node, text, ok=(0, cloud_config.NOT_OURS), deadline_s=300)
    if ended.code:
        raise StepFailed(
            f"{site.name}: {want.volume} was not formatted",
            why=ended.stderr.strip(),
            next=f"ssh -F {site.hosts.config} {machine.node} sudo blkid -p {device}",
        )


def set_firewall(site: Site, machine: Machine, has: Iterable[str]) -> None:
    """Close what is not planned, then the commands that cloud-init ran at the first boot. has: what is let in now."""
    closings = cloud_config.closing_commands(set(has) - set(machine.firewall))
    commands = [*closings, *cloud_config.firewall_commands(site.own.network.rules)]
    site.hosts.script(machine.node, cloud_config.shell_lines(commands))


def write_auth(site: Site, _want: Want, machine: Machine) -> None:
    """Root's and the kubelet's; through stdin, never in argv."""
    text = credentials.auth_text(site.settings)
    for path in AUTH_FILES:
        site.hosts.put(machine.node, path, text, mode="0600")


def _reserved(site: Site, want: Want, machine: Machine) -> tuple[str, dict[str, str]]:
    """Flavor and scheduler hints that put a server inside the lease."""
    held = [lease for lease in leasing.live(site.cloud.leases.list_leases(), want.lease) if lease.status == "ACTIVE"]
    reservation = next((reserved for lease in held for reserved in lease.reservations), None)
    if reservation is None:
        raise PreconditionMissing(
            f"{site.name}: lease {want.lease} is not ACTIVE", next=f"invoke provision.lease --site {site.name}"
        )
    if reservation.kind == FLAVOR:
        return reservation.id, {}  # the private flavor that the lease made is called by the reservation's id
    return site.own.node(machine.node).flavor, {"reservation": reservation.id}


def _image(site: Site, machine: Machine) -> str:
    """The id that the image's name means today, recorded: a testbed's names move on to newer images."""
    name, next = site.own.image, f"openstack --os-cloud {site.own.cloud} image list"
    found = site.cloud.prospect.find_image(name)
    if not found:
        raise PreconditionMissing(f"{site.name}: no image {name}", next=next)
    site.run.event("image", site=site.name, server=machine.name, image=name, id=found)
    say.line("nodes", "image", f"{machine.name}: {name} is {found}")
    others = sorted({server.image for server in site.cloud.servers.list_servers() if server.image} - {found})
    if others:
        say.warn(f"{site.name}: {name} has moved on; its other servers run {', '.join(others)}")
    return found


def _named(site: Site, name: str) -> list[Server]:
    return [server for server in site.cloud.servers.list_servers() if not name or server.name == name]


def _await_gone(site: Site, name: str) -> None:
    """Servers that were asked to go; '' for all."""
    try:
        wait_until(
            f"server {name} gone" if name else "all servers gone",
            lambda: [f"{server.name} {server.status}" for server in _named(site, name)],
            lambda left: not left,
            never,
            deadline_s=GONE_S,
            every_s=1.0,
        )
    except DeadlineExceeded as late:
        raise PreconditionMissing(
            late.what, why=late.why, next=f"openstack --os-cloud {site.own.cloud} server list"
        ) from late
