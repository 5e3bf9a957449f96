"""What a host is to be, as data that can be kept beside it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from provision.errors import UsageError

# The veth is called vb-<machine>, and an interface's name has at most 15 characters.
_MACHINE = re.compile(r"[a-z][a-z0-9-]{0,11}")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Nic:
    """One interface. gateway None: a network without router. nameservers (): the gateway, which refuses at once.

    mtu in bytes, at most the bridge's.
    """

    address: str
    prefix: int
    gateway: str | None
    mac: str
    bridge: str
    mtu: int = 1500
    nameservers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostSpec:
    """One host. lower: read-only trees of its file system, topmost first. nics: the first has the default route.

    public_key: one key a line. user_data: what cloud-init gets, as it is. extra_hosts: (address, name) for /etc/hosts.
    Raises UsageError for a machine or host name that cannot be one.
    """

    platform: str
    machine: str
    hostname: str
    lower: tuple[Path, ...]
    nics: tuple[Nic, ...]
    public_key: str
    user_data: str
    instance_id: str
    extra_hosts: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not _MACHINE.fullmatch(self.machine):
            raise UsageError(f"machine {self.machine!r}: lower-case letters, digits and dashes, at most 12")
        if not _HOSTNAME.fullmatch(self.hostname):
            raise UsageError(f"host name {self.hostname!r}: lower-case letters, digits and dashes, at most 63")
        if not self.lower or not self.nics:
            raise UsageError(f"host {self.machine}: at least one lower tree and one interface were expected")


def to_json(spec: HostSpec) -> str:
    """As text, to be read back by `from_json`."""
    return json.dumps(asdict(spec), indent=1, default=str)


def from_json(text: str) -> HostSpec:
    """The host that `to_json` wrote."""
    found: dict[str, Any] = json.loads(text)
    found["lower"] = tuple(Path(tree) for tree in found["lower"])
    found["nics"] = tuple(Nic(**{**nic, "nameservers": tuple(nic["nameservers"])}) for nic in found["nics"])
    found["extra_hosts"] = tuple((address, name) for address, name in found["extra_hosts"])
    return HostSpec(**found)
