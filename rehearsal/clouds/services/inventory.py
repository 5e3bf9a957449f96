"""How large a simulated host says it is, in nova's and in placement's words. Pure."""

from __future__ import annotations

import json
import uuid
from typing import Any

from rehearsal.clouds.sites import BAREMETAL_CLASS, CloudSite, ComputeHost

_NODES = uuid.UUID("6f1d9a52-6f0e-5b0c-9d9e-5f1b8a3c7e10")


def node_uuid(site: CloudSite, host: ComputeHost) -> str:
    """The node's id, derived from its name so that it is the same after a restart."""
    return str(uuid.uuid5(_NODES, f"{site.name}/{host.name}"))


def hypervisor(site: CloudSite, host: ComputeHost) -> dict[str, Any]:
    """What nova records of the host. This machine's real size would not hold a single bare-metal server."""
    return {
        "uuid": node_uuid(site, host),
        "hypervisor_hostname": host.name,
        "hypervisor_type": "lxc",
        "hypervisor_version": 1,
        "vcpus": host.vcpus,
        "memory_mb": host.memory_mib,
        "local_gb": host.disk_gib,
        "vcpus_used": 0,
        "memory_mb_used": 0,
        "local_gb_used": 0,
        "disk_available_least": host.disk_gib,
        "cpu_info": json.dumps({"arch": "x86_64"}),
        "supported_instances": [("x86_64", "lxc", "exe")],
        "numa_topology": None,
    }


def resources(site: CloudSite, host: ComputeHost) -> dict[str, dict[str, Any]]:
    """Placement's inventory: a whole host as one unit at a bare-metal site, its parts elsewhere."""
    if site.whole_hosts:
        return {BAREMETAL_CLASS: _inventory(1)}
    sizes = {"VCPU": host.vcpus, "MEMORY_MB": host.memory_mib, "DISK_GB": host.disk_gib}
    return {name: _inventory(total) for name, total in sizes.items()}


def _inventory(total: int) -> dict[str, Any]:
    return {"total": total, "reserved": 0, "min_unit": 1, "max_unit": total, "step_size": 1, "allocation_ratio": 1.0}
