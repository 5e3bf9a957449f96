"""The link between the sites, and the Services through which pods reach what lies across.

Meaning: a systemd unit on the client site's link node holds one ssh to the server site's, with every port of the table
    in `[link]`; in each site's namespace `tandem-link` a Service + EndpointSlice per port leads pods to the listener.
Look: on the client's node `systemctl status tandem-link`, `journalctl -u tandem-link`; listeners: `ss -ltn` on both.
Recover: `invoke provision.tunnel` writes what is missing or changed and restarts the unit. After a cut it comes back
    alone within 30 s. A server made anew has another host key: run it for both sites.
Undo: the unit, its user, its keys and the Services go. The key pair stays in the vault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provision import link, manifests
from provision.appsecrets import LINK_NAMESPACE
from provision.link import SERVER_SSHD, USER, Facts, File
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.vault import Entries, SecretSpec

NAME = "tunnel"
NEEDS = ("secrets",)
JOINS = True
DEADLINE_S = 120
SETTLE_S = 60
CHECKS = ("check_tunnel",)

KEY = SecretSpec("link", ("private", "public"), "ssh-key")
RUNNING = "active enabled"


@dataclass(frozen=True)
class Want:
    """One end of the link. files: their paths. sockets: what must listen, at either end (asked by the client's end).

    services: name -> `port address:port`, the Service's port and where its slice leads.
    """

    end: str
    node: str
    files: tuple[str, ...]
    sockets: tuple[str, ...]
    services: Mapping[str, str]


@dataclass(frozen=True)
class Have:
    """What is there. current: files whose content is ours. listens: sockets at both ends. key: the vault has the pair."""

    key: bool = False
    user: bool = False
    current: tuple[str, ...] = ()
    unit: str = ""
    listens: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)
    end: str = ""
    node: str = ""


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """The site's end, from the table in `[link]`."""
    is_client = site_name == settings.link.client
    files = link.client_files(settings, Facts()) if is_client else link.server_files(settings, Facts())
    both = (*link.sockets(settings, settings.link.server), *link.sockets(settings, settings.link.client))
    here = link.listening_address(settings, site_name)
    return Want(
        end="client" if is_client else "server", node=settings.sites[site_name].entry.name,
        files=tuple(file.path for file in files), sockets=both if is_client else (),
        services={forward.service: f"{forward.target_port} {here}:{forward.port}"
                  for forward in link.listeners(settings, site_name)},
    )


def look(site: Site, want: Want) -> Have:
    """Both link nodes are asked (the peer's only read), then the cluster."""
    entries = site.vault.read()
    mine = _probe(site)
    theirs = _probe(site.peer()) if want.end == "client" else mine
    return Have(
        key=not site.vault.is_stale(KEY, entries), user=mine.user,
        current=link.unchanged(_files(site, want, theirs.host_key, entries), mine),
        unit=mine.unit, listens=(*mine.listens, *theirs.listens), services=_services(site), end=want.end, node=want.node,
    )


def plan(want: Want, have: Have) -> Sequence[Change]:
    """The key pair, this site's end, the Services."""
    changes = [] if have.key else [Change("create", f"entry {KEY.name}", "the vault has no key pair")]
    if why := _end_fault(want, have):
        changes.append(Change("update" if have.user else "create", f"{want.end} {want.node}", why))
    for name, leads in want.services.items():
        if have.services.get(name) != leads:
            seen = have.services.get(name, "")
            changes.append(Change("update" if seen else "create", f"service {name}", f"leads to {seen or 'nothing'}"))
    return changes


def apply(site: Site, change: Change) -> None:
    """One end, or one Service with its slice. The unit is restarted whenever its end is touched."""
    kind, name = change.what.split(" ", 1)
    if kind == "entry":
        site.vault.ensure([KEY])
    elif change.verb == "delete":
        _delete(site, kind, name)
    elif kind == "service":
        _put_service(site, name)
    else:
        wanted = want(site.settings, site.name)
        _put_end(site, kind, name, _files(site, wanted, _probe(site.peer()).host_key, site.vault.read()))


def undo(have: Have) -> Sequence[Change]:
    """Services first, then this site's end."""
    services = [Change("delete", f"service {name}", "destroy") for name in have.services]
    return [*services, *([Change("delete", f"{have.end} {have.node}", "destroy")] if have.user else [])]


def _end_fault(want: Want, have: Have) -> str:
    faults = [] if have.user else [f"no user {USER}"]
    faults += [f"{path} is not as wanted" for path in want.files if path not in have.current]
    if want.end == "client" and have.unit != RUNNING:
        faults.append(f"unit is {have.unit or 'not there'}")
    if down := [socket for socket in want.sockets if socket not in have.listens]:
        faults.append(f"{len(down)} of {len(want.sockets)} ports do not listen ({down[0]})")
    return "; ".join(faults)


def _probe(site: Site) -> link.Probe:
    return link.read_probe(site.hosts.script(site.own.entry.name, link.PROBE).stdout)


def _files(site: Site, want: Want, host_key: str, entries: Entries) -> tuple[File, ...]:
    pair = entries.get(KEY.name, {})
    if want.end == "server":
        return link.server_files(site.settings, Facts(public_key=pair.get("public", "")))
    facts = Facts(site.peer().cloud.floating_address(), host_key)
    return link.client_files(site.settings, facts, pair.get("private", ""))


def _put_end(site: Site, end: str, node: str, files: Sequence[File]) -> None:
    site.hosts.script(node, link.MAKE_USER)
    for file in files:
        if file.path == SERVER_SSHD:  # written, tried and loaded by one command: a kill cannot part them
            site.hosts.run(node, ["sh", "-euc", link.INSTALL_SSHD], stdin=file.text)
        else:
            site.hosts.put(node, file.path, file.text, mode=file.mode)
    if end == "client":
        site.hosts.script(node, link.START_UNIT)


def _services(site: Site) -> Mapping[str, str]:
    """name -> `port address:port`; what has no slice leads to nothing and is left out."""
    objects = site.kube.get("services,endpointslices.discovery.k8s.io", namespace=LINK_NAMESPACE,
                            selector=f"{manifests.OWNER}={site.settings.platform}")
    ports = {item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in objects if item["kind"] == "Service"}
    ends = {item["metadata"]["name"]: item for item in objects if item["kind"] == "EndpointSlice"}
    return {name: f"{port} {_address(ends[name])}" for name, port in ports.items() if name in ends}


def _address(item: Mapping[str, Any]) -> str:
    return f"{item['endpoints'][0]['addresses'][0]}:{item['ports'][0]['port']}" if item["endpoints"] else "nothing"


def _put_service(site: Site, name: str) -> None:
    port, _, socket = want(site.settings, site.name).services[name].partition(" ")
    address, _, listens = socket.partition(":")
    platform = site.settings.platform
    site.kube.apply([
        manifests.service(platform, name, LINK_NAMESPACE, int(port)),
        manifests.endpoint_slice(platform, name, LINK_NAMESPACE, address, int(listens)),
    ])


def _delete(site: Site, kind: str, name: str) -> None:
    if kind == "service":
        site.kube.run("delete", "service,endpointslice", name, "-n", LINK_NAMESPACE, "--ignore-not-found")
    else:
        site.hosts.script(name, link.REMOVE)
