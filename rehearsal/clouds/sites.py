"""The two sites as data: what each cloud has, and what it has not. Sizes are simulated; every host is this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from rehearsal.clouds.layout import PORTS

DAY_S = 86400
EXTENSION_WINDOW_S = 2 * DAY_S
"""How long before its end a lease can be extended."""
FIRST_FLOATING, LAST_FLOATING = 10, 99
"""Host numbers of the public subnet's allocation pool: floating IPs that anyone may take."""
RESERVABLE = range(100, 120)
"""Host numbers of Blazar's floating IPs; Blazar wants them outside the allocation pool."""


@dataclass(frozen=True, slots=True)
class ComputeHost:
    """One simulated host: a nova-compute service of its own. node_type: what leases of whole hosts ask for.

    su_per_hour: what it costs in a lease, as Chameleon's hosts tell of themselves.
    """

    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    node_type: str = ""
    su_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Flavor:
    """A server size. extra: extra specs, e.g. a resource class that makes one server fill one host.

    su_per_hour: what one server of it costs in a lease.
    """

    id: str
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int
    extra: Mapping[str, str] = field(default_factory=dict)
    su_per_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Image:
    """A server image. layers: root trees of rehearsal.hosts, topmost first."""

    name: str
    layers: str


@dataclass(frozen=True, slots=True)
class CloudSite:
    """One cloud. max_lease_s: the longest lease it grants, and the most by which one is extended.

    whole_hosts: servers fill a host (bare metal).
    """

    name: str
    region: str
    address: IPv4Address
    public: IPv4Network
    services: tuple[str, ...]
    hosts: tuple[ComputeHost, ...]
    flavors: tuple[Flavor, ...]
    images: tuple[Image, ...]
    lease_plugins: tuple[str, ...]
    max_lease_s: int
    has_security_groups: bool
    whole_hosts: bool = False
    shared: IPv4Network | None = None

    def url(self, service: str, path: str = "") -> str:
        """Address of a service, as the catalogue names it."""
        return f"http://{self.address}:{PORTS[service]}{path}"

    @property
    def auth_url(self) -> str:
        """Keystone v3."""
        return self.url("keystone", "/v3")

    @property
    def floating_pool(self) -> tuple[IPv4Address, IPv4Address]:
        """First and last address of the pool that needs no lease."""
        return self.public[FIRST_FLOATING], self.public[LAST_FLOATING]

    @property
    def reservable_floating(self) -> tuple[IPv4Address, ...]:
        """Floating IPs that only a lease hands out."""
        return tuple(self.public[number] for number in RESERVABLE)


BAREMETAL_CLASS = "CUSTOM_BAREMETAL"
_WHOLE_HOST = {
    f"resources:{BAREMETAL_CLASS}": "1",
    "resources:VCPU": "0",
    "resources:MEMORY_MB": "0",
    "resources:DISK_GB": "0",
}
_SIZES = (
    ("tiny", 1, 512, 1, 0.01),
    ("small", 1, 2048, 20, 0.02),
    ("medium", 2, 4096, 40, 0.04),
    ("large", 4, 8192, 40, 0.08),
    ("xlarge", 8, 16384, 40, 0.15),
    ("xxlarge", 16, 32768, 40, 0.3),
)

KVM_TACC = CloudSite(
    name="kvm-tacc",
    region="KVM@TACC",
    address=IPv4Address("10.30.0.10"),
    public=IPv4Network("10.30.1.0/24"),
    services=("keystone", "placement", "neutron", "glance", "cinder", "nova", "blazar"),
    hosts=(ComputeHost("kvm-01", 64, 262144, 4000), ComputeHost("kvm-02", 64, 262144, 4000)),
    flavors=tuple(
        Flavor(str(number), f"m1.{size}", vcpus, memory, disk, su_per_hour=su)
        for number, (size, vcpus, memory, disk, su) in enumerate(_SIZES, start=1)
    ),
    images=(Image("CC-Ubuntu24.04", "base"),),
    # The host plugin also answers /os-hosts, by which the flavor plugin learns what it may reserve.
    lease_plugins=("physical.host.plugin", "flavor.instance.plugin", "virtual.floatingip.plugin"),
    max_lease_s=180 * DAY_S,
    has_security_groups=True,
)
CHI_UC = CloudSite(
    name="chi-uc",
    region="CHI@UC",
    address=IPv4Address("10.30.0.20"),
    public=IPv4Network("10.30.2.0/24"),
    services=("keystone", "placement", "neutron", "glance", "nova", "blazar", "swift"),
    hosts=(
        ComputeHost("gpu-rtx6000-01", 48, 196608, 240, "gpu_rtx_6000", 2.0),
        ComputeHost("gpu-rtx6000-02", 48, 196608, 240, "gpu_rtx_6000", 2.0),
        ComputeHost("skylake-01", 48, 196608, 240, "compute_skylake", 1.0),
    ),
    flavors=(Flavor("baremetal", "baremetal", 1, 1, 20, _WHOLE_HOST),),
    images=(Image("CC-Ubuntu24.04-CUDA", "gpu,base"), Image("CC-Ubuntu24.04", "base")),
    lease_plugins=("physical.host.plugin", "virtual.floatingip.plugin"),
    max_lease_s=7 * DAY_S,
    has_security_groups=False,
    whole_hosts=True,
    shared=IPv4Network("10.32.1.0/24"),
)
SITES: Mapping[str, CloudSite] = {site.name: site for site in (KVM_TACC, CHI_UC)}
