"""blazar: API and manager in one process."""

from __future__ import annotations

import gettext
import sys

from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import wsgi

TICK_S = 2
"""How often the manager looks for leases to start or end (upstream: 10 s, a constant)."""


def blazar(tree: Tree) -> None:
    """Leases. Imports come late: blazar reads its arguments and configuration while it is imported."""
    sys.argv = ["blazar-api", "--config-file", str(tree.file("etc/blazar/blazar.conf"))]
    gettext.install("blazar")
    from blazar.manager import service
    from blazar.notification import notifier
    from blazar.wsgi.api import application

    service.EVENT_INTERVAL = TICK_S
    notifier.init()
    service.ManagerService().start()
    wsgi.serve(tree, "blazar", application)
