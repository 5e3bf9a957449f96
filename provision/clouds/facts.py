"""What a cloud tells and is told, as frozen facts. Names are whole; ids are the cloud's, '' in a wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

Taggable = Literal["network", "subnet", "router", "group", "port", "address"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a lease holds. kind: Blazar's resource type. of: the flavor's name, the node type or the network's name."""

    kind: str
    amount: int
    of: str = ""
    id: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease. status: Blazar's (PENDING ACTIVE TERMINATED ERROR and the ways between).

    starts, ends: seconds since 1970. why: what Blazar says is wrong with it, '' when nothing is.
    """

    name: str
    status: str
    hours_left: float
    reservations: tuple[Reservation, ...] = ()
    id: str = ""
    ends: int = 0
    starts: int = 0
    why: str = ""

    def __repr__(self) -> str:
        """As a wait tells it."""
        return f"{self.status} of {self.name} {self.id}{f' ({self.why})' if self.why else ''}"


@dataclass(frozen=True, slots=True)
class Busy:
    """A stretch in which a host belongs to a lease. start, end: seconds since 1970. lease: its id."""

    start: int
    end: int
    lease: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A host that leases may hold, and when it is taken."""

    name: str
    busy: tuple[Busy, ...] = ()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The hosts of one node type. asked: when, seconds since 1970."""

    asked: int
    hosts: tuple[Host, ...] = ()


@dataclass(frozen=True, slots=True)
class Others:
    """Whose else the project is: other platforms with a lease at the site by name, and how many leases are not ours."""

    platforms: tuple[str, ...] = ()
    leases: int = 0


@dataclass(frozen=True, slots=True)
class Network:
    """A network. tagged: False when a run was killed between making and tagging it."""

    name: str
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network's addresses."""

    name: str
    cidr: IPv4Network
    gateway: IPv4Address | None
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Router:
    """A router. leads_out: it has the public network as gateway. joins: names of our subnets on it."""

    name: str
    leads_out: bool
    joins: frozenset[str] = frozenset()
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """One ingress rule of a security group. protocol: 'any' for all; ports 0, 0: all."""

    protocol: str
    source: IPv4Network
    port_from: int = 0
    port_to: int = 0

    def __str__(self) -> str:
        ports = f" {self.port_from}-{self.port_to}" if self.port_from else ""
        return f"{self.protocol}{ports} from {self.source}"


@dataclass(frozen=True, slots=True)
class Group:
    """A security group and its ingress rules."""

    name: str
    rules: frozenset[Rule] = frozenset()
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class Port:
    """A port. group: its security group's name, '' without. pairs: further sources it may send from."""

    name: str
    address: IPv4Address
    group: str = ""
    pairs: frozenset[IPv4Network] = frozenset()
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True, slots=True)
class FloatingIp:
    """A public address of ours. port: the name of the port it leads to, or ''. reservation: the lease's, or ''."""

    address: IPv4Address
    port: str = ""
    reservation: str = ""
    id: str = ""
    tagged: bool = True


@dataclass(frozen=True)
class Survey:
    """Everything of ours in a site's network."""

    networks: tuple[Network, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    routers: tuple[Router, ...] = ()
    groups: tuple[Group, ...] = ()
    ports: tuple[Port, ...] = ()
    addresses: tuple[FloatingIp, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ssh public key that servers are made with: `type base64`, without its comment."""

    name: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server. status: nova's. fault: nova's words when it is in ERROR. image: the id of what it was made from."""

    name: str
    status: str
    fault: str = ""
    id: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """A server to make. image: an id. Either the flavor is a reservation's, or the hint names one."""

    name: str
    image: str
    flavor: str
    port: str
    key: str
    user_data: str
    hints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Volume:
    """A block volume. status: cinder's. server_id: where it is attached, or ''."""

    name: str
    gib: int
    status: str = "available"
    server_id: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the object store."""

    name: str
    objects: int = 0
    mib: float = 0.0


@dataclass(frozen=True, slots=True)
class Credential:
    """An application credential. unrestricted: None when nobody tells. expires: UTC as keystone writes it, '' never."""

    project: str
    roles: frozenset[str]
    unrestricted: bool | None = None
    expires: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """How much of something the project may have at a site. limit: -1 for as much as anybody likes."""

    what: str
    limit: int
    used: int

    @property
    def left(self) -> int | None:
        """None: no limit."""
        return None if self.limit < 0 else self.limit - self.used
