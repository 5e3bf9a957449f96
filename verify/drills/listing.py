"""What the clouds list, asked directly: whether anything of the platform exists twice or was left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keystoneauth1.exceptions import EndpointNotFound

from provision.clouds.session import Session
from provision.errors import PreconditionMissing
from provision.settings import Settings
from provision.wait import never, wait_until

ENDED = {"TERMINATED", "DELETED"}
ASIDE = "aside-"
Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Listing:
    """One site's APIs, by the SDK alone: another observer than the steps' own look."""

    settings: Settings
    site: str
    session: Session

    def names(self) -> Names:
        """Everything listed, ours or not, by kind: servers, their ports, volumes, floating IPs and leases that live."""
        with self.session.asking("list everything") as cloud:
            found = {
                "server": [server.name for server in cloud.compute.servers()],
                "port": [address(port) for port in cloud.network.ports() if port.device_owner.startswith("compute:")],
                "floating IP": [ip.floating_ip_address for ip in cloud.network.ips()],
                "lease": [lease["name"] for lease in _leases(cloud) if lease["status"] not in ENDED],
                "volume": [volume.name for volume in cloud.block_storage.volumes()] if _has_volumes(cloud) else [],
            }
        return {kind: tuple(sorted(names)) for kind, names in found.items()}

    def volume_ids(self) -> tuple[str, ...]:
        """The identities of the volumes: a volume made anew has another."""
        with self.session.asking("list volumes") as cloud:
            return tuple(sorted(volume.id for volume in cloud.block_storage.volumes()))

    @contextmanager
    def volumes_aside(self, *, deadline_s: float) -> Iterator[None]:
        """Our volumes are called otherwise meanwhile, so that none is found: they hold data, and are not deleted."""
        with self.session.asking("set volumes aside") as cloud:
            named = {volume.id: volume.name for volume in cloud.block_storage.volumes()}
            if left := [id_ for id_, name in named.items() if name.startswith(ASIDE)]:
                raise PreconditionMissing(
                    f"{self.site}: a drill that was killed has set a volume aside",
                    why=", ".join(f"{id_} {named[id_]}" for id_ in left),
                    next=f"openstack --os-cloud {self.site} volume set --name {named[left[0]][len(ASIDE) :]} {left[0]}",
                )
            for id_, name in named.items():
                if name.startswith(self.settings.name(self.site, "")):
                    cloud.block_storage.update_volume(id_, name=f"{ASIDE}{name}")
        try:
            yield
        finally:
            self._put_back(deadline_s=deadline_s)

    def _put_back(self, *, deadline_s: float) -> None:
        """Volumes that were set aside get their names again; what was made in their place is empty, and goes."""
        with self.session.asking("put volumes back") as cloud:
            named = {volume.id: volume.name for volume in cloud.block_storage.volumes()}
            aside = {id_: name.removeprefix(ASIDE) for id_, name in named.items() if name.startswith(ASIDE)}
            spare = {id_ for id_, name in named.items() if name in aside.values()}
            for id_ in spare:
                cloud.block_storage.delete_volume(id_)
            wait_until(
                f"{self.site}: volumes made meanwhile are gone",
                lambda: spare & {volume.id for volume in cloud.block_storage.volumes()},
                lambda left: not left,
                never,
                deadline_s=deadline_s,
                every_s=1.0,
            )
            for id_, name in aside.items():
                cloud.block_storage.update_volume(id_, name=name)

    def delete_server(self, name: str, *, deadline_s: float) -> None:
        """Delete a server behind everybody's back, and wait until it is gone."""
        with self.session.asking(f"delete server {name}") as cloud:
            server = cloud.compute.find_server(name, ignore_missing=False)
            cloud.compute.delete_server(server)
            wait_until(
                f"server {name}: gone",
                lambda: cloud.compute.find_server(name),
                lambda left: left is None,
                never,
                deadline_s=deadline_s,
                every_s=1.0,
            )


def listing(settings: Settings, site: str) -> Listing:
    """The observer of one site."""
    return Listing(settings, site, Session(site, settings.sites[site].cloud, settings.clouds_path, settings.env))


def expected(settings: Settings, site: str) -> Mapping[str, int]:
    """How many of each kind a site has when the platform stands. Leases: see `doubles`."""
    own = settings.sites[site]
    return {
        "server": len(own.nodes),
        "port": len(own.nodes),
        "floating IP": sum(1 for node in own.nodes if node.floating),
        "volume": 1 if own.volume else 0,
    }


def wrong(names: Names, wanted: Mapping[str, int]) -> list[str]:
    """What there is more or less of than wanted, in words."""
    return [
        f"{len(names[kind])} x {kind}, want {count}: {', '.join(names[kind])}"
        for kind, count in wanted.items()
        if len(names[kind]) != count
    ]


def surplus(names: Names, wanted: Mapping[str, int]) -> list[str]:
    """What there is more of than wanted, in words: half-way, less is fine."""
    return [
        f"{len(names[kind])} x {kind}, want {count}: {', '.join(names[kind])}"
        for kind, count in wanted.items()
        if len(names[kind]) > count
    ]


def doubles(names: Names) -> list[str]:
    """Names that are there more than once: names are how tandem finds its things again."""
    return [
        f"{count} x {kind} {name}"
        for kind, listed in names.items()
        for name, count in Counter(listed).items()
        if count > 1
    ]


def address(port: Any) -> str:
    """A port by its fixed address: two with the same would be one too many."""
    fixed: Sequence[Mapping[str, str]] = port.fixed_ips or [{}]
    return fixed[0].get("ip_address", port.id)


def _leases(cloud: Any) -> list[Any]:
    where = {"service_type": "reservation", "interface": "public", "region_name": cloud.config.region_name}
    return list(cloud.session.get("/leases", endpoint_filter=where).json()["leases"])


def _has_volumes(cloud: Any) -> bool:
    try:
        return bool(cloud.session.get_endpoint(service_type="block-storage", region_name=cloud.config.region_name))
    except EndpointNotFound:
        return False
