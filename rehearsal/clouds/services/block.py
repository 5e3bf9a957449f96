"""cinder: API, scheduler and the volume service over our driver, in one process."""

from __future__ import annotations

import sys
import threading

from rehearsal.clouds.config.storage import BACKEND
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import wsgi


def cinder(tree: Tree) -> None:
    """Block storage. The patch call comes before any other import of cinder: it chooses threads over eventlet."""
    sys.argv = ["cinder-api", "--config-file", str(tree.file("etc/cinder/cinder.conf"))]
    from cinder import monkey_patch

    monkey_patch.patch()
    from cinder import service
    from cinder.common import constants
    from cinder.wsgi.api import application
    from oslo_config import cfg

    cfg.CONF.register_opt(cfg.StrOpt("backend_host"), group=BACKEND)
    scheduler = service.Service.create(binary="cinder-scheduler")
    # It waits until a backend has reported, so it must not be started in line.
    threading.Thread(target=scheduler.start, daemon=True).start()
    volume = service.Service.create(
        host=f"{cfg.CONF.host}@{BACKEND}", service_name=BACKEND, binary=constants.VOLUME_BINARY, coordination=True
    )
    volume.start()
    wsgi.serve(tree, "cinder", application)
