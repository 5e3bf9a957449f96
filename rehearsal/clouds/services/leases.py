"""blazar: API and manager in one process, and Chameleon's accounting beside them."""

from __future__ import annotations

import gettext
import sys
import threading
from typing import Any

from rehearsal.clouds import access
from rehearsal.clouds.layout import ACCOUNTING_PORT, Tree
from rehearsal.clouds.services import accounting, faults, wsgi
from rehearsal.clouds.sites import SITES

TICK_S = 2
"""How often the manager looks for leases to start or end (upstream: 10 s, a constant)."""


def blazar(tree: Tree) -> None:
    """Leases. Imports come late: blazar reads its arguments and configuration while it is imported."""
    sys.argv = ["blazar-api", "--config-file", str(tree.file("etc/blazar/blazar.conf"))]
    gettext.install("blazar")
    from blazar.manager import service
    from blazar.notification import notifier
    from blazar.wsgi.api import application

    from rehearsal.clouds.services import lease_rules

    lease_rules.register(tree)
    threading.Thread(target=_account, args=(tree,), name="accounting", daemon=True).start()
    service.EVENT_INTERVAL = TICK_S
    notifier.init()
    manager = service.ManagerService()
    _let_starts_fail(tree, manager)
    manager.start()
    wsgi.serve(tree, "blazar", application)


def _account(tree: Tree) -> None:
    """Serve the accounting on the site's own address; it answers to Blazar's token only."""
    site = SITES[tree.site]
    rates = {flavor.id: flavor.su_per_hour for flavor in site.flavors}
    ledger = accounting.Ledger(tree.file("state", "charges.json"), rates)
    token = access.read_secrets(tree).service
    wsgi.listen(
        accounting.application(ledger, token, lambda: faults.read(tree)), str(site.address), ACCOUNTING_PORT, threads=2
    )


def _let_starts_fail(tree: Tree, manager: Any) -> None:
    """The double-booking race on demand: the first leases of hosts fail at their start, as with a host given twice."""
    from blazar.manager import exceptions

    actions = manager.resource_actions.get("physical:host", {})
    start, failed = actions.get("on_start"), {"since": 0.0, "count": 0.0}

    def on_start(resource_id: str) -> None:
        asked = faults.read(tree)
        if asked.starts_fail_since != failed["since"]:
            failed.update(since=asked.starts_fail_since, count=0.0)
        if failed["count"] < asked.starts_fail:
            failed["count"] += 1
            raise exceptions.HostNotInFreePool(host="injected", freepool_name="freepool")
        start(resource_id)

    if start is not None:
        actions["on_start"] = on_start
