"""The servers of a site, each ready to become part of a cluster.

Meaning: servers in the lease's reservation, on the ports of `network`, with the operator's key; cloud-init done; at
    kvm-tacc the volume attached to node1, formatted once, mounted by label; a registry auth file for root and for the
    kubelet; at chi-uc firewalld as planned and the GPU answering NVML.
Look: `ssh -F .state/<env>/ssh_config.<site> node1`; on it `cloud-init status --long`, `findmnt /mnt/block`,
    `firewall-cmd --list-all --zone=trusted`. `openstack --os-cloud S server list`.
Recover: `invoke provision.nodes --site S` makes a lost or failed server anew on its old port and address, and repairs
    what is on it; then `invoke provision.kubespray --site S` takes it back into the cluster. The volume is never
    formatted twice: "bears a signature that is not ours" wants a person. A GPU that stays silent: reboot the server;
    on the testbed `openstack reservation host reallocate`, then this step again.
Undo: servers and key pair go; volume, ports and addresses stay for `storage` and `network`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from provision import bringup, cloud_config, credentials, machines, node_facts
from provision.clouds.facts import Server
from provision.errors import PreconditionMissing
from provision.machines import Have as Have
from provision.machines import Machine
from provision.machines import Want as Want
from provision.node_facts import AUTH_FILES, Question, Told
from provision.settings import Settings
from provision.site import Site
from provision.step import Change

NAME = "nodes"
NEEDS = ("lease", "storage", "network")
JOINS = False
DEADLINE_S = 3600
SETTLE_S = 20
CHECKS = ("check_nodes", "check_exposure")
NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """Names and sizes from settings."""
    return machines.wanted(settings, site_name)


def look(site: Site, want: Want) -> Have:
    """Nova's and cinder's words, and those of every host that runs: asked side by side, one ssh call each."""
    servers = site.cloud.servers.list_servers()
    volume = next((volume for volume in site.cloud.store.list_volumes() if volume.name == want.volume), None)
    return Have(
        own_key=credentials.own_key(site),
        key=site.cloud.servers.find_key(want.key),
        servers=servers,
        volume=volume,
        hosts=_ask_all(site, want, servers, cloud_config.device(volume.id if volume else "")),
        auth=f"{hashlib.sha256(credentials.auth_text(site.settings).encode()).hexdigest()} 600",
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """The difference: keys, servers, then each host."""
    return tuple(machines.changes(want, have))


def apply(site: Site, change: Change) -> None:
    """One change; the first word of `what` says which kind."""
    kind, name = change.what.split()[:2]
    wanted = want(site.settings, site.name)
    if kind == "server" and change.verb == "delete":
        bringup.remove_server(site, name, str(change.args["id"]))
    elif kind in ("server", "start"):
        machine = next(machine for machine in wanted.machines if machine.name == name)
        (bringup.make_server if kind == "server" else bringup.start_server)(site, wanted, machine)
    elif kind == "departure":
        bringup.await_departure(site)
    elif kind in ("file", "key"):
        bringup.make_key(site, wanted.key, change.verb)
    elif kind == "volume":
        bringup.attach_volume(site, wanted)
    else:
        machine = next(machine for machine in wanted.machines if machine.node == name)
        _ON_HOST[kind](site, wanted, machine)


def undo(have: Have) -> Sequence[Change]:
    """Servers, then their key."""
    return tuple(machines.removals(have))


def _ask_all(site: Site, want: Want, servers: Sequence[Server], device: str) -> Mapping[str, Told]:
    """Nothing is asked before the entry node has its address: there is no way in yet."""
    running = {server.name for server in servers if server.status == "ACTIVE"}
    up = [machine for machine in want.machines if machine.name in running]
    if not up or not _has_way_in(site):
        return {}
    with ThreadPoolExecutor(max_workers=len(up)) as pool:
        told = pool.map(lambda machine: node_facts.ask(site.hosts, machine.node, _question(want, machine, device)), up)
        return dict(zip((machine.node for machine in up), told, strict=True))


def _has_way_in(site: Site) -> bool:
    """Whether the entry node has its address; leaves the ssh configuration written before threads use it."""
    try:
        return site.hosts.config.exists()
    except PreconditionMissing:
        return False


def _question(want: Want, machine: Machine, device: str) -> Question:
    return Question(
        device=device if machine.disk else "",
        mount=want.mount,
        files=AUTH_FILES,
        firewall=bool(machine.firewall),
        gpus=machine.gpus > 0,
    )


def _boot(site: Site, want: Want, machine: Machine) -> None:
    bringup.await_host(site, machine, lambda: node_facts.ask(site.hosts, machine.node, _question(want, machine, "")))


def _firewall(site: Site, want: Want, machine: Machine) -> None:
    told = node_facts.ask(site.hosts, machine.node, _question(want, machine, ""))
    bringup.set_firewall(site, machine, told.firewall)


def _gpu(site: Site, want: Want, machine: Machine) -> None:
    bringup.await_gpu(site, machine, lambda: node_facts.ask(site.hosts, machine.node, _question(want, machine, "")))


_ON_HOST: Mapping[str, Callable[[Site, Want, Machine], None]] = {
    "boot": _boot,
    "disk": bringup.mount_disk,
    "firewall": _firewall,
    "auth": bringup.write_auth,
    "gpu": _gpu,
}
