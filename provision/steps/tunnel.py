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

from provision import link, link_ends
from provision.link import USER, Facts
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.vault import SecretSpec

NAME = "tunnel"
NEEDS = ("secrets",)
JOINS = True
DEADLINE_S = 120
SETTLE_S = 60
CHECKS = ("check_tunnel", "check_reach")

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
    """What is there. key: the vault has the pair. current: files that are as wanted. listens: sockets at both ends."""

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
    files = (link.client_files if is_client else link.server_files)(settings, Facts())
    both = (*link.sockets(settings, settings.link.server), *link.sockets(settings, settings.link.client))
    here = link.listening_address(settings, site_name)
    return Want(
        end="client" if is_client else "server",
        node=settings.sites[site_name].entry.name,
        files=tuple(file.path for file in files),
        sockets=both if is_client else (),
        services={
            forward.service: f"{forward.target_port} {here}:{forward.port}"
            for forward in link.listeners(settings, site_name)
        },
    )


def look(site: Site, want: Want) -> Have:
    """Both link nodes are asked (the peer's only read), then the cluster."""
    entries = site.vault.read()
    mine = link_ends.probe(site)
    theirs = link_ends.probe(site.peer()) if want.end == "client" else mine
    files = link_ends.files(site, theirs.host_key, entries.get(KEY.name, {}))
    return Have(
        key=not site.vault.is_stale(KEY, entries),
        user=mine.user,
        current=link.unchanged(files, mine),
        unit=mine.unit,
        listens=(*mine.listens, *theirs.listens),
        services=link_ends.services(site),
        end=want.end,
        node=want.node,
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
    elif kind == "service" and change.verb == "delete":
        link_ends.remove_service(site, name)
    elif kind == "service":
        link_ends.put_service(site, name, want(site.settings, site.name).services[name])
    elif change.verb == "delete":
        site.hosts.script(name, link.REMOVE)
    else:
        host_key = link_ends.probe(site.peer()).host_key if kind == "client" else ""
        link_ends.put(site, link_ends.files(site, host_key, site.vault.read().get(KEY.name, {})))


def undo(have: Have) -> Sequence[Change]:
    """Services first, then this site's end."""
    services = [Change("delete", f"service {name}", "destroy") for name in have.services]
    return [*services, *([Change("delete", f"{have.end} {have.node}", "destroy")] if have.user else [])]


def _end_fault(want: Want, have: Have) -> str:
    faults = [] if have.user else [f"no user {USER}"]
    if wrong := [path for path in want.files if path not in have.current]:
        faults.append(f"not as wanted: {', '.join(path.rsplit('/', 1)[1] for path in wrong)}")
    if want.end == "client" and have.unit != RUNNING:
        faults.append(f"unit is {have.unit or 'not there'}")
    if down := [socket for socket in want.sockets if socket not in have.listens]:
        faults.append(f"{len(down)} of {len(want.sockets)} ports do not listen ({down[0]})")
    return "; ".join(faults)
