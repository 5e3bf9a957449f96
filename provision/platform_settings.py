"""What a platform is made of, beside its sites: the link, the registry, Kubernetes, and all of it as Settings."""

from __future__ import annotations

import os
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from provision.paths import ROOT
from provision.site_settings import Allocation, Flavor, Model, Reserve, SiteSettings


class Forward(Model):
    """One forwarded port of the link. The listener is at `listens`, the service it leads to at the other site.

    port: the listening port (on the listening site's link node). target: `namespace/service:port` at the other site;
    target_ip: the fixed ClusterIP that the Service gets there (hosts, where ssh resolves
    names, know no cluster DNS).
    service: the name of the Service in namespace `tandem-link` at the listening site.
    """

    service: str
    listens: str
    port: int
    target: str
    target_ip: IPv4Address

    @property
    def target_port(self) -> int:
        """The Service's port at the other site."""
        return int(self.target.rsplit(":", 1)[1])


class Link(Model):
    """The supervised SSH link: a unit on `client`'s entry node, to `server`'s entry node."""

    client: str
    server: str
    keepalive_s: int = 5
    keepalive_count: int = 3
    forwards: tuple[Forward, ...]


class Registry(Model):
    """Where images come from. `mirror` answers for every upstream name; empty means the upstreams themselves."""

    mirror: str = ""
    plain_http: bool = False
    upstreams: tuple[str, ...] = ("registry.k8s.io", "docker.io", "quay.io", "ghcr.io", "nvcr.io")
    files: str = ""


class Kubernetes(Model):
    """What both clusters run. engine: who installs it; fallback: who does where Kubespray's files cannot be had."""

    version: str = "1.35.4"
    engine: Literal["kubeadm", "kubespray"]
    fallback: Literal["", "kubeadm"] = ""
    container_hosts: bool = False


class Embedded(Model):
    """Entry points `module:function` of an environment that lives on this machine; each takes the Settings."""

    up: str
    down: str
    is_up: str
    seal: str
    disk: str
    releases: str


class Settings(Model):
    """Everything about one environment's platform.

    boot_s: how long a server that is ACTIVE may take to answer ssh. patience: how many times what an application may
    take to be ready on machines of its own, where both sites share a few cores; a command to a cluster
    too. backends: other homes of sites, by name; backend: the one chosen, whose sites are in `sites`.
    """

    env: str
    platform: str = Field(pattern=r"^[a-z][a-z0-9-]{1,20}$")
    owner: str = ""
    spends: bool = True
    boot_s: int = Field(default=600, ge=1)
    patience: float = Field(default=1.0, ge=1)
    allocation: Allocation = Allocation()
    clouds_file: str
    cpu_scale: float = Field(default=1.0, gt=0, le=1)
    memory_scale: float = Field(default=1.0, gt=0, le=1)
    simulated: tuple[str, ...] = ()
    apps: str = "apps"
    embedded: Embedded | None = None
    registry: Registry = Registry()
    kubernetes: Kubernetes
    flavors: dict[str, Flavor] = {}
    reserve: Reserve = Reserve()
    link: Link
    sites: dict[str, SiteSettings]
    backend: str = ""
    backends: dict[str, dict[str, SiteSettings]] = {}

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Settings:
        """`a-kvm-tacc` would have things that begin like those of platform `a`, and leases bear no other mark."""
        for site in self.sites:
            if f"-{site}" in f"-{self.platform}":
                raise ValueError(f"a platform's name without the name of a site, not {self.platform!r}")
        return self

    @property
    def caveats(self) -> tuple[str, ...]:
        """What every summary says: `GPU: simulated`; an entry of `simulated` with a colon is said as it stands."""
        return tuple(name if ":" in name else f"{name}: simulated" for name in self.simulated)

    @property
    def apps_dir(self) -> Path:
        """The folder of the applications; `apps` is relative to the checkout."""
        return ROOT / self.apps

    @property
    def state_dir(self) -> Path:
        """Receipts and logs; deleting it loses history, never the platform."""
        return ROOT / ".state" / self.env

    @property
    def config_dir(self) -> Path:
        """Keys and the age identity: outside the checkout, 0700."""
        return Path(os.environ.get("TANDEM_CONFIG", "~/.config/tandem")).expanduser() / self.platform

    @property
    def clouds_path(self) -> Path:
        """The clouds.yaml with this environment's entries."""
        return Path(self.clouds_file.format(platform=self.platform, config=self.config_dir)).expanduser()

    def name(self, site: str, role: str, number: int = 0) -> str:
        """`<platform>-<site>-<role>[-<n>]`: how anything of ours in a cloud is called."""
        tail = f"-{number}" if number else ""
        return f"{self.platform}-{site}-{role}{tail}"

    def containers(self, site: str) -> tuple[str, ...]:
        """Whole names of all containers of a site."""
        return tuple(self.name(site, role) for role in self.sites[site].containers)

    @property
    def store_site(self) -> str:
        """The site whose object store keeps the platform's containers; '' when none has one."""
        return next((name for name, site in self.sites.items() if site.containers), "")

    def peer_of(self, site: str) -> str:
        """The other site of the link."""
        return self.link.server if site == self.link.client else self.link.client
