"""A second PostgreSQL from the backups alone, now or at a time of choice: a pod of our own beside the one that runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from provision import following
from provision.site import Site
from provision.wait import wait_until

NAME = "restored"
NAMESPACE = "tandem-verify-restored"
FROM = "data"
PSQL = ("psql", "-h", "/run/postgresql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", "-d")
STORE = "object-store"
MAPS = ("postgresql", "postgresql-migrations")


@dataclass(frozen=True)
class Scratch:
    """The pod in our namespace. It reads the object store and never writes into it."""

    site: Site

    def start(self, when: str = "", endpoint: str = "") -> None:
        """On an empty volume: as the platform's own pod starts there, or restored to a time.

        when: `YYYY-MM-DD HH:MM:SS.ffffff`, UTC. endpoint: another object store than the platform's.
        """
        self.remove()
        template = self.site.kube.get("statefulset", namespace=FROM, name="postgresql")[0]["spec"]["template"]
        made = pod(template["spec"], when)
        names = sorted(set(following.mentioned(made["spec"])))
        secrets = {name: self._copy("secret", name) for name in names}
        if endpoint:
            secrets[STORE]["data"]["endpoint"] = b64encode(endpoint.encode()).decode()
        maps = [self._copy("configmap", name) for name in MAPS]
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.site.kube.apply([space, *maps, *secrets.values(), made])

    def wait(self, state: str, *, deadline_s: float) -> None:
        """Until it is `ready` (it answers, its recovery over) or, where that is wanted, `Failed`."""
        wait_until(
            f"pod {NAME}: {state}",
            self._state,
            lambda seen: seen == state,
            lambda seen: seen in {"ready", "Failed", "Succeeded"},
            deadline_s=deadline_s,
            every_s=0.5,
        )

    def sql(self, database: str, statement: str) -> str:
        """One statement there."""
        return self.site.kube.run(
            "exec", "-i", "-n", NAMESPACE, NAME, "--", *PSQL, database, stdin=statement
        ).stdout.strip()

    def last_words(self) -> str:
        """What the container that makes the data directory said last."""
        return self.site.kube.run("logs", "-n", NAMESPACE, NAME, "-c", "prepare", "--tail=1").stdout.strip()

    def remove(self) -> None:
        """The namespace with all in it."""
        self.site.kube.run("delete", "namespace", NAMESPACE, "--ignore-not-found", deadline_s=90.0)

    def _copy(self, kind: str, name: str) -> dict[str, Any]:
        """An object of the live server in our namespace, without what the cluster wrote into it."""
        item = self.site.kube.get(kind, namespace=FROM, name=name)[0]
        kept = {key: item[key] for key in ("apiVersion", "kind", "data", "type") if key in item}
        return {**kept, "metadata": {"name": name, "namespace": NAMESPACE}}

    def _state(self) -> str:
        found = self.site.kube.get("pod", namespace=NAMESPACE, name=NAME)
        status = found[0].get("status", {}) if found else {}
        ready = [one["ready"] for one in status.get("containerStatuses", ())] == [True]
        return "ready" if ready else str(status.get("phase", ""))


def pod(template: Mapping[str, Any], when: str) -> dict[str, Any]:
    """The live pod's definition on an empty folder, without its keeper, in no Service, and archiving nothing."""
    spec = deepcopy(dict(template))
    (prepare, *_), (server, *_) = spec["initContainers"], spec["containers"]
    server["args"] = [*server["args"], "--archive_mode=off", "--listen_addresses="]
    if when:
        prepare["command"] = ["/etc/tandem/restore.sh", "$(PGDATA)", when]
        server["args"] += [f"--recovery_target_time={when}+00", "--recovery_target_action=promote", "--hot_standby=off"]
    for key in ("lifecycle", "livenessProbe", "startupProbe", "ports"):
        server.pop(key, None)
    server["readinessProbe"] = {"exec": {"command": ["pg_isready", "--quiet"]}, "periodSeconds": 1}
    spec |= {
        "containers": [server],
        "volumes": [*spec["volumes"], {"name": "data", "emptyDir": {}}],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec}
