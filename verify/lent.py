"""Objects that the link's check lends to a cluster: listeners at addresses that no Service owns yet."""

from __future__ import annotations

from typing import Any

from provision.settings import Forward

IMAGE = "docker.io/library/busybox:1.35.0"
FIRST_PORT = 20001


def services(rows: list[Forward], namespace: str) -> list[Any]:
    """Services at the fixed addresses, each of their ports led to a port of the listener that knows its name."""
    ports: dict[str, list[Any]] = {}
    for number, row in enumerate(rows):
        ports.setdefault(str(row.target_ip), []).append(
            {"name": f"p{row.target_port}", "port": row.target_port, "targetPort": FIRST_PORT + number}
        )
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"lent-{address.replace('.', '-')}", "namespace": namespace},
            "spec": {"clusterIP": address, "selector": {"app": "listener"}, "ports": ports[address]},
        }
        for address in ports
    ]


def listen(rows: list[Forward]) -> str:
    """One listener a forward; each answers with its service's name and the line it was sent."""
    lines = [
        f"nc -ll -p {FIRST_PORT + number} -e /bin/sh -c 'read word; echo {row.service} $word' &"
        for number, row in enumerate(rows)
    ]
    return "\n".join([*lines, "wait"])


def pod(name: str, namespace: str, script: str) -> Any:
    """A small pod that runs one shell script."""
    container = {
        "name": name,
        "image": IMAGE,
        "command": ["sh", "-c", script],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def namespace(name: str) -> Any:
    """A namespace of the check's own."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
