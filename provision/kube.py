"""The door to a site's Kubernetes: its API is private, so it is reached through an ssh forward to the control plane.

kubectl does the talking (server-side apply, field manager `tandem`); its kubeconfig is ours, never the ambient one.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision import shell
from provision.errors import PreconditionMissing
from provision.hosts import Hosts
from provision.state import write_atomic
from provision.wait import never, wait_until

ADMIN_CONF = "/etc/kubernetes/admin.conf"
API_PORT = 6443
FIRST_LOCAL_PORT = 16440
MANAGER = "tandem"


@dataclass(frozen=True)
class Kube:
    """kubectl against one site's cluster."""

    hosts: Hosts

    @property
    def local_port(self) -> int:
        """The port on this machine's loopback that leads to the site's API: one a site, stable."""
        return FIRST_LOCAL_PORT + sorted(self.hosts.settings.sites).index(self.hosts.site_name)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig (0600, always fetchable again)."""
        return self.hosts.settings.state_dir / f"kubeconfig.{self.hosts.site_name}"

    def exists(self) -> bool:
        """Whether the control plane has been set up (its admin.conf is there)."""
        control = self.hosts.site.in_group("kube_control_plane")[0].name
        return self.hosts.run(control, ["test", "-s", ADMIN_CONF], ok=(0, 1)).code == 0

    def connect(self) -> Path:
        """Fetch the kubeconfig and open the forward if it is not open; returns the kubeconfig's path."""
        control = self.hosts.site.in_group("kube_control_plane")[0].name
        answer = self.hosts.run(control, ["cat", ADMIN_CONF], ok=(0, 1))
        if answer.code:
            raise PreconditionMissing(
                f"{self.hosts.site_name}: no cluster yet",
                why=f"{control} has no {ADMIN_CONF}",
                next=f"invoke provision.kubespray --site {self.hosts.site_name}",
            )
        text = rewrite(answer.stdout, self.local_port, self.hosts.site_name)
        if not self.kubeconfig.exists() or self.kubeconfig.read_text() != text:
            write_atomic(self.kubeconfig, text)
        self._forward(control)
        return self.kubeconfig

    def _forward(self, control: str) -> None:
        if _answers(self.local_port):
            return
        ssh = self.hosts.argv(control)
        self.hosts.run(control, ["true"])  # opens the shared connection that the forward lives in
        shell.run(
            [*ssh[:-1], "-O", "forward", "-L", f"127.0.0.1:{self.local_port}:127.0.0.1:{API_PORT}", control],
            deadline_s=15.0,
        )
        wait_until(
            f"{self.hosts.site_name}: forward to the API",
            lambda: _answers(self.local_port),
            bool,
            never,
            deadline_s=10.0,
            every_s=0.1,
        )

    def run(
        self,
        *words: str,
        deadline_s: float = 60.0,
        ok: Sequence[int] = (0,),
        stdin: str | None = None,
        log: Path | None = None,
    ) -> shell.Result:
        """kubectl with our kubeconfig. deadline_s: on machines of its own; here it has as much as settings tell."""
        path, within_s = self.connect(), deadline_s * self.hosts.settings.patience
        return shell.run(["kubectl", "--kubeconfig", path, *words], deadline_s=within_s, ok=ok, stdin=stdin, log=log)

    def apply(self, objects: Sequence[Any], *, deadline_s: float = 60.0) -> None:
        """Server-side apply; the objects go through stdin, so no secret is in argv or on disk."""
        self.apply_text(yaml.safe_dump_all(list(objects)), deadline_s=deadline_s)

    def apply_text(self, text: str, *, deadline_s: float = 60.0) -> None:
        """The same, of manifests that somebody else has written."""
        self.run(
            "apply",
            "--server-side",
            "--force-conflicts",
            f"--field-manager={MANAGER}",
            "-f",
            "-",
            stdin=text,
            deadline_s=deadline_s,
        )

    def get(self, kind: str, *, namespace: str = "", selector: str = "", name: str = "") -> list[Any]:
        """Objects of a kind as plain data; empty where the kind or the namespace is unknown to the cluster."""
        words = ["get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found"]
        words += ["-n", namespace] if namespace else ["-A"] if not name else []
        words += ["-l", selector] if selector else []
        answer = self.run(*words, ok=(0, 1))
        if answer.code:
            if "the server doesn't have a resource type" in answer.stderr:
                return []
            return _fail(answer)
        if not answer.stdout.strip():
            return []
        found = json.loads(answer.stdout)
        return list(found["items"]) if found["kind"].endswith("List") else [found]


def rewrite(admin_conf: str, port: int, site_name: str) -> str:
    """admin.conf with the server at our loopback and names that tell the sites apart."""
    config = yaml.safe_load(admin_conf)
    name = f"tandem-{site_name}"
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    config["clusters"][0]["name"] = name
    config["users"][0]["name"] = name
    config["contexts"] = [{"name": name, "context": {"cluster": name, "user": name}}]
    config["current-context"] = name
    return yaml.safe_dump(config)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def _fail(answer: shell.Result) -> list[Any]:
    raise PreconditionMissing(
        "the cluster does not answer", why=answer.stderr.strip()[-500:], next="invoke provision.kubespray"
    )
