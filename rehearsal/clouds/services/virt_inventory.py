# ruff: noqa: ARG002  # the signatures are nova's
"""What nova asks a driver about its host: its size, its address, the names of disks. Nothing here touches a server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova import exception
from nova.virt import driver

from rehearsal.clouds.services import inventory, servers
from rehearsal.clouds.sites import CloudSite, ComputeHost


class InventoryDriver(driver.ComputeDriver):  # type: ignore[misc]  # nova has no types
    """The simulated host of one compute service."""

    site: CloudSite
    host: ComputeHost

    def get_volume_connector(self, instance: Any) -> dict[str, Any]:
        """Where a volume would be connected to: this machine."""
        return {
            "host": self.host.name,
            "ip": self.get_host_ip_addr(),
            "initiator": "",
            "multipath": False,
            "platform": "x86_64",
            "os_type": "linux",
        }

    def default_root_device_name(self, instance: Any, image_meta: Any, root_bdm: Any) -> str:
        """The root disk's name; there is no such device in the host, its root is an overlay."""
        return "/dev/vda"

    def get_device_name_for_instance(self, instance: Any, bdms: Iterable[Any], block_device_obj: Any) -> str:
        """The next free /dev/vdX. Raises TooManyDiskDevices."""
        name = block_device_obj.device_name or servers.next_device(bdm.device_name for bdm in bdms)
        if name is None:
            raise exception.TooManyDiskDevices(maximum=24)
        return str(name)

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Nothing to do: a host's interfaces are made when it boots."""

    def unplug_vifs(self, instance: Any, network_info: Any) -> None:
        """Nothing to do: they go with the host."""

    def get_host_ip_addr(self) -> str:
        """The cloud's own address."""
        return str(self.site.address)

    def get_available_nodes(self, refresh: bool = False) -> list[str]:
        """One node a compute service, named as it."""
        return [self.host.name]

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """Node uuids, derived from the names so that they are the same after a restart."""
        return {inventory.node_uuid(self.site, self.host): self.host.name}

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """The simulated size."""
        return inventory.hypervisor(self.site, self.host)

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """Placement's inventory."""
        provider_tree.update_inventory(nodename, inventory.resources(self.site, self.host))
