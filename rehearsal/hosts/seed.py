"""What is written into a host's file system before its first boot. Pure: spec in, files out."""

from __future__ import annotations

import hashlib
import json
import uuid

from rehearsal.hosts.spec import HostSpec, Nic

_SEED = "var/lib/cloud/seed/nocloud"


def files(spec: HostSpec) -> dict[str, tuple[int, str]]:
    """Path in the host -> (mode, text)."""
    written = {
        "etc/hostname": (0o644, f"{spec.hostname}\n"),
        "etc/hosts": (0o644, _hosts(spec)),
        "etc/machine-id": (0o444, f"{machine_id(spec.instance_id)}\n"),
        "etc/resolv.conf": (0o644, _resolv_conf(spec.nics[0])),
        f"{_SEED}/meta-data": (0o600, meta_data(spec)),
        f"{_SEED}/user-data": (0o600, spec.user_data or "#cloud-config\n{}\n"),
    }
    for index, nic in enumerate(spec.nics):
        # 10-: Debian's own 80-container-host0.network would win otherwise, and ask for DHCP.
        written[f"etc/systemd/network/10-host{index}.network"] = (0o644, network_file(index, nic))
    return written


def meta_data(spec: HostSpec) -> str:
    """What cloud-init's NoCloud source reads (JSON is YAML)."""
    keys = [line.strip() for line in spec.public_key.splitlines() if line.strip()]
    return json.dumps({"instance-id": spec.instance_id, "local-hostname": spec.hostname, "public-keys": keys}) + "\n"


def network_file(index: int, nic: Nic) -> str:
    """The interface's file for systemd-networkd. Only the first has a default route."""
    gateway = [f"Gateway={nic.gateway}"] if nic.gateway is not None and index == 0 else []
    return "\n".join(
        [
            "[Match]",
            f"Name=host{index}",
            "",
            "[Link]",
            f"MACAddress={nic.mac}",
            f"MTUBytes={nic.mtu}",
            "",
            "[Network]",
            f"Address={nic.address}/{nic.prefix}",
            *gateway,
            "DHCP=no",
            "LinkLocalAddressing=no",
            "IPv6AcceptRA=no",
            "LLMNR=no",
            "",
        ]
    )


def machine_id(instance_id: str) -> str:
    """The server's UUID as systemd writes it; any other identity by its digest."""
    try:
        return uuid.UUID(instance_id).hex
    except ValueError:
        return hashlib.sha256(instance_id.encode()).hexdigest()[:32]


def _hosts(spec: HostSpec) -> str:
    lines = ["127.0.0.1 localhost", f"{spec.nics[0].address} {spec.hostname}"]
    return "\n".join([*lines, *(f"{address} {name}" for address, name in spec.extra_hosts)]) + "\n"


def _resolv_conf(nic: Nic) -> str:
    """Never the machine's own: that would be asked through the sealed network, and waited for."""
    servers = nic.nameservers or ((nic.gateway,) if nic.gateway is not None else ())
    return "\n".join([*(f"nameserver {server}" for server in servers), "options timeout:1 attempts:1"]) + "\n"
