"""What the hosts' file systems are made of: Debian packages, units enabled and masked."""

from __future__ import annotations

SUITE = "bookworm"  # systemd 252 is the last that boots on cgroup version 1
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "sudo",
    "ca-certificates",
    "curl",
    "less",
    "procps",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "conntrack",
    "ethtool",
    "socat",
    "iproute2",
    "iputils-ping",
    "ipset",
    "kmod",
    "cloud-init",
    "e2fsprogs",
    "xfsprogs",
    "fuse3",
    "rsync",
)
GPU_PACKAGES = ("firewalld",)
ENABLED = (
    "systemd-networkd",
    "ssh",
    "containerd",
    "cgroups-rw",
    "disk-mounts",
    "disk-links@vdb.path",
    "disk-links@vdb.service",
    "disk-links@vdc.path",
    "disk-links@vdc.service",
)
# Clock, disks, consoles and packages are the machine's business; cloud-init's hotplug waits for udev in vain.
MASKED = (
    "systemd-timesyncd.service",
    "console-getty.service",
    "getty@tty1.service",
    "e2scrub_reap.service",
    "e2scrub_all.timer",
    "fstrim.timer",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-pstore.service",
    "cloud-init-hotplugd.socket",
    "systemd-firstboot.service",
    "dev-hugepages.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "modprobe@.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
)
