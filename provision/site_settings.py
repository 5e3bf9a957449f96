"""What one site is made of, as settings: frozen pydantic models that know no unknown key."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Lease(Model):
    """What a site reserves. `flavor` for `flavor:instance`, `node_type` for `physical:host`.

    hours: the longest that the site grants; the allocation's end may cut it. min_hours_left: with fewer, nothing is
    built upon a lease.
    """

    kind: Literal["flavor:instance", "physical:host"]
    amount: int = Field(ge=1)
    hours: int = Field(ge=1)
    flavor: str = ""
    node_type: str = ""
    min_hours_left: int = 6

    @property
    def of(self) -> str:
        """The name of what is reserved."""
        return self.flavor or self.node_type

    def hours_from(self, now: int, allocation_ends: int | None) -> int:
        """How long to ask for at a moment: never past the allocation. Both moments: seconds since 1970."""
        return self.hours if allocation_ends is None else min(self.hours, max(0, allocation_ends - now) // 3600)


class Allocation(Model):
    """What the project was granted, as its page in the portal tells: no application credential may ask for it.

    ends: the day on which it is over, from 00:00 UTC. balance_su: what was left when this was written down.
    """

    ends: date | None = None
    balance_su: float | None = Field(default=None, gt=0)

    def ends_at(self) -> int | None:
        """Seconds since 1970."""
        return int(datetime.combine(self.ends, time(), UTC).timestamp()) if self.ends else None


class Rule(Model):
    """One ingress rule of the site's security group. `source`: a CIDR."""

    protocol: Literal["tcp", "udp", "icmp", "any"]
    source: IPv4Network
    port_from: int = 0
    port_to: int = 0


class Network(Model):
    """A site's host network. `shared` names a network that the site has; otherwise we make our own."""

    cidr: IPv4Network
    gateway: IPv4Address
    public: str = "public"
    shared: str = ""
    security_groups: bool = True
    rules: tuple[Rule, ...] = ()


class Node(Model):
    """One server. `groups` are Kubespray's; `pod_cidr` is its slice of the site's pods."""

    name: str
    role: str
    number: int = Field(ge=1)
    address: IPv4Address
    pod_cidr: IPv4Network
    groups: tuple[str, ...]
    floating: bool = False
    flavor: str


class Volume(Model):
    """The block volume of a site: attached to `node`, formatted once, mounted by label."""

    gib: int = Field(ge=1)
    node: str
    label: str = "block"
    mount: str = "/mnt/block"


class Gpu(Model):
    """The GPUs of a site's node. vram_gib: of each card. shares: slices each card is offered in."""

    node: str
    name: str
    vram_gib: int
    count: int = 1
    shares: int = 6
    simulated: bool = False


class Flavor(Model):
    """What one server or host of a size has: a flavor's, or a node type's where leases are of whole hosts."""

    vcpus: int = Field(ge=1)
    memory_mib: int = Field(ge=1)
    disk_gib: int = Field(ge=1)


class Reserve(Model):
    """What no pod may be given, as measured, rounded up.

    On each node: system, kubelet, containerd, kube-proxy, the kubelet's eviction threshold. On the control plane's in
    addition: API server (1.07 GiB with the operators' CRDs), controller manager, scheduler, etcd, CoreDNS.
    Of a card, for each process on it: the CUDA context, which comes on top of what a framework bounds.
    """

    cpu_millicores: int = 250
    memory_mib: int = 512
    control_plane_cpu_millicores: int = 850
    control_plane_memory_mib: int = 1536
    gpu_context_mib: int = 400


class SiteSettings(Model):
    """One cloud and what of ours lives there. auth_url: for the entry that a person writes; a run reads the entry's.

    store_cloud: the entry of the cloud with its objects, where that is another one.
    """

    cloud: str
    store_cloud: str = ""
    region: str
    auth_url: str = ""
    image: str
    user: str = "cc"
    lease: Lease
    network: Network
    nodes: tuple[Node, ...]
    volume: Volume | None = None
    containers: tuple[str, ...] = ()
    gpu: Gpu | None = None
    pods_cidr: IPv4Network
    services_cidr: IPv4Network
    node_packages: tuple[str, ...] = ()

    def node(self, name: str) -> Node:
        """A node by its name in the inventory."""
        return next(node for node in self.nodes if node.name == name)

    def in_group(self, group: str) -> tuple[Node, ...]:
        """The nodes of a Kubespray group, in inventory order."""
        return tuple(node for node in self.nodes if group in node.groups)

    def size(self, node: Node) -> str:
        """The name under which a node's size is found in `flavors`."""
        return self.lease.node_type if self.lease.kind == "physical:host" else node.flavor

    @property
    def entry(self) -> Node:
        """The node with the floating IP: the jump host for the others."""
        return next(node for node in self.nodes if node.floating)
