"""What is collected when a check fails: describe, logs, conditions, events, journals, sockets. Nothing is changed.

Collectors run side by side, each with its own deadline; one that fails leaves its error in its own file and never
hides the failure that it was called for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provision.site import Site
from provision.state import write_atomic
from verify import budgets

UNITS = ("kubelet", "containerd", "tandem-link")
SUMMARY = "summary.txt"
AGE = ".metadata.creationTimestamp"
MOST_PODS = 8


@dataclass(frozen=True, slots=True)
class Collector:
    """One file of evidence. collect: takes its deadline in seconds, returns the file's text."""

    name: str
    collect: Callable[[float], str]


def collect(sites: Sequence[Site], folder: Path, nodeid: str, *, env: str) -> str:
    """Collect for one failed check into `<folder>/<nodeid>/`; returns what was collected, in words.

    A site whose evidence is fresh is not asked again: its earlier folder is named.
    """
    own = folder / folder_name(nodeid)
    told = []
    for site in sites:
        fresh = _fresh(folder, site.name, budgets.read("evidence.fresh_s", env=env))
        told.append(f"{site.name}: as in {fresh}" if fresh else _collect_site(site, own / site.name, env))
    write_atomic(own / SUMMARY, "\n".join([nodeid, *(told or ["no site could be opened"]), ""]))
    return "\n".join(told) or "none: no site could be opened"


def folder_name(nodeid: str) -> str:
    """A nodeid as one folder name: `check_gpu.test_x.chi-uc-gpu1`."""
    return re.sub(r"[^A-Za-z0-9_-]+", ".", nodeid.rsplit("/", 1)[-1].replace(".py", "")).strip(".")


def not_ready(pods: Sequence[Any]) -> list[tuple[str, str]]:
    """Namespace and name of pods that neither finished well nor have all containers ready."""
    return [(pod["metadata"]["namespace"], pod["metadata"]["name"]) for pod in pods if not _is_well(pod)]


def collectors(site: Site, *, log_lines: int, journal_lines: int) -> list[Collector]:
    """All of one site: the cluster's, then each host's."""
    kube = [
        Collector("nodes.txt", lambda s: _kubectl(site, s, "describe", "nodes")),
        Collector("pods.txt", lambda s: _kubectl(site, s, "get", "pods", "-A", "-o", "wide")),
        Collector("events.txt", lambda s: _kubectl(site, s, "get", "events", "-A", f"--sort-by={AGE}")),
        Collector("storage.txt", lambda s: _kubectl(site, s, "get", "storageclass,pv,pvc", "-A", "-o", "wide")),
        Collector("not-ready.txt", lambda s: _pods_not_ready(site, s, log_lines)),
    ]
    hosts = [collector for node in site.own.nodes for collector in _host_collectors(site, node.name, journal_lines)]
    return kube + hosts


def _collect_site(site: Site, folder: Path, env: str) -> str:
    deadline_s = budgets.read("evidence.collector_deadline_s", env=env)
    wanted = collectors(
        site,
        log_lines=int(budgets.read("evidence.log_lines", env=env)),
        journal_lines=int(budgets.read("evidence.journal_lines", env=env)),
    )
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        futures = {collector.name: pool.submit(collector.collect, deadline_s) for collector in wanted}
    for name, future in futures.items():
        write_atomic(folder / name, _text(future))
    failed = [name for name, future in futures.items() if future.exception()]
    missing = f"; not collected: {', '.join(failed)}" if failed else ""
    return f"{site.name}: {len(futures) - len(failed)} files in {folder}{missing}"


def _text(future: Future[str]) -> str:
    """A collector's text, or its failure whatever it was: it must not stand in the way of the check's own."""
    error = future.exception()
    return f"not collected: {type(error).__name__}: {error}\n" if error else future.result()


def _fresh(folder: Path, site_name: str, fresh_s: float) -> str:
    now = datetime.now(UTC).timestamp()
    young = [path for path in folder.glob(f"*/{site_name}") if now - path.stat().st_mtime < fresh_s]
    return str(young[0]) if young else ""


def _host_collectors(site: Site, node: str, journal_lines: int) -> list[Collector]:
    units = [word for unit in UNITS for word in ("-u", unit)]
    journal = ["journalctl", "--no-pager", "-n", str(journal_lines), *units]
    state = "systemctl --no-pager --failed; systemctl --no-pager status tandem-link || true; df -h; free -m; uptime"
    network = "ss -tlnp; ss -tnp state established; ip -brief address; ip route"
    return [
        Collector(f"{node}.journal.txt", lambda s: site.hosts.run(node, journal, deadline_s=s).stdout),
        Collector(f"{node}.state.txt", lambda s: site.hosts.run(node, ["sh", "-c", state], deadline_s=s).stdout),
        Collector(f"{node}.network.txt", lambda s: site.hosts.run(node, ["sh", "-c", network], deadline_s=s).stdout),
    ]


def _kubectl(site: Site, deadline_s: float, *words: str) -> str:
    return site.kube.run(*words, deadline_s=deadline_s, ok=(0, 1)).stdout


def _pods_not_ready(site: Site, deadline_s: float, log_lines: int) -> str:
    pods = json.loads(_kubectl(site, deadline_s, "get", "pods", "-A", "-o", "json"))["items"]
    bad = not_ready(pods)
    parts = [f"{len(bad)} of {len(pods)} pods are not ready"]
    logs = ("logs", "--all-containers", "--prefix", f"--tail={log_lines}")
    for namespace, name in bad[:MOST_PODS]:
        parts.append(_kubectl(site, deadline_s, "-n", namespace, "describe", "pod", name))
        parts.append(_kubectl(site, deadline_s, "-n", namespace, *logs, name))
    return "\n".join(parts)


def _is_well(pod: Any) -> bool:
    status = pod["status"]
    if status.get("phase") == "Succeeded":
        return True
    containers = status.get("containerStatuses", [])
    return bool(containers) and all(container["ready"] for container in containers)
