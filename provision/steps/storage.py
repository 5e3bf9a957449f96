"""What outlives every lease: the block volume at one site, the containers of the object store at the other.

Meaning: a Cinder volume, marked with metadata; Swift containers, marked with X-Container-Meta-Tandem. Applications use
    the object store with the shipped S3 key only (~/.config/tandem/<platform>/ec2-<site>.json, 0600).
Look: `openstack --os-cloud S volume list`, `openstack --os-cloud S container list --long`.
Recover: `invoke provision.storage --site S` makes what is missing; what exists is never made anew or resized.
    No key file: `openstack --os-cloud S ec2 credential create` with a password login (an application credential may
    not), then write {"access", "secret", "endpoint", "region"} into that file.
Undo: only with --data: volume and containers hold what people put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provision.clouds.facts import Container, Volume
from provision.errors import PreconditionMissing
from provision.s3 import KeyFile
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.wait import never, wait_until

NAME = "storage"
NEEDS: tuple[str, ...] = ()
JOINS = False
DEADLINE_S = 300
SETTLE_S = 10
CHECKS = ("check_storage",)

AVAILABLE_S = 120
DEAD = frozenset({"error", "error_deleting", "error_extending"})


@dataclass(frozen=True)
class Want:
    """volume: its name, '' for none. containers: whole names. key: the file that opens them, '' for none."""

    site: str
    volume: str = ""
    gib: int = 0
    containers: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Have:
    """Ours, wanted or not. lacks: what the key file lacks, in words."""

    volumes: tuple[Volume, ...] = ()
    containers: tuple[Container, ...] = ()
    lacks: str = ""


NOTHING = Have()


def want(settings: Settings, site_name: str) -> Want:
    """Roles become whole names."""
    site = settings.sites[site_name]
    return Want(
        site_name,
        settings.name(site_name, "volume", 1) if site.volume else "",
        site.volume.gib if site.volume else 0,
        settings.containers(site_name),
        str(KeyFile.of(settings, site_name).path) if site.containers else "",
    )


def look(site: Site, want: Want) -> Have:
    """By name and mark."""
    lacks = KeyFile.of(site.settings, site.name).lacks() if want.key else ""
    return Have(site.cloud.store.list_volumes(), site.cloud.store.list_containers(), lacks)


def plan(want: Want, have: Have) -> Sequence[Change]:
    """Make what is missing."""
    if have.lacks:
        raise PreconditionMissing(
            f"{want.site}: no key for the object store",
            why=have.lacks,
            next="invoke --help provision.storage  (says how to make one)",
        )
    changes = [change for change in (_volume(want, have),) if change]
    there = {container.name for container in have.containers}
    return changes + [
        Change("create", f"container {name}", "have none") for name in want.containers if name not in there
    ]


def apply(site: Site, change: Change) -> None:
    """One volume or container."""
    kind, name = change.what.split()
    store = site.cloud.store
    if change.verb == "delete":
        store.delete_volume(name) if kind == "volume" else store.delete_container(name)
        _wait_gone(site, kind, name)
    elif kind == "container":
        store.create_container(name)
    else:
        if not any(volume.name == name for volume in store.list_volumes()):
            store.create_volume(name, int(change.args["gib"]))
        wait_until(
            f"volume {name} available",
            lambda: next((volume.status for volume in store.list_volumes() if volume.name == name), "absent"),
            lambda status: status in ("available", "in-use"),
            lambda status: status in DEAD,
            deadline_s=AVAILABLE_S,
            every_s=0.5,
            next=f"openstack --os-cloud {site.own.cloud} volume show {name}",
        )


def undo(have: Have) -> Sequence[Change]:
    """All of it is a person's data."""
    volumes = [Change("delete", f"volume {v.name}", f"{v.gib} GiB", data=True) for v in have.volumes]
    return volumes + [
        Change("delete", f"container {c.name}", f"{c.objects} objects, {c.mib:.1f} MiB", data=True)
        for c in have.containers
    ]


def _volume(want: Want, have: Have) -> Change | None:
    named = [volume for volume in have.volumes if want.volume and volume.name == want.volume]
    found = named[0] if named else None
    if found and (len(named) > 1 or found.gib < want.gib or found.status in DEAD):
        raise PreconditionMissing(
            f"{want.site}: volume {found.name} is not as wanted, and may hold data",
            why=", ".join(f"{v.gib} GiB, status {v.status} {v.id}".strip() for v in named) + f"; want {want.gib} GiB",
            next=f"openstack --os-cloud {want.site} volume show {found.name}",
        )
    if not want.volume or (found and found.status in ("available", "in-use")):
        return None
    why = f"is {found.status}" if found else f"have none, want {want.gib} GiB"
    return Change("create", f"volume {want.volume}", why, {"gib": want.gib})


def _wait_gone(site: Site, kind: str, name: str) -> None:
    store = site.cloud.store
    things = store.list_volumes if kind == "volume" else store.list_containers
    wait_until(
        f"{kind} {name} gone",
        lambda: [thing for thing in things() if thing.name == name],
        lambda left: not left,
        never,
        deadline_s=AVAILABLE_S,
        every_s=0.5,
    )
