"""The fabric thread in neutron's process: makes bridges and rules in the sealed namespace what the database says.

Level-triggered: it looks at the whole database whenever SQLite says that another connection changed it, and once a
minute anyway; it keeps no list of what it did. So a missed event, a killed neutron, a flushed table heal by themselves.
"""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
import time
from typing import Any

from provision.errors import PlatformError
from rehearsal import network
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import fabric_facts
from rehearsal.clouds.services.fabric_facts import Fabric
from rehearsal.clouds.services.servers import bridge_name
from rehearsal.clouds.sites import SITES

LOG = logging.getLogger(__name__)
EVERY_S = 0.5
"""How late a change may be seen; a look that finds nothing is one PRAGMA."""
REPAIR_S = 60.0
"""How long the kernel may differ from an unchanged database, whoever changed it."""


def start(tree: Tree) -> None:
    """Run until the process ends."""
    threading.Thread(target=_run, args=(tree,), name="fabric", daemon=True).start()


def _run(tree: Tree) -> None:
    """A failure is logged and tried again at the next look."""
    database = sqlite3.connect(f"file:{tree.file('db/neutron.db')}?mode=ro", uri=True)
    pause = threading.Event()
    seen, applied = -1, 0.0
    while True:
        try:
            version = database.execute("PRAGMA data_version").fetchone()[0]
            if version != seen or time.monotonic() - applied > REPAIR_S:
                _converge(tree, database)
                seen, applied = version, time.monotonic()
        except (PlatformError, OSError, sqlite3.Error):
            LOG.exception("the fabric of %s does not match its database", tree.site)
        pause.wait(EVERY_S)


def _converge(tree: Tree, database: sqlite3.Connection) -> None:
    wanted = fabric_facts.read(database, tree.site, has_security_groups=SITES[tree.site].has_security_groups)
    apply(tree, wanted)


def apply(tree: Tree, wanted: Fabric) -> None:
    """Bridges, then rules, then what neutron shows of them; bridges of networks that are gone go last."""
    for name, gateway in wanted.bridges.items():
        network.ensure_bridge(tree.platform, name, gateway)
    network.apply(tree.platform, wanted.rules)
    _report(wanted.idle_floating)
    # This process lives in the namespace, so its own list of interfaces is the namespace's.
    ours = bridge_name(tree.site, "")
    for _, name in socket.if_nameindex():
        if name.startswith(ours) and name not in wanted.bridges:
            network.delete_bridge(tree.platform, name)


def _report(floating_ips: tuple[str, ...]) -> None:
    """Say ACTIVE of floating IPs that now work, as an L3 agent would."""
    if not floating_ips:
        return
    from neutron_lib import constants, context
    from neutron_lib.plugins import constants as plugins
    from neutron_lib.plugins import directory

    admin = context.get_admin_context()
    router: Any = directory.get_plugin(plugins.L3)
    for floating_ip in floating_ips:
        router.update_floatingip_status(admin, floating_ip, constants.FLOATINGIP_STATUS_ACTIVE)
