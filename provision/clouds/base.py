"""What a cloud can do for tandem: one door a service.

Verbs: find_x -> X | None; list_xs; create_x; delete_x (silent if absent). Things are known by name: names are ours by
`<platform>-<site>-`, and what has such a name without our tag raises NameTaken, is never adopted and never deleted.
Lists hold only what is ours. Every call may raise CredentialsRefused, QuotaExceeded or PreconditionMissing.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Protocol

from provision.clouds.facts import (
    Calendar,
    Container,
    Credential,
    FloatingIp,
    KeyPair,
    Lease,
    Others,
    Port,
    Quota,
    Reservation,
    Rule,
    Server,
    ServerRequest,
    Subnet,
    Survey,
    Taggable,
    Volume,
)


class Leases(Protocol):
    """Blazar."""

    def list_leases(self) -> tuple[Lease, ...]:
        """Ours, the ended ones too."""

    def count_others(self) -> Others:
        """What of the project's leases is not ours: counted, never touched."""

    def find_calendar(self, node_type: str) -> Calendar | None:
        """When the hosts of a node type are taken; None where users may not read that."""

    def create_lease(self, name: str, wanted: Reservation, hours: int, avoid: Sequence[str] = ()) -> Lease:
        """Ask for a lease from now on. avoid: hosts not to take. Raises LeaseUnavailable when there is no slot."""

    def extend_lease(self, lease_id: str, ends: int) -> Lease:
        """Let a lease end later. Raises LeaseUnavailable when somebody else has what it holds."""

    def delete_lease(self, lease_id: str) -> None:
        """Give a lease back."""


class Networks(Protocol):
    """Neutron."""

    def survey(self, reservation: str = "") -> Survey:
        """Everything of ours, and the addresses that a reservation of ours hands out."""

    def list_addresses(self, reservation: str = "") -> tuple[FloatingIp, ...]:
        """The same of the addresses alone."""

    def tag(self, kind: Taggable, name: str) -> None:
        """Tag what was made but not tagged. name: of an address, the address."""

    def create_network(self, name: str) -> None:
        """A private network."""

    def create_subnet(self, subnet: Subnet, network: str) -> None:
        """Its addresses."""

    def create_router(self, name: str, public: str, subnet: str) -> None:
        """Make a router, or complete one: gateway to `public`, an interface on `subnet`."""

    def create_group(self, name: str) -> None:
        """A security group that lets nothing in yet."""

    def create_rule(self, group: str, rule: Rule) -> None:
        """Let something in."""

    def delete_rule(self, group: str, rule: Rule) -> None:
        """Let it in no more."""

    def create_port(self, port: Port, network: str) -> None:
        """A port with a fixed address."""

    def update_port(self, port: Port) -> None:
        """Make an existing port's group and pairs as given."""

    def create_address(self, public: str) -> IPv4Address:
        """Take a floating IP from the pool that needs no lease."""

    def bind_address(self, address: IPv4Address, port: str) -> None:
        """Lead a floating IP to a port; '' frees it."""

    def delete(self, kind: Taggable, name: str) -> None:
        """Delete one thing of ours by name; a router with its interfaces."""


class Servers(Protocol):
    """Nova."""

    def list_servers(self) -> tuple[Server, ...]:
        """Ours."""

    def create_server(self, request: ServerRequest) -> None:
        """Ask for a server."""

    def start_server(self, name: str) -> None:
        """Start a server that was stopped."""

    def delete_server(self, server_id: str) -> None:
        """Ask for its end."""

    def find_key(self, name: str) -> KeyPair | None:
        """The key pair of a name."""

    def create_key(self, key: KeyPair) -> None:
        """Hand our public key over."""

    def delete_key(self, name: str) -> None:
        """Forget it."""

    def attach_volume(self, server_id: str, volume_id: str) -> None:
        """Ask for a volume to appear as a disk."""


class Store(Protocol):
    """Cinder and Swift, as far as the site has them."""

    def list_volumes(self) -> tuple[Volume, ...]:
        """Ours."""

    def create_volume(self, name: str, gib: int) -> None:
        """Ask for a volume."""

    def delete_volume(self, name: str) -> None:
        """With what is on it."""

    def list_containers(self) -> tuple[Container, ...]:
        """Ours."""

    def create_container(self, name: str) -> None:
        """An empty one."""

    def delete_container(self, name: str) -> None:
        """With everything in it."""

    def delete_if_empty(self, name: str) -> None:
        """A container in which nothing is."""

    def write_object(self, container: str, name: str, text: str, *, lasts_s: int = 0) -> None:
        """Write one whole object; with lasts_s it vanishes by itself."""

    def read_object(self, container: str, name: str) -> str | None:
        """An object as text; None when it is not there."""

    def list_objects(self, container: str) -> tuple[str, ...]:
        """Names of the objects in a container; () when it is not there."""

    def delete_object(self, container: str, name: str) -> None:
        """One object."""


class Prospect(Protocol):
    """What a project may use at a site and what the site has: asked before anything is made. Reads only."""

    def read_credential(self) -> Credential:
        """Whose credential this is, and what it may do."""

    def read_skew(self) -> float:
        """Seconds by which the site's clock is ahead of this machine's."""

    def list_services(self) -> frozenset[str]:
        """Types of the services that the catalogue has in the site's region."""

    def list_quotas(self) -> tuple[Quota, ...]:
        """What the site tells of limits and use: servers, cores, memory, volumes, addresses, ports."""

    def find_image(self, name: str) -> str:
        """The id of the newest image of a name; '' when there is none."""

    def has_flavor(self, name: str) -> bool:
        """Whether a flavor is there."""

    def has_network(self, name: str) -> bool:
        """Whether a network is there."""


class Cloud(Protocol):
    """One site's OpenStack APIs. Nothing is contacted before the first question."""

    @property
    def leases(self) -> Leases:
        """Blazar."""

    @property
    def networks(self) -> Networks:
        """Neutron."""

    @property
    def servers(self) -> Servers:
        """Nova."""

    @property
    def store(self) -> Store:
        """Cinder and Swift."""

    @property
    def prospect(self) -> Prospect:
        """What may be used."""

    def floating_address(self) -> IPv4Address | None:
        """The floating IP of the site's entry node, or None."""

    def lease_hours_left(self) -> float | None:
        """Of the shortest ACTIVE lease of ours; None without one."""

    def count_servers(self) -> int:
        """Servers of ours."""

    def list_leftovers(self) -> list[str]:
        """Everything of ours, as `kind name`."""
