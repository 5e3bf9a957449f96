# ruff: noqa: ARG002  # the signatures are nova's
"""nova's virt driver: every server is a systemd-nspawn host on this machine, run by rehearsal.hosts.

Nothing is held in memory: which servers exist lies in files, whether one runs is asked of the host itself. So nova can
be killed at any point and knows its servers when it is back.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from nova import exception
from nova.compute import power_state
from nova.virt import hardware

from provision.errors import PlatformError, PreconditionMissing
from provision.wait import never, wait_until
from rehearsal import hosts
from rehearsal.clouds import loops
from rehearsal.clouds.layout import Tree
from rehearsal.clouds.services import injection, servers
from rehearsal.clouds.services.virt_inventory import InventoryDriver
from rehearsal.clouds.sites import SITES
from rehearsal.hosts import roots

LOG = logging.getLogger(__name__)
SSH_S = 120.0
BRIDGE_S = 60.0
CONSOLE_BYTES = 100_000


class HostDriver(InventoryDriver):
    """One compute service's driver. `tree` is set once, by the process that serves it."""

    tree: ClassVar[Tree]
    capabilities: ClassVar[dict[str, bool]] = {
        "has_imagecache": False,
        "supports_evacuate": False,
        "supports_migrate_to_same_host": False,
        "supports_attach_interface": False,
        "supports_device_tagging": False,
        "supports_image_type_raw": True,
    }

    def init_host(self, host: str) -> None:
        """Become the compute service of one simulated host."""
        self.site = SITES[self.tree.site]
        self.host = next(candidate for candidate in self.site.hosts if candidate.name == host)
        self.roll = servers.Roll(self.tree, host)

    # -- what exists --------------------------------------------------------------------------------------------------
    def list_instances(self) -> list[str]:
        """nova's names of this service's servers."""
        return self.roll.names()

    def list_instance_uuids(self) -> list[str]:
        """uuids of this service's servers."""
        return self.roll.uuids()

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """Whether the host runs, looked up live."""
        if instance.uuid not in self.roll.uuids():
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        runs = hosts.is_running(self.tree.platform, servers.machine_name(instance.uuid))
        return hardware.InstanceInfo(state=power_state.RUNNING if runs else power_state.SHUTDOWN)

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        """The end of the host's boot log."""
        log = hosts.log_path(self.tree.platform, servers.machine_name(instance.uuid))
        return log.read_bytes()[-CONSOLE_BYTES:] if log.exists() else b""

    # -- life and death -----------------------------------------------------------------------------------------------
    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: str,
        allocations: Any,
        network_info: Any = None,
        block_device_info: Any = None,
        power_on: bool = True,
        accel_info: Any = None,
    ) -> None:
        """Boot the host; ACTIVE means that its ssh answers. Raises BuildAbortException: no retry."""
        self.roll.add(instance.uuid, instance.name)
        try:
            if injection.before(self.tree, instance.display_name or ""):
                raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="injected deploy failure")
            spec = servers.host_spec(self.tree, instance, self._layers(instance), network_info or ())
            self._wait_bridges(nic.bridge for nic in spec.nics)
            hosts.boot(spec)
            self._attach(instance, servers.disks(block_device_info))
            hosts.wait_ssh(spec, deadline_s=SSH_S)
            injection.after(self.tree, spec, instance.display_name or "")
        except (PlatformError, OSError) as error:
            LOG.exception("server %s did not come up", instance.uuid)
            log = hosts.log_path(self.tree.platform, servers.machine_name(instance.uuid))
            why = "; ".join(str(error).splitlines()[:2])
            raise exception.BuildAbortException(
                instance_uuid=instance.uuid, reason=f"host did not come up: {why}; console log: {log}"
            ) from error

    def destroy(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """Remove the host and free the loop devices of its volumes; silent about what is gone already."""
        hosts.stop(self.tree.platform, servers.machine_name(instance.uuid), keep=not destroy_disks)
        for disk in servers.disks(block_device_info):
            loops.detach(disk.image)
        self.roll.remove(instance.uuid)

    def cleanup(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        destroy_disks: bool = True,
        migrate_data: Any = None,
        destroy_vifs: bool = True,
        destroy_secrets: bool = True,
    ) -> None:
        """After a failed build: the same as destroy."""
        self.destroy(context, instance, network_info, block_device_info, destroy_disks)

    def power_off(self, instance: Any, timeout: int = 0, retry_interval: int = 0) -> None:
        """Shut the host down, keep its files."""
        hosts.stop(self.tree.platform, servers.machine_name(instance.uuid), keep=True)

    def power_on(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        block_device_info: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Boot the host from the files it has."""
        self._start(instance, network_info, block_device_info)

    def reboot(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        reboot_type: str,
        block_device_info: Any = None,
        bad_volumes_callback: Any = None,
        accel_info: Any = None,
        share_info: Any = None,
    ) -> None:
        """Shut down and boot again; both kinds of reboot are the same here."""
        self.power_off(instance)
        self._start(instance, network_info, block_device_info)

    def resume_state_on_host_boot(
        self, context: Any, instance: Any, network_info: Any, share_info: Any = None, block_device_info: Any = None
    ) -> None:
        """After `rehearsal.down` or a reboot of the machine: the server ran, so it runs again.

        In the background: nova calls this while it starts, one server after the other.
        """
        threading.Thread(target=self._resume, args=(instance, network_info, block_device_info), daemon=True).start()

    # -- volumes ------------------------------------------------------------------------------------------------------
    def attach_volume(
        self,
        context: Any,
        connection_info: Mapping[str, Any],
        instance: Any,
        mountpoint: str,
        disk_bus: Any = None,
        device_type: Any = None,
        encryption: Any = None,
    ) -> None:
        """The sparse file becomes a loop device, the loop device a disk of the running host."""
        self._attach(instance, (servers.disk(connection_info, mountpoint),))

    def detach_volume(
        self, context: Any, connection_info: Mapping[str, Any], instance: Any, mountpoint: str, encryption: Any = None
    ) -> None:
        """Take the disk away and free its loop device."""
        disk = servers.disk(connection_info, mountpoint)
        hosts.detach_disk(self.tree.platform, servers.machine_name(instance.uuid), disk.name)
        loops.detach(disk.image)

    # -- inside -------------------------------------------------------------------------------------------------------
    def _layers(self, instance: Any) -> tuple[Path, ...]:
        ready = roots.ready(self.tree.cache)
        if ready is None:
            raise PreconditionMissing("no root trees", why=f"not in {self.tree.cache}", next="invoke rehearsal.up")
        properties = {"tandem_layers": instance.system_metadata.get("image_tandem_layers", "base")}
        return servers.layers(properties, {"base": ready.base, "gpu": ready.gpu})

    def _wait_bridges(self, names: Iterable[str]) -> None:
        """neutron's fabric thread makes bridges a moment after their networks."""
        wanted = set(names)
        wait_until(
            "bridges of the server's networks",
            lambda: wanted - {name for _, name in socket.if_nameindex()},
            lambda missing: not missing,
            never,
            deadline_s=BRIDGE_S,
            every_s=0.2,
        )

    def _resume(self, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Failures stay here: nova would mark the server ERROR, but shut off, as it will then show, is the truth."""
        try:
            self._start(instance, network_info, block_device_info)
        except (PlatformError, OSError):
            LOG.exception("server %s did not come up again", instance.uuid)

    def _start(self, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Boot again. Loop devices come first, so that what the host mounts by label is there while it boots."""
        disks = servers.disks(block_device_info)
        for disk in disks:
            loops.attach(disk.image)
        self._wait_bridges(nic.bridge for nic in servers.nics(self.tree.site, network_info or ()))
        hosts.start(self.tree.platform, servers.machine_name(instance.uuid))
        self._attach(instance, disks)

    def _attach(self, instance: Any, disks: Iterable[servers.Disk]) -> None:
        machine = servers.machine_name(instance.uuid)
        for disk in disks:
            device = loops.attach(disk.image)
            try:
                hosts.attach_disk(self.tree.platform, machine, device, disk.name, disk.serial)
            except PreconditionMissing:  # another loop device than at the last boot: this machine was restarted
                hosts.detach_disk(self.tree.platform, machine, disk.name)
                hosts.attach_disk(self.tree.platform, machine, device, disk.name, disk.serial)
