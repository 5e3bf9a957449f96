"""neutron: the API with our mechanism driver, and the fabric thread that makes the kernel look like the database."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from typing import Any

from rehearsal.clouds.config.network import MECHANISM
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import wsgi


def neutron(tree: Tree) -> None:
    """Networks. Imports come late: neutron reads its arguments while it is imported."""
    _register_mechanism()
    sys.argv = ["neutron-server"]
    from neutron.wsgi.api import application

    from rehearsal.clouds.services import fabric

    fabric.start(tree)
    wsgi.serve(tree, "neutron", application)


def _register_mechanism() -> None:
    """Declare our mechanism driver as an installed package would, without installing one."""
    from stevedore.extension import ExtensionManager

    listed = ExtensionManager.list_entry_points

    def with_ours(self: Any) -> list[EntryPoint]:
        points = list(listed(self))
        if self.namespace == "neutron.ml2.mechanism_drivers":
            target = "rehearsal.clouds.services.mechanism:TandemMechanism"
            points.append(EntryPoint(MECHANISM, target, self.namespace))
        return points

    setattr(ExtensionManager, "list_entry_points", with_ours)  # noqa: B010  # mypy allows no assignment to a method
