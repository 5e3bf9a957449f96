"""Where a host's files lie, and what is kept of it between runs."""

from __future__ import annotations

from pathlib import Path

from rehearsal.hosts.spec import HostSpec, from_json, to_json

STATE = Path("/var/lib/tandem")


def hosts_dir(platform: str) -> Path:
    """The folder of all hosts of the platform."""
    return STATE / platform / "hosts"


def host_dir(platform: str, machine: str) -> Path:
    """The host's folder: upper, work, root (the mounted file system), containerd, kubelet, console.log, host.json."""
    return hosts_dir(platform) / machine


def root_dir(platform: str, machine: str) -> Path:
    """The host's file system, while it is mounted."""
    return host_dir(platform, machine) / "root"


def log_path(platform: str, machine: str) -> Path:
    """The host's console."""
    return host_dir(platform, machine) / "console.log"


def list_hosts(platform: str) -> tuple[str, ...]:
    """Every machine that has a folder, running or not."""
    folder = hosts_dir(platform)
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir())) if folder.is_dir() else ()


def write_spec(spec: HostSpec) -> None:
    """Keep the spec, last of all that is prepared: a host without it was never complete. It may hold secrets: 0600."""
    path = _spec_path(spec.platform, spec.machine)
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(to_json(spec))
    fresh.replace(path)


def read_spec(platform: str, machine: str) -> HostSpec | None:
    """The host's spec, or None if it was never completely prepared."""
    path = _spec_path(platform, machine)
    return from_json(path.read_text()) if path.exists() else None


def _spec_path(platform: str, machine: str) -> Path:
    return host_dir(platform, machine) / "host.json"
