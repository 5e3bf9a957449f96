"""What a platform takes: memory by node and container, from its own Prometheus, and this machine's disk meanwhile.

Memory is the working set as the kubelets measure it: what a container could not give back.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from provision import prometheus, say
from provision.errors import PlatformError
from provision.settings import Settings
from provision.site import Site

BY_NODE = "sum by (site, node) (container_memory_working_set_bytes)"
BY_CONTAINER = "sum by (site, namespace, container) (container_memory_working_set_bytes)"
SYSTEM = "kube-system"
MIB, GIB = 2**20, 2**30


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB by `site/node` and by `site/namespace/container`, the cluster's own system left out of the second."""

    nodes: Mapping[str, int]
    containers: Mapping[str, int]


@dataclass
class Disk:
    """Growth of a file system, GiB: looked at whenever something is said, which is often while something grows."""

    path: Path
    before: float = field(init=False)
    peak_gib: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.before = self._used()

    def look(self) -> None:
        """Remember it if it is the most so far."""
        self.peak_gib = max(self.peak_gib, self._used() - self.before)

    def _used(self) -> float:
        return shutil.disk_usage(self.path).used / GIB


@contextmanager
def disk(path: Path) -> Iterator[Disk]:
    """Watch the file system that a path lies on."""
    path.mkdir(parents=True, exist_ok=True)
    watched = Disk(path)
    stop = say.listen(lambda _who, _verb, _text: watched.look())
    try:
        yield watched
    finally:
        stop()
        watched.look()


def memory(settings: Settings, sites: Mapping[str, Site]) -> Memory:
    """Of all sites, asked where their metrics come together. Raises CommandFailed where Prometheus does not answer."""
    kube = sites[settings.link.server].kube
    nodes = prometheus.query(kube, BY_NODE)
    containers = prometheus.query(kube, BY_CONTAINER)
    return Memory(
        {f"{one.labels['site']}/{one.labels['node']}": round(one.value / MIB) for one in nodes},
        {
            "/".join(one.labels[key] for key in ("site", "namespace", "container")): round(one.value / MIB)
            for one in containers
            if one.labels["namespace"] != SYSTEM
        },
    )


def tell(settings: Settings, sites: Mapping[str, Site], watched: Disk) -> dict[str, object]:
    """Print it and return it as data; a Prometheus that does not answer is said, and no failure."""
    say.line("tandem", "disk", f"at most {watched.peak_gib:.1f} GiB more than at the start, on this machine")
    found: dict[str, object] = {"disk_peak_gib": round(watched.peak_gib, 2)}
    try:
        held = memory(settings, sites)
    except PlatformError as error:
        say.line("tandem", "note", f"memory: not known ({error.what})")
        return found
    for what, rows in (("nodes", held.nodes), ("applications", held.containers)):
        told = ", ".join(f"{name} {mib}" for name, mib in sorted(rows.items()))
        say.line("tandem", "memory", f"MiB, {what}: {told}")
    return {**found, "memory_mib": {"nodes": dict(held.nodes), "applications": dict(held.containers)}}
