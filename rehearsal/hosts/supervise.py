"""The parent of one host: starts nspawn in the host's cgroups and network, again after a reboot, and plugs it in.

Run as `python -m rehearsal.hosts.supervise PLATFORM MACHINE`; goes into the background at once, so that the host
outlives whoever asked for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from provision.wait import never, wait_until
from rehearsal.hosts import cgroups
from rehearsal.hosts.places import host_dir, read_spec
from rehearsal.hosts.processes import directory_option, leader_pid
from rehearsal.hosts.spec import HostSpec
from rehearsal.network.namespace import inside, ip

# nspawn's exit code for "the host asked for a reboot" when it runs under somebody's supervision (--keep-unit).
_REBOOT = 133
_PLUG_DEADLINE_S = 30.0


def command(spec: HostSpec) -> list[str]:
    """The nspawn command line. What each option is there for has cost a failure somewhere; see the comments."""
    folder = host_dir(spec.platform, spec.machine)
    return [
        *inside(spec.platform),
        "systemd-nspawn",
        "--quiet",
        directory_option(spec.platform, spec.machine),
        f"--machine={spec.machine}",
        # No machine registry and no scope of systemd's: the cgroups are ours, whatever runs as the machine's process 1.
        "--register=no",
        "--keep-unit",
        f"--network-bridge={spec.nics[0].bridge}",
        *(f"--network-veth-extra={port(spec.machine, n)}:host{n}" for n in range(1, len(spec.nics))),
        # runc and containerd need both.
        "--capability=all",
        "--system-call-filter=@known",
        # Never the machine's resolver, time zone or journal.
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--bind=/dev/kmsg",
        "--bind=/dev/fuse",
        # Layers of containers cannot lie on an overlay.
        f"--bind={folder / 'containerd'}:/var/lib/containerd",
        f"--bind={folder / 'kubelet'}:/var/lib/kubelet",
        "--boot",
    ]


def port(machine: str, index: int) -> str:
    """The bridge's end of the host's interface."""
    return f"vb-{machine}" if index == 0 else f"v{index}-{machine}"


def main(platform: str, machine: str) -> int:
    """Join the cgroups, go into the background, keep the host up until it powers off."""
    spec = read_spec(platform, machine)
    if spec is None:
        return 2
    cgroups.join(platform, machine)
    if os.fork():
        return 0
    os.setsid()
    os.chdir("/")
    words = command(spec)
    while _run_once(spec, words) == _REBOOT:
        continue
    return 0


def _run_once(spec: HostSpec, words: list[str]) -> int:
    """From start to power-off or reboot; nspawn's exit code, negative if a signal ended it."""
    pid = os.posix_spawnp(words[0], words, os.environ)
    _plug(spec, pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _plug(spec: HostSpec, pid: int) -> None:
    """What nspawn does not do: further interfaces onto their bridges, and answers to a host from itself.

    Without hairpin mode a bridge never sends a frame back where it came from, so a host could not reach itself
    through its own floating IP.
    """
    alive = Path(f"/proc/{pid}/cmdline")
    wait_until(
        f"host {spec.machine} has started",
        lambda: (leader_pid(spec.platform, spec.machine), _read(alive)),
        lambda seen: seen[0] is not None or not seen[1],
        never,
        deadline_s=_PLUG_DEADLINE_S,
        every_s=0.05,
    )
    if not _read(alive):
        return
    for index, nic in enumerate(spec.nics):
        name = port(spec.machine, index)
        ip("link", "set", name, "master", nic.bridge, "up", platform=spec.platform)
        ip("link", "set", name, "type", "bridge_slave", "hairpin", "on", platform=spec.platform)


def _read(path: Path) -> bytes:
    """A zombie's command line is empty; a process that is gone has none."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
