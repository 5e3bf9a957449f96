"""What a cluster is made from (an inventory in Kubespray's format, variables, one hash over all), and how one is read.

Both engines take the same inventory. Pure, but for reading the repository's own `cluster/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from provision.settings import ROOT, Registry, Settings, SiteSettings
from provision.settings import Node as NodeSettings
from provision.state import write_atomic

FOLDER = ROOT / "cluster"
GROUPS = ("kube_control_plane", "etcd", "kube_node")
HOSTS = "hosts.ini"
CHECKSUMS = "group_vars/all/zz_checksums.yml"
KUBESPRAY = "kubespray"
NO_CONFIG = Path("ssh_config")
SYSTEM = "kube-system"
RECORD = "tandem-cluster"
QUERY = ("get", "nodes,deployments,configmaps", "-n", SYSTEM, "-o", "json", "--request-timeout=10s")
PLAYBOOK = FOLDER / "playbooks" / "kubeadm.yml"
AROUND = FOLDER / "around"
SHARED = ("library", "templates")
"""What Kubespray's plays of ours take from the kubeadm engine's."""


@dataclass(frozen=True)
class Node:
    """A node as its cluster sees it. is_joined: the host of that name has joined (a server made anew has not)."""

    name: str
    version: str = ""
    is_ready: bool = False
    is_joined: bool = False
    pressure: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What a cluster's API told. inputs, base, engine: what is recorded in it, or ''."""

    nodes: tuple[Node, ...]
    has_dns: bool
    inputs: str
    base: str = ""
    engine: str = ""


def inventory_dir(settings: Settings, site_name: str) -> Path:
    """Where the rendered inventory of a site lies."""
    return settings.state_dir / "inventory" / site_name


def write_inventory(
    settings: Settings, site_name: str, ssh_config: Path, engine: str, sums: Mapping[str, str] | None = None
) -> Path:
    """Write the inventory of a site; returns its hosts file. sums: of files that a mirror built itself, by variable."""
    folder = inventory_dir(settings, site_name)
    files = dict(render(settings, site_name, ssh_config, engine))
    files[CHECKSUMS] = yaml.safe_dump(dict(sums or {}))
    for name, text in files.items():
        write_atomic(folder / name, text)
    for path in (folder / "group_vars" / "all").iterdir():  # Ansible would read what another engine's run left
        if str(path.relative_to(folder)) not in files:
            path.unlink()
    return folder / HOSTS


def render(settings: Settings, site_name: str, ssh_config: Path, engine: str) -> Mapping[str, str]:
    """The inventory's files: path -> text. Files of group_vars/all are read in the order of their names."""
    names = ["cluster.yml", *(["kubespray.yml"] if engine == KUBESPRAY else [])]
    names += ["container_hosts.yml"] if settings.kubernetes.container_hosts else []
    files = {HOSTS: _hosts(settings.sites[site_name], ssh_config)}
    files |= {f"group_vars/all/{name}": _own(name) for name in names}
    files["group_vars/all/site.yml"] = yaml.safe_dump(site_variables(settings, site_name), sort_keys=False)
    return files


def variables(settings: Settings, site_name: str, engine: str) -> Mapping[str, Any]:
    """All variables of an inventory, later files over earlier ones, as Ansible reads them."""
    files = render(settings, site_name, NO_CONFIG, engine)
    merged: dict[str, Any] = {}
    for name in sorted(name for name in files if name.startswith("group_vars/all/")):
        merged |= yaml.safe_load(files[name])
    return merged


def site_variables(settings: Settings, site_name: str) -> Mapping[str, Any]:
    """What differs from site to site and between environments, under Kubespray's names."""
    site = settings.sites[site_name]
    return {
        "kube_version": settings.kubernetes.version,
        "kube_pods_subnet": str(site.pods_cidr),
        "kube_service_addresses": str(site.services_cidr),
        "host_firewall": not site.network.security_groups,
        **_sources(settings.registry),
    }


def inputs_hash(settings: Settings, site_name: str, engine: str) -> str:
    """One hash over engine, inventory, variables and playbooks. No path of this machine is in it."""
    return _digest(engine, render(settings, site_name, NO_CONFIG, engine))


def base_hash(settings: Settings, site_name: str, engine: str) -> str:
    """The same without the workers: where it is unchanged, a cluster lacks nothing but nodes."""
    site = settings.sites[site_name]
    stem = site.model_copy(update={"nodes": tuple(node for node in site.nodes if node not in workers(site))})
    return _digest(engine, {**render(settings, site_name, NO_CONFIG, engine), HOSTS: _hosts(stem, NO_CONFIG)})


def record(settings: Settings, site_name: str, engine: str) -> Mapping[str, Any]:
    """The ConfigMap that says, in the cluster itself, what it was made from."""
    data = {
        "inputs": inputs_hash(settings, site_name, engine),
        "base": base_hash(settings, site_name, engine),
        "engine": engine,
        "version": settings.kubernetes.version,
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": RECORD, "namespace": SYSTEM}, "data": data}


def read(answer: str) -> Seen:
    """From what kubectl answers to QUERY."""
    objects = {(item["kind"], item["metadata"]["name"]): item for item in json.loads(answer)["items"]}
    nodes = tuple(_node(item) for (kind, _), item in objects.items() if kind == "Node")
    dns = objects.get(("Deployment", "coredns"), {}).get("status", {})
    recorded = objects.get(("ConfigMap", RECORD), {}).get("data", {})
    has_dns = dns.get("availableReplicas", 0) > 0
    return Seen(nodes, has_dns, *(recorded.get(key, "") for key in ("inputs", "base", "engine")))


def faults(node: Node | None, version: str) -> list[str]:
    """What is wrong with a node that should be Ready at `version`; None: the cluster does not know it."""
    if node is None:
        return ["missing"]
    if not node.is_joined:
        return ["has a new server"]
    found = [] if node.is_ready else ["not ready"]
    found += [] if node.version == version else [f"at {node.version}, want {version}"]
    return [*found, *(f"under {kind}" for kind in node.pressure)]


def labels(site: SiteSettings) -> Mapping[str, Mapping[str, str]]:
    """node -> the labels by which pods find the volume and the GPU."""
    volume, gpu = site.volume, site.gpu
    return {
        node.name: ({"tandem.io/volume": volume.label} if volume and volume.node == node.name else {})
        | ({"nvidia.com/gpu.present": "true"} if gpu and gpu.node == node.name else {})
        for node in site.nodes
    }


def workers(site: SiteSettings) -> tuple[NodeSettings, ...]:
    """The nodes that carry neither control plane nor etcd."""
    return tuple(node for node in site.nodes if not {"kube_control_plane", "etcd"} & set(node.groups))


def _hosts(site: SiteSettings, ssh_config: Path) -> str:
    members = site.in_group("etcd")
    lines = ["[all]"]
    for node in site.nodes:
        etcd = f" etcd_member_name=etcd{members.index(node) + 1}" if node in members else ""
        lines.append(f"{node.name} ansible_host={node.name} ip={node.address}{etcd} pod_cidr={node.pod_cidr}")
    for group in GROUPS:
        lines += ["", f"[{group}]", *(node.name for node in site.in_group(group))]
    lines += ["", "[k8s_cluster:children]", "kube_control_plane", "kube_node"]
    lines += [
        "",
        "[all:vars]",
        f"ansible_user={site.user}",
        "ansible_become=true",
        f"ansible_ssh_common_args='-F \"{ssh_config}\"'",
    ]
    return "\n".join(lines) + "\n"


def _sources(registry: Registry) -> dict[str, Any]:
    """Where files and images come from: Kubespray's offline variables, or the vendors."""
    if registry.files:
        found: dict[str, Any] = {
            "files_repo": registry.files,
            "dl_k8s_io_url": f"{registry.files}/dl.k8s.io",
            "github_url": f"{registry.files}/github.com",
        }
    else:
        found = {"dl_k8s_io_url": "https://dl.k8s.io", "github_url": "https://github.com"}
    if registry.mirror:
        scheme = "http" if registry.plain_http else "https"
        found["containerd_registries_mirrors"] = [
            {
                "prefix": name,
                "mirrors": [
                    {
                        "host": f"{scheme}://{registry.mirror}",
                        "capabilities": ["pull", "resolve"],
                        "skip_verify": registry.plain_http,
                    }
                ],
            }
            for name in registry.upstreams
        ]
    return found


def _node(item: Mapping[str, Any]) -> Node:
    meta, status = item["metadata"], item["status"]
    true = {condition["type"] for condition in status.get("conditions", []) if condition["status"] == "True"}
    pressure = tuple(sorted(kind for kind in true if kind.endswith("Pressure")))
    version = status["nodeInfo"]["kubeletVersion"].removeprefix("v")
    return Node(meta["name"], version, "Ready" in true, pressure=pressure, labels=meta.get("labels", {}))


def _own(name: str) -> str:
    return (FOLDER / "group_vars" / name).read_text()


def _digest(engine: str, files: Mapping[str, str]) -> str:
    digest = sha256(engine.encode())
    for name, text in {**files, **_playbooks(engine)}.items():
        digest.update(f"\0{name}\0{text}".encode())
    return digest.hexdigest()[:16]


def _playbooks(engine: str) -> dict[str, str]:
    kubeadm = FOLDER / "playbooks"
    folders = [AROUND, *(kubeadm / name for name in SHARED)] if engine == KUBESPRAY else [kubeadm]
    found = (path for folder in folders for path in folder.rglob("*.*") if path.is_file() and path.suffix != ".pyc")
    files = [FOLDER / "kubespray.lock", *sorted(found)]
    return {str(path.relative_to(FOLDER)): path.read_text() for path in files}
