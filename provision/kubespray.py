"""Kubespray itself, unmodified: its playbooks between ours, in a venv and with a configuration of their own.

Before it starts, hosts, files and images are looked at (`groundwork`), because it would stumble over them late or
never; after it ends, resolvers and cluster DNS (`aftercare`), because it ends green without them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from provision import aftercare, ansible, checkout, cluster, groundwork, say
from provision.ansible import Kit
from provision.errors import PreconditionMissing
from provision.paths import ROOT
from provision.site import Site

LOCK = ROOT / "requirements" / "kubespray.lock"
CONFIG = cluster.FOLDER / "kubespray.cfg"
STEP = "kubespray"
DEADLINE_S = {"facts": 600, "cluster": 3000, "scale": 1800, "upgrade": 3300, "remove_node": 1200, "reset": 1200}
"""Per playbook. Sealed hosts on two busy cores: cluster 568 s, three control planes 725 s, scale 179 s, reset 95 s."""


def run(site: Site, operation: str, nodes: tuple[str, ...] = ()) -> None:
    """Cluster, scale or upgrade: preflight, plays, own check. nodes: those that a scale is limited to."""
    tree = checkout.obtain()
    variables = cluster.variables(site.settings, site.name, cluster.KUBESPRAY)
    say.line(
        STEP, "check", f"{site.name}: hosts, {len(checkout.lock().files)} files, {len(checkout.lock().images)} images"
    )
    hosts = _inventory(site, groundwork.check(site, variables))
    if operation == "scale":
        _play(site, tree, "facts", hosts)
    limit = ("--limit", ",".join(nodes)) if nodes else ()
    _play(site, tree, operation, hosts, *limit)
    if operation == "scale":
        _play(site, tree, "after", hosts)
    aftercare.check(site)


def remove_node(site: Site, node: str) -> None:
    """Drain a worker and take it out of its cluster; its server stays. Raises PreconditionMissing for others."""
    workers = [worker.name for worker in cluster.workers(site.own)]
    if node not in workers:
        raise PreconditionMissing(
            f"{site.name}: {node} is no worker that could go",
            why=f"workers without control plane or etcd: {', '.join(workers) or 'none'}",
            next=f"invoke provision.status --site {site.name}",
        )
    words = ("-e", f"node={node}", "-e", "skip_confirmation=true")
    _play(site, checkout.obtain(), "remove_node", _inventory(site, {}), *words)


def reset(site: Site) -> None:
    """Take the cluster off its hosts."""
    words = ("-e", "reset_confirmation=true", "-e", "skip_confirmation=true")
    _play(site, checkout.obtain(), "reset", _inventory(site, {}), *words)


def kit(tree: Path, facts: Path) -> Kit:
    """Ansible as Kubespray needs it. facts: a folder of the site's own, since two sites may have equal host names."""
    modules = [cluster.FOLDER / "playbooks" / "library", tree / "library", tree / "plugins" / "modules"]
    env = {
        "ANSIBLE_ROLES_PATH": str(tree / "roles"),
        "ANSIBLE_LIBRARY": os.pathsep.join(map(str, modules)),
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(facts),
        "PYTHONDONTWRITEBYTECODE": "1",  # a checkout with files of its own would be one that was edited
    }
    return Kit(LOCK, CONFIG, env)


def words(tree: Path, *, sealed: bool) -> list[str]:
    """What every playbook is told. sealed: no package source, so that the packages must be there (preflight)."""
    return ["-e", f"kubespray={tree}", *(["--skip-tags", "system-packages"] if sealed else [])]


def _inventory(site: Site, sums: Mapping[str, str]) -> Path:
    return cluster.write_inventory(site.settings, site.name, site.hosts.config, cluster.KUBESPRAY, sums)


def _play(site: Site, tree: Path, name: str, hosts: Path, *more: str) -> None:
    settings = site.settings
    say.line(STEP, "phase", f"{site.name}: {name}.yml of Kubespray {checkout.lock().version}")
    ansible.play(
        cluster.AROUND / f"{name}.yml",
        hosts,
        home=settings.state_dir / "ansible",
        log=site.log(STEP),
        deadline_s=DEADLINE_S.get(name, 600),
        next=f"invoke provision.{STEP} --site {site.name}",
        kit=kit(tree, settings.state_dir / "ansible" / f"facts-{site.name}"),
        words=[*words(tree, sealed=bool(settings.registry.files)), *more],
    )
