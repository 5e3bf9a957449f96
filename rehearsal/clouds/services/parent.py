"""Parent of one site's tree: imports what every service needs once, forks them, restarts one that dies, stops them all.

Forking from one warmed-up process halves the start-up time and shares its memory. It stays single-threaded: a fork
copies only the calling thread, and a lock held by another one would stay locked in the child for ever.
`python -m rehearsal.clouds.services.parent ROOT [SERVICE...]`
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import threading
from pathlib import Path

from rehearsal.clouds.config import environment
from rehearsal.clouds.layout import Tree, read_tree
from rehearsal.clouds.services.supervisor import Supervisor
from rehearsal.clouds.sites import SITES

_PRELOAD = (
    "sqlalchemy.orm",
    "alembic",
    "oslo_config.cfg",
    "oslo_db.api",
    "oslo_db.sqlalchemy.enginefacade",
    "oslo_messaging",
    "oslo_messaging.rpc",
    "oslo_messaging._drivers.impl_fake",
    "oslo_log.log",
    "oslo_policy.policy",
    "oslo_context.context",
    "oslo_serialization.jsonutils",
    "oslo_middleware",
    "oslo_concurrency.processutils",
    "oslo_concurrency.lockutils",
    "oslo_utils.timeutils",
    "oslo_versionedobjects.base",
    "oslo_cache",
    "keystoneauth1.session",
    "keystoneauth1.loading",
    "keystonemiddleware.auth_token",
    "webob.exc",
    "routes",
    "paste.deploy",
    "paste.urlmap",
    "jsonschema",
    "cryptography.fernet",
    "lxml.etree",
    "yaml",
    "requests",
    "netaddr",
    "dogpile.cache",
    "osprofiler.web",
    "stevedore.named",
    "waitress.server",
    "flask",
    "werkzeug",
    "novaclient.client",
    "novaclient.v2.client",
    "keystoneclient.v3.client",
    "openstack",
    "neutronclient.v2_0.client",
    "castellan",
    "os_brick.initiator.connector",
    "pyroute2",
    "os_traits",
    "oslo_reports.guru_meditation_report",
    "castellan.key_manager",
    "cryptography.x509",
    "OpenSSL.crypto",
    "sqlalchemy.dialects.sqlite",
    "pecan",
    "wsme.types",
    "cinderclient.v3.client",
    "osprofiler.sqlalchemy",
    "oslo_limit.limit",
    "cursive.signature_utils",
)


def main() -> None:
    """Run one tree until told to stop; with names, only those services."""
    tree = read_tree(Path(sys.argv[1]))
    os.environ.update(environment(tree))
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    _preload()
    Supervisor(tree, tuple(sys.argv[2:]) or SITES[tree.site].services, _serve).run()


def _preload() -> None:
    gc.disable()  # imports make nothing that could be freed; wsgi.announce turns it on again
    # nova insists that eventlet was never imported, and the common libraries choose a threading model on first use.
    sys.modules["eventlet"] = None  # type: ignore[assignment]
    from oslo_service import backend

    backend.init_backend(backend.BackendType.THREADING)
    for module in _PRELOAD:
        importlib.import_module(module)
    if threading.active_count() != 1:
        raise RuntimeError(f"a preloaded module started threads: {threading.enumerate()}")
    gc.collect()
    gc.freeze()


def _serve(tree: Tree, service: str) -> None:
    """In the child: become the service. Does not return."""
    if service == "swift":
        os.execv(sys.executable, [sys.executable, "-m", "rehearsal.clouds.services.objects", str(tree.root)])
    # nova bans eventlet itself; cinder and glance still import it for its names.
    del sys.modules["eventlet"]
    logging.getLogger().handlers.clear()
    sys.argv = [service]  # OpenStack's services parse it while they are imported
    from rehearsal.clouds.services import block, compute, leases, network, plain, sqlite

    sqlite.tune()
    serve = {
        "keystone": plain.keystone,
        "placement": plain.placement,
        "glance": plain.glance,
        "cinder": block.cinder,
        "nova": compute.nova,
        "neutron": network.neutron,
        "blazar": leases.blazar,
    }
    serve[service](tree)


if __name__ == "__main__":
    main()
