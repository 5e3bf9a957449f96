"""Configuration of every service, as data rendered to text. Pure: a tree and its secrets in, file contents out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rehearsal.clouds.config import compute, identity, leases, network, storage
from rehearsal.clouds.config.shared import Secrets, Subject
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.sites import SITES

__all__ = ["Secrets", "environment", "render_all"]

_FILES: Mapping[str, Callable[[Subject], Mapping[str, str]]] = {
    "keystone": identity.keystone,
    "placement": compute.placement,
    "nova": compute.nova,
    "neutron": network.neutron,
    "cinder": storage.cinder,
    "glance": storage.glance,
    "blazar": leases.blazar,
    "swift": storage.swift,
}


def render_all(tree: Tree, secrets: Secrets) -> dict[str, str]:
    """Path under `etc/` -> text, for the services this site has."""
    subject = Subject(tree, SITES[tree.site], secrets)
    files: dict[str, str] = {}
    for service in subject.site.services:
        files.update({f"{service}/{name}": text for name, text in _FILES[service](subject).items()})
    return files


def environment(tree: Tree) -> dict[str, str]:
    """Environment variables by which each service finds its files and stays with plain threads."""
    etc = tree.file("etc")
    return {
        "OS_KEYSTONE_CONFIG_DIR": str(etc / "keystone"),
        "OS_KEYSTONE_CONFIG_FILES": "keystone.conf",
        "OS_PLACEMENT_CONFIG_DIR": str(etc / "placement"),
        "OS_NOVA_CONFIG_DIR": str(etc / "nova"),
        "OS_NEUTRON_CONFIG_DIR": str(etc / "neutron"),
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
        "OS_GLANCE_CONFIG_DIR": str(etc / "glance"),
        "OS_BLAZAR_CONFIG_DIR": str(etc / "blazar"),
        "OS_CINDER_DISABLE_EVENTLET_PATCHING": "1",
        "OS_NOVA_DISABLE_EVENTLET_PATCHING": "1",
        "PYTHONPATH": str(tree.code),
        "PYTHONWARNINGS": "ignore",
    }
