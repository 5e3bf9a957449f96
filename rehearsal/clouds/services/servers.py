"""From nova's words to a host's: names, addresses, layers, volumes. Pure but for the list of servers kept in files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from rehearsal.clouds.layout import Tree
from rehearsal.hosts import HostSpec, Nic

VOLUME_TYPE = "tandem_sparse"
"""What our Cinder driver calls its connections, and our nova driver understands."""


def machine_name(uuid: str) -> str:
    """The host's name on this machine: short, since interfaces are named after it."""
    return f"srv-{uuid[:8]}"


def bridge_name(site: str, network_id: str) -> str:
    """The bridge of a network. Both sites share one namespace, so the site is in the name."""
    return f"{site.split('-')[0]}-{network_id[:8]}"


def disk_name(device: str) -> str:
    """'/dev/vdb' -> 'vdb'."""
    return device.rsplit("/", 1)[-1]


def next_device(taken: Iterable[str]) -> str | None:
    """The first free device name after the root disk's; None when the alphabet is used up."""
    used = {disk_name(name) for name in taken if name}
    free = (f"vd{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")
    return next((f"/dev/{name}" for name in free if name not in used), None)


def layers(properties: Mapping[str, str], available: Mapping[str, Path]) -> tuple[Path, ...]:
    """Overlay layers, topmost first, that the image's `tandem_layers` names. Raises KeyError with an unknown name."""
    return tuple(available[name.strip()] for name in properties["tandem_layers"].split(","))


def nics(site: str, network_info: Iterable[Mapping[str, Any]]) -> tuple[Nic, ...]:
    """One interface a port, with its first IPv4 address."""
    return tuple(_nic(site, vif) for vif in network_info)


def _nic(site: str, vif: Mapping[str, Any]) -> Nic:
    network = vif["network"]
    subnet = next(subnet for subnet in network["subnets"] if subnet["version"] == 4 and subnet["ips"])
    gateway = (subnet.get("gateway") or {}).get("address")
    return Nic(
        address=subnet["ips"][0]["address"],
        prefix=IPv4Network(subnet["cidr"]).prefixlen,
        gateway=gateway,
        mac=vif["address"],
        bridge=bridge_name(site, network["id"]),
    )


def user_data(encoded: str | None) -> str:
    """Cloud-config text of the request; it comes base64-encoded."""
    return base64.b64decode(encoded).decode() if encoded else ""


def host_spec(
    tree: Tree, instance: Any, lower: tuple[Path, ...], network_info: Iterable[Mapping[str, Any]]
) -> HostSpec:
    """The host that this server is."""
    return HostSpec(
        platform=tree.platform,
        machine=machine_name(instance.uuid),
        hostname=instance.hostname,
        lower=lower,
        nics=nics(tree.site, network_info),
        public_key=instance.key_data or "",
        user_data=user_data(instance.user_data),
        instance_id=instance.uuid,
    )


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume of a server: its sparse file, and its name inside."""

    image: Path
    name: str
    serial: str


def disks(block_device_info: Mapping[str, Any] | None) -> tuple[Disk, ...]:
    """The volumes that nova says a server has."""
    mappings = (block_device_info or {}).get("block_device_mapping") or ()
    return tuple(disk(mapping["connection_info"], mapping["mount_device"]) for mapping in mappings)


def disk(connection_info: Mapping[str, Any], device: str) -> Disk:
    """One volume, from the connection that our Cinder driver described."""
    data = connection_info["data"]
    return Disk(image=Path(data["path"]), name=disk_name(device), serial=data["volume_id"])


class Roll:
    """The servers of one compute service, one small file each, so that a restarted nova still knows them."""

    def __init__(self, tree: Tree, host: str) -> None:
        self.folder = tree.file("state", "servers", host)

    def add(self, uuid: str, name: str) -> None:
        """Remember a server before its host exists, so that a half-made one is found again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / uuid).write_text(json.dumps({"name": name}))

    def remove(self, uuid: str) -> None:
        """Forget a server; silent if unknown."""
        (self.folder / uuid).unlink(missing_ok=True)

    def uuids(self) -> list[str]:
        """Servers known."""
        return sorted(file.name for file in self.folder.glob("*")) if self.folder.exists() else []

    def names(self) -> list[str]:
        """nova's own names for them."""
        return [str(json.loads((self.folder / uuid).read_text())["name"]) for uuid in self.uuids()]
