"""nova: API, conductor, scheduler and one compute service per simulated host, all threads of one process."""

from __future__ import annotations

import sys
from typing import Any

from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import wsgi
from rehearsal.clouds.sites import SITES


def nova(tree: Tree) -> None:
    """Servers. Imports come late: nova reads its arguments and configuration while it is imported."""
    sys.argv = ["nova-api", "--config-file", str(tree.file("etc/nova/nova.conf"))]
    from nova.wsgi.osapi_compute import application  # first: it makes the whole configuration

    _register_driver(tree)
    for service in _services(tree):
        service.start()
    _map_hosts()
    wsgi.serve(tree, "nova", application)


def _register_driver(tree: Tree) -> None:
    """nova loads drivers from nova.virt only: alias ours there, and tell it which tree it serves."""
    import nova.virt
    import os_vif
    from nova.compute import manager

    from rehearsal.clouds.services import virt_driver

    os_vif.initialize()
    virt_driver.HostDriver.tree = tree
    sys.modules["nova.virt.tandem_hosts"] = virt_driver
    nova.virt.tandem_hosts = virt_driver
    # One identity file a machine is nova's guard against moved databases; here several hosts share a process, and
    # node uuids are derived from host names (see the driver), so that they survive a restart.
    manager.ComputeManager._ensure_existing_node_identity = _accept_any_node


def _accept_any_node(_manager: Any, _service_ref: Any) -> None:
    """In place of nova's guard."""


def _services(tree: Tree) -> list[Any]:
    from nova import service
    from nova.compute import rpcapi as compute
    from nova.conductor import rpcapi as conductor
    from nova.scheduler import rpcapi as scheduler

    services = [
        service.Service.create(binary="nova-conductor", topic=conductor.RPC_TOPIC),
        service.Service.create(binary="nova-scheduler", topic=scheduler.RPC_TOPIC),
    ]
    for host in SITES[tree.site].hosts:
        services.append(
            service.Service.create(
                binary="nova-compute", topic=compute.RPC_TOPIC, topic_alt=compute.RPC_TOPIC_ALT, host=host.name
            )
        )
    return services


def _map_hosts() -> None:
    from nova import context
    from nova.objects import host_mapping

    host_mapping.discover_hosts(context.get_admin_context())
