"""What a drill asked to go wrong with a server: before its host boots, and after."""

from __future__ import annotations

import threading

from rehearsal import hosts
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import faults
from rehearsal.hosts import HostSpec


def before(tree: Tree, name: str) -> bool:
    """Wait as long as a slow deploy lasts; whether the deploy is to fail."""
    asked = faults.read(tree)
    threading.Event().wait(asked.spawn_delay_s)
    return asked.fails(name)


def after(tree: Tree, spec: HostSpec, name: str) -> None:
    """A host that is up and silent."""
    if faults.read(tree).is_silent(name):
        hosts.disable_unit(spec.platform, spec.machine, "ssh")
