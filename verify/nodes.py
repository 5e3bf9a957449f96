"""A host as its checks see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import testinfra

from provision.settings import Node
from provision.site import Site


@dataclass(frozen=True)
class NodeUnderTest:
    """One host. host: testinfra over ssh with our ssh_config and sudo; one connection a host."""

    site: Site
    name: str
    node: Node
    host: Any


def under_test(site: Site, name: str) -> NodeUnderTest:
    """A host with its connection: ssh_config says how, so testinfra's own connection options stay off."""
    host = testinfra.get_host(f"ssh://{name}", ssh_config=str(site.hosts.config), sudo=True, controlpersist=0)
    return NodeUnderTest(site, name, site.own.node(name), host)
