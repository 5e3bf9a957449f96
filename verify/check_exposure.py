"""Exposure: of everything that listens on the hosts, only what is on the list answers on a public address.

The list is `[exposure] allowed` in budgets.toml. Asked from the operator's machine, over TCP: every port that any host
of the site listens on, every node port that kube-proxy opens, and ports that were found open on such platforms before.
A UDP port gives no sign of being closed on the way, so UDP is looked at on the hosts only (`figure`).
"""

from __future__ import annotations

import re
import socket
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from provision.site import Site
from verify import budgets

# ssh, web, rpcbind, etcd, kube API, kubelet, kube-proxy, controller, scheduler, Docker, PostgreSQL, Redis, MLflow,
# registry, Prometheus, Grafana, object store, Label Studio, Jupyter, Ray, serving, node exporter, GPU exporter
KNOWN = (22, 80, 111, 443, 2375, 2379, 2380, 3000, 5000, 5432, 6379, 6443, 8000, 8080, 8090, 8265, 8333, 8443, 8888,
         9000, 9090, 9100, 9400, 10001, 10248, 10249, 10250, 10255, 10256, 10257, 10259, 30000, 32767)  # fmt: skip
WORKERS = 32
LISTENING = "ss -Htln; iptables-save -t nat 2>/dev/null || true"


def allowed() -> set[int]:
    """The list. Raises KeyError naming file and key."""
    table = tomllib.loads(budgets.PATH.read_text())
    if "allowed" not in table.get("exposure", {}):
        raise KeyError("budgets.toml -> exposure.allowed -> expected a list of ports")
    return {int(port) for port in table["exposure"]["allowed"]}


def listening(text: str) -> set[int]:
    """Ports in the output of LISTENING: sockets beyond loopback, and node ports (which have no socket)."""
    sockets = re.findall(r"^LISTEN\s+\d+\s+\d+\s+(\S+):(\d+)\s", text, re.MULTILINE)
    node_ports = re.findall(r"-A KUBE-NODEPORTS .*--dport (\d+)", text)
    open_to_others = {int(port) for address, port in sockets if not address.strip("[]").startswith(("127.", "::1"))}
    return open_to_others | {int(port) for port in node_ports}


def answers(address: str, port: int, wait_s: float) -> bool:
    """Whether a TCP connection from here is accepted."""
    try:
        with socket.create_connection((address, port), timeout=wait_s):
            return True
    except OSError:
        return False


def answering(address: str, ports: Iterable[int], wait_s: float) -> set[int]:
    """The ports that answer, asked side by side."""
    asked = sorted(ports)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        told = pool.map(lambda port: answers(address, port, wait_s), asked)
        return {port for port, yes in zip(asked, told, strict=True) if yes}


@pytest.fixture(scope="module")
def ports(site: Site) -> set[int]:
    """Everything worth asking at a site."""
    told = [site.hosts.script(node.name, LISTENING).stdout for node in site.own.nodes]
    return {port for text in told for port in listening(text)} | set(KNOWN)


def test_only_the_listed_ports_answer_on_the_public_address(
    site: Site, ports: set[int], budget: Callable[[str], float], figure: Callable[[str], None]
) -> None:
    """And those do: a scan that reaches nothing proves nothing."""
    address = str(site.cloud.floating_address())
    figure(f"{len(ports)} ports asked")
    assert answering(address, ports, budget("exposure.connect_s")) == allowed()


def test_no_host_answers_on_its_private_address_from_here(site: Site, budget: Callable[[str], float]) -> None:
    """Only the way through the entry node leads there."""
    wait_s = budget("exposure.connect_s")
    assert [node.name for node in site.own.nodes if answers(str(node.address), 22, wait_s)] == []


def test_udp_listeners_are_shown(site: Site, figure: Callable[[str], None]) -> None:
    """For a person to judge."""
    told = site.hosts.run(site.own.entry.name, ["ss", "-Huln"]).stdout
    found = sorted({int(line.split()[3].rsplit(":", 1)[1]) for line in told.splitlines()})
    figure(f"UDP at {site.own.entry.name}: {', '.join(map(str, found)) or 'none'} (not asked from outside)")
    assert all(0 < port < 65536 for port in found)
