"""Hosts: Debian machines as systemd-nspawn containers with a real systemd, sshd, cloud-init and containerd.

Standard library only: nova-compute imports this inside another virtual environment.
"""

from rehearsal.hosts.disks import attach_disk, detach_disk, disk_names
from rehearsal.hosts.lifecycle import boot, destroy_all, disable_unit, leftovers, restart, start, stop, wait_ssh
from rehearsal.hosts.places import list_hosts, log_path
from rehearsal.hosts.processes import is_running, leader_pid
from rehearsal.hosts.spec import HostSpec, Nic

APT_PACKAGES = ("systemd-container", "mmdebstrap", "gcc", "libc6-dev", "util-linux", "iproute2")

__all__ = [
    "APT_PACKAGES",
    "HostSpec",
    "Nic",
    "attach_disk",
    "boot",
    "destroy_all",
    "detach_disk",
    "disable_unit",
    "disk_names",
    "is_running",
    "leader_pid",
    "leftovers",
    "list_hosts",
    "log_path",
    "restart",
    "start",
    "stop",
    "wait_ssh",
]
